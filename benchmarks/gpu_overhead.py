"""What watching costs on a CUDA device, and whether the weights stay the same bits.

    python benchmarks/gpu_overhead.py [--steps 30] [--turns 6] [--out FOLDER] [--smoke]

A Llama of 1.2B parameters with random weights is fully fine-tuned in bfloat16 autocast
by transformers' own trainer: eight sequences of 1,024 tokens per step in two micro
batches. Three ways take turns: without this package, with `GradientMonitorCallback()`,
and with the noise scale measured too. The order rotates from turn to turn, and a short
training before the first turn warms the device up. Each training gives the median time
of a step without the first five; its ratio to the unwatched one of the same turn is
what watching costs. The final weights of all turns are compared bit by bit; PyTorch's
deterministic algorithms are on in all of them. `--smoke` runs a small model on the CPU,
to see that the benchmark itself works.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch
from datasets import Dataset
from record import record
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from axolotl_sftguide import GradientMonitorCallback

LARGE = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}
LARGE |= {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000}
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 512}
FIRST = 5
WAYS = ("unwatched", "watched", "watched with the noise scale")


class StepTimes(TrainerCallback):
    """Wall time from the start of one step to the start of the next."""

    def __init__(self) -> None:
        self.started: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.started.append(time.perf_counter())


def train(way: str, steps: int, smoke: bool, folder: Path) -> dict[str, Any]:
    """One training from the same weights and data: its steps' time and its weights."""
    torch.manual_seed(0)
    device = "cpu" if smoke else "cuda"
    with torch.device(device):
        model = LlamaForCausalLM(LlamaConfig(**(SMALL if smoke else LARGE)))
    tokens = 32 if smoke else 1024
    vocabulary = model.config.vocab_size
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(0, vocabulary, (8 * steps, tokens), generator=draw).tolist()
    data = Dataset.from_dict({"input_ids": ids, "labels": ids})
    times = StepTimes()
    callbacks: list[Any] = [times]
    if way != WAYS[0]:
        callbacks.append(GradientMonitorCallback(noise_scale=way == WAYS[2]))
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder / "out"),
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            max_steps=steps,
            learning_rate=1e-5,
            bf16=not smoke,
            use_cpu=smoke,
            logging_steps=10,
            save_strategy="no",
            report_to=[],
            optim="adamw_torch_fused",
            disable_tqdm=True,
            full_determinism=False,
            seed=0,
        ),
        train_dataset=data,
        callbacks=callbacks,
    )
    trainer.train()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    ended = [*times.started[1:], time.perf_counter()]
    seconds = [b - a for a, b in zip(times.started, ended, strict=True)]
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.contiguous().view(torch.uint8).cpu().numpy().tobytes())
    loss = trainer.state.log_history[-1]["train_loss"]
    kept = seconds[min(FIRST, steps - 1) : -1] or seconds
    row = {
        "way": way,
        "median_seconds": statistics.median(kept),
        "mean_seconds": statistics.fmean(kept),
        "mean_loss": loss,
        "weights_sha256": digest.hexdigest(),
    }
    del trainer, model
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return row


def write(rows: list[dict[str, Any]], asked: argparse.Namespace) -> None:
    """All finished turns, so that a time limit loses one at most."""
    where = "cpu, a small model"
    if not asked.smoke:
        where = torch.cuda.get_device_properties(0).name
    result = {"where": where, "torch": torch.__version__, "rows": rows}
    record(asked.out / "gpu_overhead.json", result)


def main() -> None:
    """All ways in turn; prints the ratios and writes everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    if not asked.smoke and not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: nothing measured (--smoke for the CPU)")
    torch.use_deterministic_algorithms(True)
    rows = []
    with tempfile.TemporaryDirectory() as made:
        train(WAYS[0], FIRST + 2, asked.smoke, Path(made))
        for turn in range(asked.turns):
            first = turn % len(WAYS)
            for way in (*WAYS[first:], *WAYS[:first]):
                rows.append(train(way, asked.steps, asked.smoke, Path(made)))
                rows[-1]["turn"] = turn
            write(rows, asked)
    for way in WAYS[1:]:
        ratios = [
            row["median_seconds"]
            / next(
                other["median_seconds"]
                for other in rows
                if other["turn"] == row["turn"] and other["way"] == WAYS[0]
            )
            for row in rows
            if row["way"] == way
        ]
        turns = ", ".join(f"{100 * (r - 1):+.2f}%" for r in ratios)
        middle = 100 * (statistics.median(ratios) - 1)
        print(f"{way}: median {middle:+.2f}% of a step ({turns})")
    same = len({row["weights_sha256"] for row in rows}) == 1
    print(f"final weights: {'the same bits in all turns' if same else 'they differ'}")


if __name__ == "__main__":
    main()
