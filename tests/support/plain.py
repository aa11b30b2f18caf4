"""Small plain trainings of transformers, and what they left in the run history."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs.history import Run, RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace
from axolotl_sftguide.signals import Observation

SMALL = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
"""The sizes of a small Llama or BERT."""


def make_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SMALL))


def make_scorer(**changed: Any) -> LlamaForSequenceClassification:
    torch.manual_seed(0)
    config = LlamaConfig(**SMALL, pad_token_id=0, **changed)
    return LlamaForSequenceClassification(config)


def make_rows(count: int = 64, length: int = 8) -> Dataset:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 64, (count, length), generator=draw).tolist()
    mask = [[1] * length] * count
    return Dataset.from_dict({"input_ids": ids, "labels": ids, "attention_mask": mask})


def make_arguments(folder: Path, **changed: Any) -> TrainingArguments:
    settings = {
        "output_dir": str(folder),
        "max_steps": 8,
        "per_device_train_batch_size": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "learning_rate": 1e-2,
        **changed,
    }
    return TrainingArguments(**settings)


def make_trainer(
    folder: Path,
    *callbacks: Any,
    kind: type[Trainer] = Trainer,
    rows: Any = None,
    model: Any = None,
    given: dict[str, Any] | None = None,
    **changed: Any,
) -> Trainer:
    """A trainer with these callbacks; keywords change its training arguments."""
    evaluates = "eval_strategy" in changed
    trainer = kind(
        model=make_model() if model is None else model,
        args=make_arguments(folder, **changed),
        train_dataset=make_rows() if rows is None else rows,
        callbacks=list(callbacks),
        **{"eval_dataset": make_rows(8) if evaluates else None, **(given or {})},
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def watched(folder: Path, *callbacks: Any, **options: Any) -> Trainer:
    """A watched trainer with all rules on `stop`."""
    ours = GradientMonitorCallback(), EarlyTerminationCallback(action="stop")
    return make_trainer(folder, *ours, *callbacks, **options)


def runs() -> list[Run]:
    return RunHistory().runs()


def steps_of(folder: Path) -> list[Observation]:
    """The recorded steps of the only run in a folder."""
    (path,) = find_traces(folder)
    return list(read_trace(path).observations)


def samples_of(folder: Path) -> list[int]:
    return [step.samples_seen for step in steps_of(folder)]


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def left_on(*owners: Any) -> set[str]:
    """The methods that are still wrapped on these instances."""
    values: Iterable[tuple[str, Any]] = (v for o in owners for v in vars(o).items())
    return {name for name, value in values if hasattr(value, "layer")}


class NaNFrom(Trainer):  # type: ignore[misc]
    """A trainer whose training loss is NaN from one optimizer step on."""

    step = 0

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().compute_loss(*args, **kwargs)
        bad = self.model.training and self.state.global_step + 1 >= self.step
        return loss * float("nan") if bad else loss


def nan_from(step: int) -> type[NaNFrom]:
    return type("NaNFrom", (NaNFrom,), {"step": step})
