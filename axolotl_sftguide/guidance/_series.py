"""Runs that differ from one run in a single setting, in the order of its values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from ..config.differences import NO_SETTING, varied_keys
from ..evidence.effective_batch import KEY as BATCH_SIZE
from ._record import Other, Record, as_number

BATCH = "batch"
"""The setting of all keys that make up the samples of a step."""

_BATCH_KEYS = frozenset(
    (
        BATCH_SIZE,
        "micro_batch_size",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "train_batch_size",
    )
)
_NUMBERS = frozenset(
    (
        "learning_rate",
        "num_epochs",
        "num_train_epochs",
        "max_steps",
        "lora_r",
        "lora_alpha",
        "weight_decay",
        BATCH,
    )
)
"""Settings whose values have an order."""

_ALIKE = 0.05
"""Numbers of samples that differ by less count as the same."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a setting, and the runs that have it."""

    value: float
    score: float
    """The mean over the runs; higher is better."""
    runs: int
    edits: Mapping[str, Any] = field(default_factory=dict)
    """The keys that give this value to the run in question."""


@dataclass(frozen=True, slots=True)
class Series:
    """A setting with the scores of its values, and the place of the run's own."""

    key: str
    values: tuple[Value, ...]
    """Sorted by value."""
    own: int

    @property
    def best(self) -> int:
        """The place of the best value."""
        return max(range(len(self.values)), key=lambda i: self.values[i].score)


def series_of(record: Record, others: Sequence[Other]) -> Iterator[Series]:
    """For each setting in which single runs differ from this one, all its values."""
    if record.result is None:
        return
    found: dict[str, dict[float, list[float]]] = defaultdict(dict)
    edits: dict[tuple[str, float], dict[str, Any]] = {}
    repeats = [record.result.better]
    for other in others:
        if other.result.metric != record.result.metric:
            continue
        keys = differing(record.config, other.config)
        score = other.result.better
        if not keys:
            repeats.append(score)
            continue
        key, value = _single(record, other, keys)
        if key and value is not None:
            found[key].setdefault(value, []).append(score)
            edits[key, value] = {k: other.config.get(k) for k in keys}
    for key, by_value in found.items():
        mine = _own_value(record, key)
        if mine is None:
            continue
        by_value.setdefault(mine, []).extend(repeats)
        values = [
            Value(value, fmean(scores), len(scores), edits.get((key, value), {}))
            for value, scores in sorted(by_value.items())
        ]
        place = next(i for i, v in enumerate(values) if v.value == mine)
        yield Series(key, tuple(values), place)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The hyperparameters in which two configs differ, without seeds and names."""
    return [
        key
        for key in varied_keys([one, other])
        if key.rpartition(".")[2] not in NO_SETTING
        and not key.startswith(("wandb_", "mlflow_", "comet_"))
    ]


def _single(
    record: Record, other: Other, keys: Sequence[str]
) -> tuple[str, float | None]:
    """The one setting that differs, with the other run's value; empty if several do."""
    if set(keys) <= _BATCH_KEYS or _as_many_samples(record, other, set(keys)):
        return BATCH, None if other.samples is None else float(other.samples)
    if len(keys) != 1 or keys[0] not in _NUMBERS:
        return "", None
    return keys[0], as_number(other.config.get(keys[0]))


def _as_many_samples(record: Record, other: Other, keys: set[str]) -> bool:
    """Whether the batch differs, and `max_steps` makes up for it."""
    if not keys & _BATCH_KEYS or not keys <= _BATCH_KEYS | {"max_steps"}:
        return False
    steps = [as_number(c.get("max_steps")) for c in (record.config, other.config)]
    if not all(steps) or not record.samples or not other.samples:
        return False
    own, theirs = record.samples * (steps[0] or 0), other.samples * (steps[1] or 0)
    return abs(own - theirs) <= _ALIKE * own


def _own_value(record: Record, key: str) -> float | None:
    if key == BATCH:
        return None if record.samples is None else float(record.samples)
    return as_number(record.config.get(key))
