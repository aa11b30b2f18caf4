"""The recorded runs that a backtest replays, in groups that may be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .common import echo

if TYPE_CHECKING:
    from ..runs.history import Run
    from ..stopping.baselines import RecordedRun


@dataclass(frozen=True)
class Group:
    """Runs of one base model and data, with a score on one metric.

    A live run is compared with those of them that have its comparability key, and its
    score is predicted from all of them. The replay picks its peers by the same code.
    """

    runs: Sequence[RecordedRun]
    metric: str
    others: Sequence[str] = ()
    """Other metrics on which these runs have a score."""

    @property
    def keys(self) -> int:
        """The number of comparability keys."""
        return len({run.key for run in self.runs})


def groups_of(runs: Iterable[Run], metric: str | None) -> list[Group]:
    """The finished, scored and traced runs, the largest group first.

    Args:
        runs: The runs of a study.
        metric: The score to use; by default the one that a live run would be compared
            by: the one that the settings of the group's runs name, or else the one that
            most of them have.
    """
    from ..runs.history import chosen_metric
    from ..signals.comparability import forecast_key

    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        if run.status == "finished" and run.comparable and run.trace_path:
            found[forecast_key(run.key_fields) or run.key].append(run)
    groups = []
    for own in found.values():
        chosen = metric or chosen_metric(own) or ""
        read = [run for run in (_recorded(run, chosen) for run in own) if run]
        if read:
            names = {score.metric for run in own for score in run.scores}
            groups.append(Group(read, chosen, sorted(names - {chosen})))
    return sorted(groups, key=lambda group: -len(group.runs))


def _recorded(run: Run, metric: str) -> RecordedRun | None:
    """The steps and the score of a run; None if it lacks one of them."""
    from ..config.differences import setting_of
    from ..errors import TraceError
    from ..runs.traces import read_trace
    from ..stopping.baselines import RecordedRun

    score = run.score(metric)
    if score is None or score.value != score.value:
        return None
    try:
        observations = read_trace(run.trace_path or "").observations
    except TraceError as error:
        echo(f"skipped: {error}", err=True)
        return None
    if not observations:
        return None
    sign = 1.0 if score.goal == "max" else -1.0
    return RecordedRun(
        run.id,
        run.name,
        sign * score.value,
        observations,
        metric,
        sign,
        setting_of(run.config) if run.config else "",
        run.key,
        run.key_fields,
    )
