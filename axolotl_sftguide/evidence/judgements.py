"""What a table says of a claim: an estimate with its interval, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .intervals import Estimate

Verdict = Literal["holds", "does not hold", "unclear"]
Expectation = Literal["above", "below", "no worse", "at most", "alike"]

EXPECTATIONS: dict[Expectation, str] = {
    "above": "above {margin}",
    "below": "below {margin}",
    "no worse": "at least -{margin}",
    "at most": "at most {margin}",
    "alike": "between -{margin} and {margin}",
}
"""What the claim says of the value."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One estimate from one table, held against what a claim says."""

    claim: str
    """Key of the claim."""
    measure: str
    """What was estimated: a difference, a share or a correlation, with its unit."""
    setting: str
    """The runs from which it was estimated."""
    table: str
    """Key of the table."""
    value: float
    low: float
    high: float
    """The estimate and its 95% interval."""
    pairs: int
    """Number of pairs or runs."""
    resampled: str
    """The clusters that the interval resamples, such as `9 data sets`."""
    expects: Expectation
    margin: float
    """A difference that is too small to matter; the bound of `above` and `below`."""
    verdict: Verdict
    note: str = ""

    @property
    def expectation(self) -> str:
        """What the claim says of the value, in words."""
        return EXPECTATIONS[self.expects].format(margin=f"{self.margin:g}")

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def from_dict(values: Mapping[str, Any]) -> Judgement:
    """The opposite of `to_dict`."""
    return Judgement(**values)


def judge(
    estimate: Estimate | None,
    *,
    claim: str,
    measure: str,
    setting: str,
    table: str,
    clusters: str,
    expects: Expectation,
    margin: float = 0.0,
    note: str = "",
    digits: int = 2,
) -> list[Judgement]:
    """The judgement, or none if the runs are too few for an interval.

    Args:
        estimate: The value and its interval.
        claim: Key of the claim.
        measure: What was estimated.
        setting: The runs.
        table: Key of the table.
        clusters: What the interval resamples, in the plural.
        expects: What the claim says of the value.
        margin: A difference that is too small to matter; the bound of `above` and
            `below`.
        note: A restriction to name beside the verdict.
        digits: Decimals of the figures; the verdict is given on rounded ones, so that
            readers can check it.
    """
    if estimate is None:
        return []
    value, low, high = (
        round(x, digits) + 0.0 for x in (estimate.value, estimate.low, estimate.high)
    )
    return [
        Judgement(
            claim,
            measure,
            setting,
            table,
            value,
            low,
            high,
            estimate.count,
            f"{estimate.clusters} {clusters}",
            expects,
            margin,
            verdict(low, high, expects, margin),
            note,
        )
    ]


def verdict(low: float, high: float, expects: Expectation, margin: float) -> Verdict:
    """Whether an interval supports or contradicts what a claim expects.

    A claim holds if the whole interval is as expected, does not hold if none of it is,
    and is unclear in between.
    """
    least, most = {
        "above": (margin, None),
        "below": (None, margin),
        "no worse": (-margin, None),
        "at most": (None, margin),
        "alike": (-margin, margin),
    }[expects]
    strict = expects in ("above", "below")
    inside = (least is None or low > least or (low == least and not strict)) and (
        most is None or high < most or (high == most and not strict)
    )
    outside = (least is not None and high < least) or (most is not None and low > most)
    return "holds" if inside else "does not hold" if outside else "unclear"
