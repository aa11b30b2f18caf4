"""Compares a run with others: what differs, and whether it is beyond the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from ..evidence.effective_batch import KEY as BATCH_SIZE
from ..units import number
from ._noise import Noise, by_residuals, noise_of, of_losses
from ._record import Record
from ._series import BATCH, Series, Value, series_of
from ._text import shown

SAMPLES = "samples per step"
"""The name of the batch, where several keys make it up."""

_ORDERED = 4
"""So many values in order count where the noise is not measured."""


@dataclass(frozen=True)
class Comparison:
    """A run, and the runs that differ from it in a single setting."""

    record: Record
    series: tuple[Series, ...]
    noise: Noise | None
    """The noise of a score, by repeats or by its examples; None if it is unknown."""

    @classmethod
    def of(cls, record: Record) -> Comparison:
        """The comparison of a run with the runs in its record."""
        series = tuple(series_of(record, record.others))
        return cls(record, series, noise_of(record, record.others))

    def level(self, series: Series) -> Noise | None:
        """The noise of the scores along a setting."""
        points = [(math.log(v.value), v.score) for v in series.values if v.value > 0]
        found = self.noise or by_residuals(points)
        result = self.record.result
        return found or (of_losses(result) if result is not None else None)

    @property
    def ordered(self) -> bool:
        """Whether any setting has enough values to distinguish an order from chance."""
        return any(len(series.values) >= _ORDERED for series in self.series)

    @property
    def told(self) -> str:
        """The values of the first setting, with their scores."""
        first = self.series[0]
        name = name_of(self.record, first.key)
        metric = self.record.result.metric if self.record.result else "score"
        return f"{metric} by {name}: {listed(self.record, first)}"

    def tried(self) -> dict[str, list[float]]:
        """The values of each setting that were tried with all else equal."""
        return {
            name_of(self.record, series.key): [value.value for value in series.values]
            for series in self.series
        }


def is_clear(series: Series, worse: int, better: int, noise: Noise | None) -> bool:
    """Whether one value is better than another beyond the noise."""
    one, other = series.values[better], series.values[worse]
    comparisons = len(series.values) - 1
    if noise is not None and one.score - other.score > noise.least(
        one.runs, other.runs, comparisons
    ):
        return True
    measured = noise is not None and not noise.assumed
    return not measured and _in_order(series, worse, better)


def _in_order(series: Series, worse: int, better: int) -> bool:
    """Whether scores rise along all values, toward the better of two."""
    step = 1 if better > worse else -1
    scores = [v.score for v in series.values][::step]
    return len(scores) >= _ORDERED and all(a < b for a, b in pairwise(scores))


def is_bracketed(series: Series, noise: Noise) -> bool:
    """Whether the own value is best, and clearly better than both neighbours."""
    own = series.own
    if not 0 < own < len(series.values) - 1 or series.best != own:
        return False
    return all(is_clear(series, i, own, noise) for i in (own - 1, own + 1))


def name_of(record: Record, key: str) -> str:
    """The key of a setting in the config of the run."""
    if key != BATCH:
        return key
    return BATCH_SIZE if BATCH_SIZE in record.config else SAMPLES


def listed(record: Record, series: Series) -> str:
    """All values with their scores."""
    return ", ".join(
        f"{score_of(record, value)} with {shown(value.value)}"
        for value in series.values
    )


def score_of(record: Record, value: Value) -> str:
    """The score of a value, as it is recorded."""
    higher = record.result is None or record.result.higher_is_better
    return number(value.score if higher else -value.score)


def plain(value: float) -> float | int:
    """A whole number as an integer."""
    return int(value) if value == int(value) and abs(value) < 1e9 else value
