"""What earlier runs predicted of a run's score, beside the score that came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..config.differences import setting_of
from ..runs.history import Run
from ..signals import Point
from ..signals.comparability import forecast_key
from ..signals.forecast import EarlierRun, Forecast, Outlook, earlier_run
from ._thin import rounded

_MOST_RUNS = 200
"""As for a live run, the newest runs that a prediction rests on."""


@dataclass(frozen=True)
class _Scored:
    run: Run
    ended_at: float
    sign: float
    past: EarlierRun
    key: str | None
    """Shared with the runs that may predict its score."""


def predictions(
    runs: Sequence[Run], metric: str | None, points: Mapping[str, Sequence[Point]]
) -> dict[str, list[dict[str, Any]]]:
    """By run id, the prediction at each look by the runs that had ended before.

    Only finished runs with a score on the metric take part. The regression is that of
    the rule `prediction`; a run that was too early to be predicted is left out.

    Args:
        runs: The runs of a study.
        metric: The metric of the report, beside whose scores the predictions stand.
        points: The curve of each of them, by run id.
    """
    scored = [s for run in runs if (s := _scored(run, metric, points)) is not None]
    by_key: dict[str, list[_Scored]] = defaultdict(list)
    found = {}
    for one in sorted(scored, key=lambda s: s.run.started_at):
        if one.key is None:
            continue
        before = by_key[one.key]
        ended = (o for o in reversed(before) if o.ended_at <= one.run.started_at)
        looks = _looks(one, list(islice(ended, _MOST_RUNS))[::-1])
        before.append(one)
        if looks:
            found[one.run.id] = looks
    return found


def taking_part(
    runs: Sequence[Run], metric: str | None, shown: Collection[str]
) -> list[str]:
    """The ids of the runs that are predicted, and of those that predict them.

    Args:
        runs: The runs of a study, oldest first; their configs are not needed.
        metric: The metric of the report.
        shown: The ids of the runs whose predictions are shown.
    """
    by_key: dict[str | None, list[Run]] = defaultdict(list)
    for run in runs:
        if _takes_part(run, metric):
            by_key[forecast_key(run.key_fields)].append(run)
    found = []
    for own in by_key.values():
        at = [i for i, run in enumerate(own) if run.id in shown]
        begin = max(0, at[0] - 2 * _MOST_RUNS) if at else len(own)
        found += [run.id for run in own[begin:]]
    return found


def _takes_part(run: Run, metric: str | None) -> bool:
    score = run.score(metric)
    scored = metric is not None and score is not None and score.value == score.value
    return scored and run.status == "finished" and run.comparable


def _scored(
    run: Run, metric: str | None, points: Mapping[str, Sequence[Point]]
) -> _Scored | None:
    score, own = run.score(metric), points.get(run.id)
    if not own or score is None or not _takes_part(run, metric):
        return None
    sign = 1.0 if score.goal == "max" else -1.0
    setting = setting_of(run.config) if run.config else ""
    past = earlier_run(run.id, sign * score.value, own, setting)
    ended_at = run.ended_at or run.heartbeat_at
    return _Scored(run, ended_at, sign, past, forecast_key(run.key_fields))


def _looks(one: _Scored, earlier: Sequence[_Scored]) -> list[dict[str, Any]]:
    forecast = Forecast(tuple(other.past for other in earlier), sign=one.sign)
    found = []
    for look, loss in enumerate(one.past.losses):
        outlook = forecast.outlook(look, loss, one.past.first)
        if outlook is not None:
            found.append(_plain(outlook, one.sign))
    return found


def _plain(outlook: Outlook, sign: float) -> dict[str, Any]:
    low, high = sorted((sign * outlook.low, sign * outlook.high))
    return {
        "share": outlook.share,
        "predicted": rounded(sign * outlook.score),
        "low": rounded(low),
        "high": rounded(high),
        "chance": rounded(outlook.chance, 2),
        "runs": outlook.runs,
    }
