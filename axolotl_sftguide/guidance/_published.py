"""Changes of values that published evidence advises against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..advice import advise
from ..evidence import is_small
from ..units import count
from ._advice import Advice, Direction, Reason
from ._record import Record
from ._text import shown

_DIRECTIONS: dict[str, Direction] = {
    "rate-adapter-low": "higher",
    "rate-adapter-high": "lower",
    "rate-full-high": "lower",
    "batch-adapter-large": "lower",
    "batch-large-few-rows": "lower",
}
"""Findings of `sftguide check` on numbers, and what they ask for."""

_RATES = {"rate-adapter-low": 2e-4, "rate-adapter-high": 2e-4, "rate-full-high": 2e-5}
"""The rates at which these findings ask to start."""

_AS_IT_IS = (
    "lora_r",
    "lora_alpha",
    "peft_use_rslora",
    "loraplus_lr_ratio",
    "rl",
    "sample_packing",
    "datasets",
    "unfrozen_parameters",
    "use_onebitllms",
)
"""Keys of Axolotl on which these findings depend."""

_MANY_EPOCHS = 4.5
"""In half of a table of 1,016 fine-tunes, reasoning gained by fewer than these, and
chat by more (benchmarks/next_advice.py); between two and four, reasoning hardly did."""

_LARGE = 200_000
"""With so many rows, the paper trained longer."""


def published(record: Record) -> Iterator[Advice]:
    """Findings of `check` that concern a number of the run, and its epochs."""
    if record.training in ("full", "adapter") and not is_small(record.parameters):
        yield from _findings(record)
    yield from _epochs(record)


def _findings(record: Record) -> Iterator[Advice]:
    for finding in advise(
        _as_axolotl(record), rows=record.rows, parameters=record.parameters
    ):
        direction = _DIRECTIONS.get(finding.id)
        if direction is None or finding.weight > 1:
            continue
        if finding.id == "rate-full-high" and record.host != "axolotl":
            continue  # it may train on plain text, at the rates of pre-training
        to = _RATES.get(finding.id)
        yield Advice(
            finding.id,
            finding.path,
            finding.remedy[:1].lower() + finding.remedy[1:],
            (Reason(finding.problem, finding.claim or ""),),
            "moderate",
            now=finding.value,
            to=to,
            direction=direction,
            edits={} if to is None else {record.names.rate: to},
        )


def _epochs(record: Record) -> Iterator[Advice]:
    """Fewer epochs for reasoning, more for chat, where the goal is known."""
    epochs = record.epochs
    if (
        epochs is None
        or is_small(record.parameters)
        or (record.rows or 0) >= _LARGE
        or record.done < 0.99
    ):
        return
    if record.goal == "reasoning" and epochs >= _MANY_EPOCHS:
        to, text = 2, "GSM8K and MBPP fell after the second in published runs"
    elif record.goal == "style" and epochs < _MANY_EPOCHS:
        to, text = 6, "chat scores rose to the tenth epoch in published runs"
    else:
        return
    key, value = record.length(to)
    yield Advice(
        f"epochs-{record.goal}",
        key,
        f"set {key}: {shown(value)}"
        + (f", {to} epochs" if key != record.names.epochs else "")
        + (", and score the checkpoint of each epoch" if to > 2 else ""),
        (
            Reason(
                f"{round(epochs, 1):g} epochs of {count(record.rows)} rows were "
                f"trained; {text}",
                "two-epochs",
            ),
        ),
        "moderate",
        now=record.config.get(key),
        to=value,
        direction="lower" if to < epochs else "higher",
        edits={key: value},
    )


def _as_axolotl(record: Record) -> dict[str, Any]:
    """The numbers of the run under Axolotl's names, for `check`."""
    config, names = record.config, record.names
    found = {
        "learning_rate": config.get(names.rate),
        "optimizer": config.get("optimizer") or config.get("optim"),
        "micro_batch_size": config.get(names.micro),
        "gradient_accumulation_steps": config.get(names.accumulation),
        **{key: config.get(key) for key in _AS_IT_IS},
    }
    if record.training == "adapter":
        found["adapter"] = config.get("adapter") or "lora"
    return {key: value for key, value in found.items() if value is not None}
