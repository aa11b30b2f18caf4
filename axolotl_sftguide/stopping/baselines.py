"""Baselines of a run: the best finished run, and quantiles over all finished runs.

`baselines` works on any `Curves`: the run history reads them with SQL, `RecordedRuns`
holds them in memory for the backtest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Any, Protocol, TypeVar

from ..config.rule_settings import EarlyTerminationSettings
from ..signals import Curve, Observation, Point, point_steps
from ..signals.cohort import EARLY, Cohort, doubt_of, grid
from ..signals.comparability import Candidate, Peer, effective_batch_size
from ..signals.curves import at_batch_ratio
from ..signals.forecast import EarlierRun, Forecast, earlier_run
from ..signals.regression import LEAST_POINTS

MOST_FORECASTING = 200
"""More earlier runs make a prediction hardly better, and their curves must be read."""

MOST_IN_COHORT = 1000
"""More earlier runs move a quantile by less than its noise, and each is read at every
point of the grid."""

_Values = TypeVar("_Values", bound=tuple[float, ...])


class Curves(Protocol):
    """Finished, scored and comparable runs with their curves."""

    def peers(self, candidate: Candidate) -> Sequence[Peer]:
        """The runs that the candidate may be compared with, oldest first."""
        ...

    def forecast_peers(self, candidate: Candidate) -> Sequence[Peer]:
        """The runs whose losses may predict the candidate's score, oldest first."""
        ...

    def settings(self, run_ids: Sequence[str]) -> Mapping[str, str]:
        """A key per run that its repeats share, by run id; empty if it is unknown.

        Repeats differ in seeds and names only.
        """
        ...

    def points(self, run_id: str) -> Sequence[Point]:
        """A run's stored curve, in order."""
        ...

    def span(self, run_ids: Sequence[str]) -> tuple[int, int] | None:
        """The fewest and the most samples seen at any point of these runs."""
        ...

    def at(
        self, samples_seen: Sequence[int], run_ids: Sequence[str]
    ) -> Iterator[Mapping[str, Point]]:
        """For each number of samples, the runs' curves there, by run id.

        Runs that start later or end earlier are left out.
        """
        ...


@dataclass(frozen=True)
class Baselines:
    """What a run is compared with; None for what does not exist."""

    reference: Curve | None = None
    cohort: Cohort | None = None
    forecast: Forecast | None = None


def baselines(
    candidate: Candidate, curves: Curves, settings: EarlyTerminationSettings
) -> Baselines:
    """The reference run and the cohort that the settings compare a candidate with.

    The best of all earlier runs is the reference. Cohort and forecast are of the newest
    ones, so that a start does not take longer with every run of a study.
    """
    peers = curves.peers(candidate)
    return Baselines(
        _reference(peers, curves, settings.comparison.reference),
        _cohort(peers[-MOST_IN_COHORT:], curves, settings.cohort.quantile),
        forecast_of(candidate, curves) if _predicts(settings) else None,
    )


def _reference(peers: Sequence[Peer], curves: Curves, which: str) -> Curve | None:
    """The peer with the best score, or the one that `which` names by id or name."""
    if which == "best":
        scored = [(peer.score, peer) for peer in peers if peer.score is not None]
        found = max(scored, key=lambda pair: pair[0], default=(None, None))[1]
    else:
        found = next((p for p in peers if which in (p.id, p.name)), None)
    points = () if found is None else tuple(curves.points(found.id))
    if found is None or not points:
        return None
    size = None if found.batch_ratio == 1 else found.batch_size
    return Curve(found.id, points, found.batch_ratio, size, found.point_steps)


def _predicts(settings: EarlyTerminationSettings) -> bool:
    """Whether the rule that needs the curves of all earlier runs is on."""
    return (settings.prediction.action or settings.action) != "off"


def forecast_of(
    candidate: Candidate, curves: Curves, known: dict[str, EarlierRun] | None = None
) -> Forecast | None:
    """The newest scored peers of a run with their losses at each look.

    Args:
        candidate: The run.
        curves: Where they are.
        known: Peers whose curves were read before, by id; new ones are added.
    """
    known = {} if known is None else known
    peers = curves.forecast_peers(candidate)
    scored = [peer for peer in peers if peer.score is not None][-MOST_FORECASTING:]
    settings = curves.settings([peer.id for peer in scored])
    if len({settings[peer.id] or peer.id for peer in scored}) < LEAST_POINTS:
        return None
    runs = []
    for peer in scored:
        assert peer.score is not None
        run = known.get(peer.id) or earlier_run(peer.id, 0.0, curves.points(peer.id))
        if run.first == run.first:  # a curve without points may still be entered
            known[peer.id] = run
        runs.append(replace(run, score=peer.score, setting=settings[peer.id]))
    return Forecast(tuple(runs), scored[0].metric, scored[0].sign)


