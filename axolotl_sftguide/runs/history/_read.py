"""Queries for runs, and for the peers that a run is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from ...config.differences import setting_of
from ...signals import point_steps
from ...signals.comparability import Candidate, Peer, effective_batch_size
from . import _tables as t
from ._records import Decision, Run, Score, scores_on, shared_metric
from ._rows import Unread, fault_of, read_rows


def read_runs(
    connection: sa.Connection, study: str | None = None, key: str | None = None
) -> tuple[list[Run], list[Unread]]:
    """The runs of a study and key with scores and decisions, oldest first.

    Returns:
        The runs, and the rows that cannot be read, which are left out.
    """
    unread: list[Unread] = []
    where = {"study": study, "key": key}
    where = {name: value for name, value in where.items() if value is not None}
    rows = read_rows(connection, t.runs, ["started_at", "id"], unread, **where)
    scores = _by_run(Score, read_rows(connection, t.scores, ["recorded_at"], unread))
    decisions = _by_run(Decision, read_rows(connection, t.decisions, ["id"], unread))
    tags: dict[str, list[str]] = defaultdict(list)
    for tag in read_rows(connection, t.tags, ["tag"], unread):
        tags[tag["run_id"]].append(tag["tag"])
    runs = [
        Run(
            **row,
            scores=tuple(scores.get(row["id"], ())),
            decisions=tuple(decisions.get(row["id"], ())),
            tags=tuple(tags.get(row["id"], ())),
        )
        for row in rows
    ]
    return runs, unread


def read_peers(
    connection: sa.Connection, candidate: Candidate, *, forecast: bool = False
) -> list[Peer]:
    """The finished, scored and comparable runs of the candidate's study.

    Args:
        forecast: Take all runs whose losses may predict the candidate's score, not
            only those with its comparability key.
    """
    scored = sa.select(t.scores.c.run_id)
    query = (
        sa.select(
            t.runs.c.id,
            t.runs.c.name,
            t.runs.c.key,
            t.runs.c.key_fields,
            t.runs.c.config,
            t.runs.c.max_steps,
        )
        .where(t.runs.c.study == candidate.study, t.runs.c.id != candidate.without)
        .where(t.runs.c.status == "finished", t.runs.c.comparable)
        .where(t.runs.c.id.in_(scored))
        .order_by(t.runs.c.started_at, t.runs.c.id)
    )
    if candidate.fields is None:
        query = query.where(t.runs.c.key == candidate.key)
    found = connection.execute(query).all()
    rows = [row for row in found if fault_of(t.runs, row._mapping) is None]
    ratios: dict[str, float] = {}
    ratio_of = candidate.forecast_ratio_of if forecast else candidate.batch_ratio_of
    for row in rows:
        ratio = ratio_of(row.key, row.key_fields)
        if ratio is not None:
            ratios[row.id] = ratio
    query = (
        sa.select(t.scores)
        .where(t.scores.c.run_id.in_(list(ratios)))
        .order_by(t.scores.c.recorded_at)
    )
    recorded = connection.execute(query).mappings()
    scores = _by_run(Score, (r for r in recorded if fault_of(t.scores, r) is None))
    metric, goal = candidate.metric or shared_metric(scores.values()), "max"
    for score in (s for own in scores.values() for s in own if s.metric == metric):
        goal = score.goal
    shared = scores_on(metric, scores)
    return [
        Peer(
            row.id,
            row.name,
            ratios[row.id],
            effective_batch_size(row.key_fields),
            shared.get(row.id),
            metric or "score",
            1.0 if goal == "max" else -1.0,
            setting_of(row.config) if row.config else "",
            point_steps(row.max_steps),
        )
        for row in rows
        if row.id in ratios
    ]


def matching(runs: Sequence[Run], run_id: str) -> list[Run]:
    """The runs with this id, else those whose id starts with it or with this name."""
    if run_id == "latest":
        return list(runs[-1:])
    return [r for r in runs if r.id == run_id] or [
        r for r in runs if r.id.startswith(run_id) or r.name == run_id
    ]


def _by_run(kind: type[Any], rows: Iterable[Any]) -> dict[str, list[Any]]:
    """Scores or decisions by the id of their run, in order."""
    names = tuple(kind.__dataclass_fields__)
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["run_id"]].append(kind(**{name: row[name] for name in names}))
    return found
