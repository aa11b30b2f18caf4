"""What came of the advice of `sftguide next`, and of two baselines, on a study."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from advice_studies import BATCH, RATE, Case

from axolotl_sftguide.evidence.intervals import resampled
from axolotl_sftguide.guidance import Advice, Other, guide

DRAWS = 2
"""How often other runs are drawn for a run."""

CONVENTION = {"adapter": 2e-4, "full": 2e-5}
"""The usual learning rates, for the baseline."""


@dataclass(frozen=True)
class Outcome:
    """An advice that could be followed, and what came of it."""

    by: str
    """The rule, or a baseline."""
    key: str
    cluster: str
    gain: float
    """The score of those that followed it minus that of the run, in units of noise."""


def outcomes(
    cases: Sequence[Case], draw: random.Random, shown: int
) -> Iterator[Outcome]:
    """What came of the advice on each run of a study, and of the baselines there.

    Args:
        cases: The runs of the study.
        draw: Draws the runs that are shown.
        shown: How many other settings are shown.
    """
    settings = sorted({case.record.setting for case in cases})
    for case in cases:
        for _ in range(DRAWS if shown else 1):
            rest = [s for s in settings if s != case.record.setting]
            drawn = set(draw.sample(rest, min(shown, len(rest))))
            drawn |= {case.record.setting} if shown else set()
            seen = _without_one_repeat(
                [c for c in cases if c is not case and c.record.setting in drawn], draw
            )
            unseen = [c for c in cases if c is not case and c not in seen]
            record = replace(case.record, others=tuple(map(_other, seen)))
            found = list(guide(record).advice)
            yield Outcome("silent" if not found else "spoke", "", case.cluster, 0.0)
            for advice in found:
                yield from _of_advice(case, advice, unseen)


def everywhere(cases: Sequence[Case], key: str) -> Iterator[Outcome]:
    """Both baselines on every run of a study, also where nothing is advised."""
    for case in cases:
        others = [c for c in cases if c is not case]
        yield from _baselines(case, key, others, "everywhere")


def _of_advice(case: Case, advice: Advice, unseen: Sequence[Case]) -> Iterator[Outcome]:
    """What came of an advice, and of the baselines on the same run."""
    rule, key = advice.rule, advice.key
    gain = _followed(case, advice, unseen)
    if gain is None:
        yield Outcome(f"{rule}: nobody followed", key, case.cluster, 0.0)
        return
    yield Outcome(rule, key, case.cluster, gain)
    if not advice.direction:
        gains = [g for c in unseen if (g := _gain(case, [c])) is not None]
        yield Outcome(f"{rule}: at random", key, case.cluster, fmean(gains))
        return
    yield from _baselines(case, key, unseen, rule)


def _baselines(
    case: Case, key: str, unseen: Sequence[Case], rule: str
) -> Iterator[Outcome]:
    """A random other value of a setting, and the usual rate."""
    values = {_value(c, key) for c in unseen} - {None}
    changes = {
        value: gain
        for value in values
        if value is not None
        if (gain := _change(case, key, value, unseen)) is not None
    }
    for gain in changes.values():
        yield Outcome(f"{rule}: at random", key, case.cluster, gain)
    to, mine = CONVENTION.get(case.record.training), case.record.rate
    if key == RATE and to and mine and changes:
        # It leaves a run alone whose rate is the nearest to the convention's.
        near = min({*changes, mine}, key=lambda value: abs(math.log(value / to)))
        if near != mine:
            yield Outcome(f"{rule}: convention", key, case.cluster, changes[near])


def _other(case: Case) -> Other:
    record = case.record
    assert record.result is not None
    return Other("a run", record.setting, record.config, record.result, record.samples)


def _without_one_repeat(seen: Sequence[Case], draw: random.Random) -> list[Case]:
    """Of repeats, one stays unseen, so that each setting can be followed."""
    by_setting = defaultdict(list)
    for case in seen:
        by_setting[case.record.setting].append(case)
    kept = []
    for repeats in by_setting.values():
        if len(repeats) > 1:
            repeats = draw.sample(repeats, len(repeats) - 1)
        kept += repeats
    return kept


def _followed(case: Case, advice: Advice, unseen: Sequence[Case]) -> float | None:
    """The gain of the nearest unseen run that did as it was advised."""
    if advice.rule == "best-run":
        return _gain(case, [c for c in unseen if _has(c, dict(advice.edits))])
    if not advice.direction:
        return None
    if advice.rule == "neighbours":
        return _change(case, advice.key, float(advice.to), unseen)
    to = float(advice.to) if advice.to is not None else None
    return _gain(case, _in_direction(case, advice.key, advice.direction, to, unseen))


def _change(case: Case, key: str, value: float, unseen: Sequence[Case]) -> float | None:
    """The gain of a change to one value, by runs that were not shown.

    If all runs with this value and all else equal were shown, the same change is looked
    at where another setting differs, which is as good as a repeat.
    """
    mine = _value(case, key)
    if value == mine:
        return None
    rest = _rest(case, key)
    exact = [c for c in unseen if _value(c, key) == value and _rest(c, key) == rest]
    if exact:
        return _gain(case, exact)
    gains = list(_elsewhere(case, key, value, unseen))
    return fmean(gains) if gains else None


def _gain(case: Case, took: Sequence[Case]) -> float | None:
    if not took:
        return None
    return (fmean(c.better for c in took) - case.better) / case.unit


def _elsewhere(
    case: Case, key: str, to: float, unseen: Sequence[Case]
) -> Iterator[float]:
    """The gain of the same change where one other setting is different."""
    mine = _value(case, key)
    after = {_rest(c, key): c for c in unseen if _value(c, key) == to}
    for before in unseen:
        rest = _rest(before, key)
        if _value(before, key) == mine and rest in after and rest != _rest(case, key):
            yield (after[rest].better - before.better) / case.unit


def _has(case: Case, edits: dict[str, Any]) -> bool:
    return all(case.record.config.get(key) == value for key, value in edits.items())


def _in_direction(
    case: Case, key: str, direction: str, to: float | None, unseen: Sequence[Case]
) -> list[Case]:
    """The unseen runs at the value nearest to the advised one, all else equal."""
    mine = _value(case, key)
    if mine is None:
        return []
    found: dict[float, list[Case]] = defaultdict(list)
    for other in unseen:
        theirs = _value(other, key)
        if theirs is None or theirs == mine or _rest(case, key) != _rest(other, key):
            continue
        if (theirs > mine) == (direction == "higher"):
            found[theirs].append(other)
    goal = math.log(to) if to else math.log(mine)
    nearest = min(found, key=lambda value: abs(math.log(value) - goal), default=None)
    return [] if nearest is None else found[nearest]


def _value(case: Case, key: str) -> float | None:
    value = case.record.samples if key == BATCH else case.record.config.get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _rest(case: Case, key: str) -> str:
    left = {"seed", key} | ({"micro_batch_size"} if key == BATCH else set())
    kept = {k: str(v) for k, v in case.record.config.items() if k not in left}
    return repr(sorted(kept.items()))


def summary(found: Sequence[Outcome]) -> dict[str, Any]:
    """Share better and mean gain, each with an interval that resamples clusters."""
    by_cluster = defaultdict(list)
    for outcome in found:
        by_cluster[outcome.cluster].append(outcome.gain)
    cells = [
        ((cluster,), (len(gains), sum(g > 0 for g in gains), math.fsum(gains)))
        for cluster, gains in by_cluster.items()
    ]
    answer: dict[str, Any] = {"advice": len(found), "clusters": len(cells)}
    for place, name in ((1, "better"), (2, "gain")):
        answer[name] = _ratio(place, [sums for _, sums in cells])
        estimate = resampled(cells, partial(_ratio, place))
        answer[f"{name}_interval"] = estimate and [estimate.low, estimate.high]
    return answer


def _ratio(place: int, sums: Sequence[tuple[float, ...]]) -> float:
    return math.fsum(s[place] for s in sums) / math.fsum(s[0] for s in sums)
