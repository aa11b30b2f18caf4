"""Curves: points written as a run trains, and read for many runs at once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from ...signals import Point, interpolate
from . import _tables as t
from ._rows import fault_of


def add_points(connection: sa.Connection, run_id: str, points: Sequence[Point]) -> None:
    """Extend a run's curve; points at and after the first new one are replaced."""
    if not points:
        return
    # One point for each number of samples; a resume may repeat some.
    points = list({point.samples_seen: point for point in points}.values())
    outdated = t.points.c.samples_seen >= points[0].samples_seen
    connection.execute(sa.delete(t.points).where(t.points.c.run_id == run_id, outdated))
    rows = [{"run_id": run_id, **asdict(point)} for point in points]
    connection.execute(sa.insert(t.points), rows)


def read_points(connection: sa.Connection, run_id: str) -> list[Point]:
    """A run's curve, in order."""
    query = (
        sa.select(t.points)
        .where(t.points.c.run_id == run_id)
        .order_by(t.points.c.samples_seen)
    )
    rows = connection.execute(query).mappings()
    return [_point(row) for row in rows if fault_of(t.points, row) is None]


def span_of(
    connection: sa.Connection, run_ids: Sequence[str]
) -> tuple[int, int] | None:
    """The fewest and the most samples seen at any point of some runs."""
    samples = t.points.c.samples_seen
    ends = sa.select(sa.func.min(samples), sa.func.max(samples))
    first, last = connection.execute(ends.where(t.points.c.run_id.in_(run_ids))).one()
    return None if first is None else (first, last)


def read_at(
    connection: sa.Connection, samples_seen: int, run_ids: Sequence[str]
) -> dict[str, Point]:
    """The runs' curves at a number of samples, by run id.

    Takes two seeks per run in the primary key, however long the curves are.
    """
    if not run_ids:
        return {}

    def nearest(before: bool) -> sa.Select[Any]:
        own = t.points.alias()
        limit = own.c.samples_seen <= samples_seen
        order = own.c.samples_seen.desc()
        if not before:
            limit, order = own.c.samples_seen >= samples_seen, own.c.samples_seen.asc()
        seek = (
            sa.select(own.c.samples_seen)
            .where(own.c.run_id == t.runs.c.id, limit)
            .order_by(order)
            .limit(1)
            .scalar_subquery()
        )
        return (
            sa.select(t.points)
            .select_from(t.runs)
            .join(
                t.points,
                sa.and_(
                    t.points.c.run_id == t.runs.c.id, t.points.c.samples_seen == seek
                ),
            )
            .where(t.runs.c.id.in_(run_ids))
        )

    def read(before: bool) -> dict[str, Point]:
        rows = connection.execute(nearest(before)).mappings()
        whole = (row for row in rows if fault_of(t.points, row) is None)
        return {row["run_id"]: _point(row) for row in whole}

    left, right = read(True), read(False)
    return {
        run_id: interpolate(left[run_id], right[run_id], samples_seen)
        for run_id in left.keys() & right.keys()
    }


def read_curves(
    connection: sa.Connection, run_ids: Sequence[str], most: int
) -> dict[str, list[Point]] | None:
    """The whole curves of some runs; None if they have more points together."""
    own = t.points.c.run_id.in_(run_ids)
    # Counted up to the limit only.
    some = sa.select(t.points.c.run_id).where(own).limit(most + 1).subquery()
    count = sa.select(sa.func.count()).select_from(some)
    if connection.execute(count).scalar_one() > most:
        return None
    query = sa.select(t.points).where(own)
    query = query.order_by(t.points.c.run_id, t.points.c.samples_seen)
    found: dict[str, list[Point]] = {}
    for row in connection.execute(query).mappings():
        if fault_of(t.points, row) is None:
            found.setdefault(row["run_id"], []).append(_point(row))
    return found


def points_at(curves: dict[str, list[Point]], samples_seen: int) -> dict[str, Point]:
    """As `read_at`, from whole curves."""
    found = {}
    for run_id, points in curves.items():
        right = bisect_left(points, samples_seen, key=lambda point: point.samples_seen)
        exact = right < len(points) and points[right].samples_seen == samples_seen
        left = right if exact else right - 1
        if left >= 0 and right < len(points):
            found[run_id] = interpolate(points[left], points[right], samples_seen)
    return found


def _point(row: Any) -> Point:
    return Point(row["samples_seen"], row["loss"], row["grad_norm"], row["grad_noise"])