def _cohort(peers: Sequence[Peer], curves: Curves, quantile: float) -> Cohort | None:
    """Quantiles over the peers, and whether their scores support the rule."""
    ratios = {peer.id: peer.batch_ratio for peer in peers}
    span = curves.span(list(ratios))
    if span is None:
        return None

    def read(samples_seen: Sequence[int]) -> Iterator[dict[str, Point]]:
        for points in curves.at(samples_seen, list(ratios)):
            restated = {i: at_batch_ratio(p, ratios[i]) for i, p in points.items()}
            yield {i: p for i, p in restated.items() if p is not None}

    first, last = span
    known = curves.settings(list(ratios))
    setting = {peer.id: known[peer.id] or peer.id for peer in peers}
    (early,) = read([first + round(EARLY * (last - first))])
    scored = [
        (setting[peer.id], (early[peer.id].loss, early[peer.id].grad_norm, peer.score))
        for peer in peers
        if peer.score is not None and peer.id in early
    ]
    where = grid(first, last)
    along = (
        (at, _means((setting[i], (p.loss, p.grad_norm)) for i, p in points.items()))
        for at, points in zip(where, read(where), strict=True)
    )
    return Cohort.of(along, quantile, doubt_of(_means(scored)))


def _means(values: Iterable[tuple[str, _Values]]) -> list[_Values]:
    """The mean over the runs of each setting: repeats are not independent."""
    found: dict[str, list[_Values]] = defaultdict(list)
    for setting, own in values:
        found[setting].append(own)
    means = (tuple(map(fmean, zip(*own, strict=True))) for own in found.values())
    return list(means)  # type: ignore[arg-type]


@dataclass(frozen=True)
class RecordedRun:
    """A finished run: its steps and a score, where higher is better."""

    id: str
    name: str
    score: float
    observations: tuple[Observation, ...]
    metric: str = "score"
    sign: float = 1.0
    """-1 if lower values of the metric are better, so that `score` is negated."""
    setting: str = ""
    """What it shares with the runs that differ from it in the seed only."""
    key: str = ""
    """Its comparability key."""
    key_fields: Mapping[str, Any] = field(default_factory=dict)
    """The fields from which the key is computed."""

    @property
    def steps(self) -> int:
        """The number of optimizer steps."""
        return self.observations[-1].step

    @cached_property
    def candidate(self) -> Candidate:
        """The run as one that is compared with others."""
        measured = any(o.grad_noise is not None for o in self.observations)
        return Candidate("", self.key, self.key_fields, measured, self.id)

    @cached_property
    def curve(self) -> Curve:
        """Its smoothed curve."""
        return Curve.of(self.id, self.observations, point_steps(self.steps))


class RecordedRuns:
    """Curves in memory: finished and scored runs of one study."""

    def __init__(self, runs: Sequence[RecordedRun]) -> None:
        self._runs = {run.id: run for run in runs}

    def peers(self, candidate: Candidate) -> list[Peer]:
        """The runs that are compared with the candidate, in the order of the runs."""
        return self._peers(candidate, candidate.batch_ratio_of)

    def forecast_peers(self, candidate: Candidate) -> list[Peer]:
        """The runs whose losses may predict the candidate's score."""
        return self._peers(candidate, candidate.forecast_ratio_of)

    def _peers(
        self,
        candidate: Candidate,
        ratio_of: Callable[[str, Mapping[str, Any]], float | None],
    ) -> list[Peer]:
        return [
            Peer(
                run.id,
                run.name,
                ratio,
                effective_batch_size(run.key_fields),
                run.score,
                run.metric,
                run.sign,
                run.curve.every,
            )
            for run in self._runs.values()
            if run.id != candidate.without
            and (ratio := ratio_of(run.key, run.key_fields)) is not None
        ]

    def settings(self, run_ids: Sequence[str]) -> dict[str, str]:
        """A key per run that its repeats share."""
        return {run_id: self._runs[run_id].setting for run_id in run_ids}

    def points(self, run_id: str) -> tuple[Point, ...]:
        """A run's curve, in order."""
        return self._runs[run_id].curve.points

    def span(self, run_ids: Sequence[str]) -> tuple[int, int] | None:
        """The fewest and the most samples seen at any point of these runs."""
        points = [self.points(run_id) for run_id in run_ids]
        ends = [p.samples_seen for own in points for p in (*own[:1], *own[-1:])]
        return (min(ends), max(ends)) if ends else None

    def at(
        self, samples_seen: Sequence[int], run_ids: Sequence[str]
    ) -> Iterator[dict[str, Point]]:
        """For each number of samples, the runs' curves there, by run id."""
        for samples in samples_seen:
            read = {i: self._runs[i].curve.at(samples) for i in run_ids}
            yield {i: point for i, point in read.items() if point is not None}
