"""Queries for the earlier runs that a run is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ...config.differences import setting_of
from ...signals import point_steps
from ...signals.comparability import Candidate, Peer, effective_batch_size
from . import _tables as t
from ._read import by_run, parts
from ._records import Score, scores_on, shared_metric
from ._rows import fault_of


def read_peers(
    connection: sa.Connection, candidate: Candidate, *, forecast: bool = False
) -> list[Peer]:
    """The finished, scored and comparable runs of the candidate's study.

    Args:
        forecast: Take all runs whose losses may predict the candidate's score, not
            only those with its comparability key.
    """
    finished = (
        t.runs.c.study == candidate.study,
        t.runs.c.id != candidate.without,
        t.runs.c.status == "finished",
        t.runs.c.comparable,
    )
    query = (
        sa.select(
            t.runs.c.id,
            t.runs.c.name,
            t.runs.c.key,
            t.runs.c.key_fields,
            t.runs.c.max_steps,
        )
        .where(*finished, t.runs.c.id.in_(sa.select(t.scores.c.run_id)))
        .order_by(t.runs.c.started_at, t.runs.c.id)
    )
    if candidate.fields is None:
        query = query.where(t.runs.c.key == candidate.key)
    found = connection.execute(query).all()
    rows = [row for row in found if fault_of(t.runs, row._mapping) is None]
    ratio_of = candidate.forecast_ratio_of if forecast else candidate.batch_ratio_of
    ratios: dict[str, float] = {}
    known: dict[str, tuple[Any, float | None]] = {}
    for row in rows:
        # Thousands of runs share a few keys, and to compare two takes hashes.
        fields, ratio = known.get(row.key, (None, None))
        if fields is None or fields != row.key_fields:
            ratio = ratio_of(row.key, row.key_fields)
            known[row.key] = row.key_fields, ratio
        if ratio is not None:
            ratios[row.id] = ratio
    # By the same conditions, as the ids may be more than fit in a query.
    scored = (
        sa.select(t.scores)
        .where(t.scores.c.run_id.in_(sa.select(t.runs.c.id).where(*finished)))
        .order_by(t.scores.c.recorded_at)
    )
    recorded = connection.execute(scored).mappings()
    every = by_run(Score, (r for r in recorded if fault_of(t.scores, r) is None))
    scores = {run_id: own for run_id, own in every.items() if run_id in ratios}
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
            point_steps(row.max_steps),
        )
        for row in rows
        if row.id in ratios
    ]


def read_settings(connection: sa.Connection, run_ids: Sequence[str]) -> dict[str, str]:
    """A key per run that its repeats share, by run id; empty without a config."""
    found: dict[str, str] = {}
    for some in parts(run_ids):
        query = sa.select(t.runs.c.id, t.runs.c.config).where(t.runs.c.id.in_(some))
        for row in connection.execute(query):
            whole = fault_of(t.runs, row._mapping) is None and row.config
            found[row.id] = setting_of(row.config) if whole else ""
    return found
