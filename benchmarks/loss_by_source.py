"""The cost of the loss by source, as a share of a step.

    python benchmarks/loss_by_source.py [--steps 6] [--repeats 3] [--out FILE.json]

One process trains a model of random weights with TRL on the CPU, watched without and
with the loss by source in turn. On the CPU a call returns when its work is done, so the
time within the measurement is its whole cost; the medians of the steps are printed
beside it. Torch has one thread, whose processor time is counted. Every step is
measured; a run measures one in `every`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from datasets import Dataset
from record import about, record
from tokenizers import Tokenizer, models
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

from axolotl_sftguide import watch
from axolotl_sftguide.monitor import source_meter
from axolotl_sftguide.monitor.source_sums import SourceSums

VOCABULARY, TOKENS, ROWS = 32_000, 128, 64


class Steps(TrainerCallback):
    """Time of each optimizer step but the first."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._started = time.thread_time()

    def on_step_end(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step > 1:
            self.seconds.append(time.thread_time() - self._started)


class Clock:
    """Seconds within the measurement, and how the losses were had."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.way, self.every = "", 0

    def around(self, function: Any) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.thread_time() - started

        return timed

    def note(self, function: Any) -> Any:
        def noted(trainer: Any, way: str) -> int:
            self.way, self.every = way, function(trainer, way)
            return self.every

        return noted


def rows(seed: int = 0) -> Dataset:
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (ROWS, TOKENS), generator=draw).tolist()
    sources = [f"source {i % 4}" for i in range(ROWS)]
    return Dataset.from_dict({"input_ids": ids, "source": sources})


def train(folder: Path, steps: int, by_source: bool, settings: dict[str, Any]) -> Steps:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=640,
            intermediate_size=1_728,
            num_hidden_layers=6,
            num_attention_heads=10,
            num_key_value_heads=10,
            tie_word_embeddings=True,
        )
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1}, "<pad>")),
        pad_token="<pad>",
        eos_token="</s>",
    )
    timed = Steps()
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            max_length=TOKENS,
            max_steps=steps + 1,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            disable_tqdm=True,
            **settings,
        ),
        train_dataset=rows(),
        processing_class=tokenizer,
        callbacks=[timed],
    )
    column = {"loss_by_source": "source"} if by_source else {}
    watch(trainer, storage=str(folder / "runs.db"), **column)
    trainer.train()
    return timed


def main() -> None:
    """Print the cost of each way to the losses of the tokens."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    ways = {}
    for settings in ({"loss_type": "nll"}, {}):
        clock, without, with_it = Clock(), [], []
        chosen = source_meter.steps_between
        measure = SourceSums._measure
        source_meter.steps_between = every_step(clock.note(chosen))
        SourceSums._measure = clock.around(measure)  # type: ignore[method-assign]
        with tempfile.TemporaryDirectory() as folder:
            for repeat in range(asked.repeats):
                for by_source, seconds in ((False, without), (True, with_it)):
                    where = Path(folder) / f"{repeat}-{by_source}"
                    done = train(where, asked.steps, by_source, settings)
                    seconds += done.seconds
        source_meter.steps_between = chosen
        SourceSums._measure = measure  # type: ignore[method-assign]
        measured = clock.seconds / asked.repeats / (asked.steps + 1)
        step = median(without)
        ways[clock.way] = {
            "about": about(),
            "step_seconds": step,
            "share_of_a_measured_step": measured / step,
            "one_step_in": clock.every,
            "share_by_default": measured / step / clock.every,
        }
        print(
            f"{clock.way:<10} a step takes {step:.3f} s, with all steps measured "
            f"{median(with_it):.3f} s ({median(with_it) / step:.3f} times); within the "
            f"measurement {1000 * measured:.2f} ms = {100 * measured / step:.3f}%; "
            f"one step in {clock.every} is measured by default: "
            f"{100 * measured / step / clock.every:.3f}% of a step"
        )
    if asked.out:
        record(asked.out, ways, keep=True)


def every_step(noted: Any) -> Any:
    """Measures each step, whatever would be chosen."""

    def chosen(trainer: Any, way: str) -> int:
        noted(trainer, way)
        return 1

    return chosen


if __name__ == "__main__":
    main()
