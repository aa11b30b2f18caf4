"""The time inside this package's hooks, as a share of a training step's time.

    python benchmarks/overhead.py [--steps 8] [--logging-steps 1] [--wandb]
        [--out FILE.json --name default]

A Llama of 50M parameters is fully fine-tuned on the CPU, eight samples a step in four
micro batches. The hooks are timed from outside, in the same run as the step; beside
them stands what a callback takes that reads the norm of each parameter one by one, and,
with `--wandb`, `wandb.watch` offline with histograms of every gradient. Torch has one
thread, whose processor time is counted: other work on the machine hardly changes it.
`--name` is the key of these results in the file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from record import about, record
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.config.settings import load_settings
from axolotl_sftguide.monitor.capture import StepCapture
from axolotl_sftguide.monitor.gradients import MicroBatchGradients
from axolotl_sftguide.monitor.session import Session

TOKENS = 128
CAPTURE = ("_clip", "_count", "_add_loss", "end_step")


HOST = "(the host's own clipping)"


class Clock:
    """Sums the time spent in some functions, those that they call left out."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.thread_time() - started
                self.seconds[name] += spent - self._inner.pop()
                self._inner[-1] += spent

        return timed


class StepTimes(TrainerCallback):
    """Time of each optimizer step, and of the peer's way to a norm."""

    def __init__(self, clock: Clock) -> None:
        self.seconds: list[float] = []
        self._clock = clock
        self._started = 0.0
        self.read = clock.around("norm of each parameter, one by one", self._read)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._started = time.thread_time()

    def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
        self.read(model)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.thread_time() - self._started)

    @staticmethod
    def _read(model: Any) -> float:
        norms = [p.grad.norm().item() for p in model.parameters() if p.grad is not None]
        return sum(n * n for n in norms) ** 0.5


def watch_with_wandb(model: Any, folder: Path, clock: Clock) -> None:
    """`wandb.watch` at each backward pass; its default is each thousandth."""
    import wandb
    from wandb.integration.torch.wandb_torch import TorchHistory

    log = clock.around("wandb.watch, log_freq=1", TorchHistory.log_tensor_stats)
    TorchHistory.log_tensor_stats = log
    wandb.init(mode="offline", dir=str(folder), project="overhead")
    wandb.watch(model, log="gradients", log_freq=1)


def train(
    folder: Path, steps: int, every: int, logging_steps: int, clock: Clock, wandb: bool
) -> StepTimes:
    """Train with everything on; the clock gathers what the hooks took."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=640,
        intermediate_size=1_728,
        num_hidden_layers=6,
        num_attention_heads=10,
        num_key_value_heads=10,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.0f}M parameters")
    if wandb:
        watch_with_wandb(model, folder, clock)
    draw = torch.Generator().manual_seed(1)
    rows = [
        torch.randint(0, 32_000, (TOKENS,), generator=draw).tolist() for _ in range(64)
    ]
    block = {"monitor": {"noise_scale": True, "noise_scale_every": every}}
    monitor = GradientMonitorCallback(
        settings=load_settings({**block, "storage": str(folder / "runs.db")})
    )
    times = StepTimes(clock)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=2,
            gradient_accumulation_steps=4,
            max_steps=steps,
            logging_steps=logging_steps,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
        ),
        train_dataset=Dataset.from_dict({"input_ids": rows, "labels": rows}),
        callbacks=[monitor, EarlyTerminationCallback(), times],
    )
    accelerator = trainer.accelerator
    accelerator.clip_grad_norm_ = clock.around(HOST, accelerator.clip_grad_norm_)
    trainer.train()
    return times


def main() -> None:
    """Print each part's share of the step time, the first steps left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--logging-steps", type=int, default=1)
    parser.add_argument("--wandb", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--name", default="default")
    asked = parser.parse_args()
    clock = Clock()
    session = ((Session, name) for name in ("log", "observe"))
    for owner, name in [*((StepCapture, n) for n in CAPTURE), *session]:
        wrapped = clock.around("norms, losses, samples", getattr(owner, name))
        setattr(owner, name, wrapped)
    check = clock.around("norm check (first 3 steps)", StepCapture._compute_norm_again)
    StepCapture._compute_norm_again = check  # type: ignore[method-assign]
    see = clock.around("noise scale", MicroBatchGradients._see)
    MicroBatchGradients._see = see  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        times = train(
            Path(folder),
            asked.steps,
            asked.every,
            asked.logging_steps,
            clock,
            asked.wandb,
        )
    total = sum(times.seconds)
    print(f"{asked.steps} steps of {total / asked.steps:.2f} s")
    shares = {name: seconds / total for name, seconds in clock.seconds.items()}
    for name, share in sorted(shares.items()):
        each = 1000 * share * total / asked.steps
        print(f"{name:<36} {each:8.2f} ms a step {share:9.3%}")
    if asked.out:
        found = {"about": about(), "step_seconds": total / asked.steps}
        record(asked.out, {asked.name: {**found, "shares": shares}}, keep=True)


if __name__ == "__main__":
    main()
