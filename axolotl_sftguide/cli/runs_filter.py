"""Which runs `sftguide runs list` shows, and in which order."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..runs.history import Run

_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
FIELDS = ("started", "name", "status", "steps", "loss", "score")


class Since(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A date, or a time span before now, as seconds since 1970."""

    name = "when"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The moment that a text names."""
        if isinstance(value, float):
            return value
        span = re.fullmatch(r"(\d+)([mhdw])", str(value).strip())
        if span:
            return time.time() - int(span[1]) * _SECONDS[span[2]]
        try:
            return datetime.fromisoformat(str(value)).timestamp()
        except ValueError:
            self.fail(
                f"{value!r} is not a date or a time span; write 2026-11-26, or 12h, 7d "
                "or 2w",
                param,
                ctx,
            )


def chosen_runs(
    runs: Sequence[Run],
    *,
    status: str | None,
    key: str | None,
    since: float | None,
) -> list[Run]:
    """The runs with a status and a comparability key that started since a moment."""
    return [
        run
        for run in runs
        if (status is None or run.shown_status == status)
        and (key is None or run.key.startswith(key))
        and (since is None or run.started_at >= since)
    ]


def sorted_runs(
    runs: Sequence[Run], by: str, *, metric: str | None = None
) -> list[Run]:
    """The runs by a field, a metric or a key of their configs.

    The best score comes first, and the newest start; all else ascends. Runs without a
    value come last.

    Args:
        runs: The runs; with their configs to sort by a key.
        by: The field, the metric or the key.
        metric: The metric of `score`; the best shared one by default.

    Raises:
        click.BadParameter: If no run has such a field.
    """
    from ..runs.history import best_shared_metric

    metric = (metric or best_shared_metric(runs)) if by == "score" else by
    values = [_value(run, by, metric) for run in runs]
    if runs and all(value is None for value in values) and by not in FIELDS:
        raise click.BadParameter(
            f"no run has {by!r}; sort by {', '.join(FIELDS)}, a metric, or a key of "
            "the configs",
            param_hint="--sort",
        )
    known = [(value, run) for value, run in zip(values, runs, strict=True) if value]
    numeric = all(isinstance(value[0], float) for value, _ in known)
    known.sort(key=lambda pair: pair[0] if numeric else (str(pair[0][0]),))
    return [run for _, run in known] + [
        run for value, run in zip(values, runs, strict=True) if not value
    ]


def _value(run: Run, by: str, metric: str | None) -> tuple[Any] | None:
    """What a run is sorted by, ascending; None if it has no such value."""
    from ..config.differences import flatten

    simple = {
        "started": -run.started_at,
        "name": run.name,
        "status": run.shown_status,
        "steps": float(run.step),
        "loss": run.loss,
    }
    found: Any = simple.get(by)
    if by not in simple:
        score = run.score(metric)
        if score is not None:
            found = -score.value if score.goal == "max" else score.value
        elif by != "score":
            found = flatten(run.config).get(by)
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return None if math.isnan(found) else (float(found),)
    return None if found is None else (found,)
