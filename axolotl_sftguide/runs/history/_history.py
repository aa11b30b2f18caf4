"""Runs, scores and decisions, entered and asked for."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ...errors import StorageError, TraceError
from ...signals import Point, points_of
from ...signals.comparability import Candidate, Peer, effective_batch_size
from ..traces import Trace, TraceWriter
from . import _tables as t
from ._curves import add_points, point_of, read_at, span_of
from ._database import Database
from ._records import Decision, Run, Score, Status, shared_scores

_RUN_COLUMNS = frozenset(column.name for column in t.runs.columns)
_NEEDED = frozenset(
    "id name study key key_fields comparable host config output_dir hostname "
    "process_id process_started_at started_at max_steps".split()
)


class RunHistory:
    """Runs, their scores and the decisions on them, in one database.

    Args:
        storage: URL or path; see `resolve_storage`.

    Raises:
        StorageError: Where it cannot be opened, or is of a newer version.
    """

    def __init__(self, storage: str | None = None) -> None:
        self._database = Database(storage)

    @property
    def url(self) -> str:
        """Where it lies; a password in it is left out."""
        return self._database.url

    def close(self) -> None:
        """Release the database."""
        self._database.close()

    def begin(self, run: Mapping[str, Any]) -> None:
        """Enter a run, or enter it again after a resume."""
        with self._database.writing() as connection:
            self._begin(connection, run)

    def progress(self, run_id: str, **values: Any) -> None:
        """Note a run's last step, samples seen, loss, gradient norm and pace.

        Raises:
            StorageError: Where the run is not in the history.
        """
        with self._database.writing() as connection:
            self._update(connection, run_id, heartbeat_at=time.time(), **values)

    def end(
        self,
        run_id: str,
        status: Status,
        reason: str | None = None,
        *,
        at: float | None = None,
    ) -> None:
        """Note how a run ended, and when; by default now.

        Raises:
            StorageError: Where the run is not in the history.
        """
        ended_at = time.time() if at is None else at
        with self._database.writing() as connection:
            self._update(
                connection, run_id, status=status, reason=reason, ended_at=ended_at
            )

    def add_score(self, run_id: str, score: Score) -> None:
        """Record a score; the same metric again replaces it.

        Raises:
            StorageError: Where the run is not in the history.
        """
        with self._database.writing() as connection:
            self._add_score(connection, run_id, score)

    def score_run(self, run: Run, score: Score) -> None:
        """Record a score in the history and in the run's trace, where there is one.

        The trace is the truth: a lost history comes back with its scores.
        """
        self.add_score(run.id, score)
        if run.trace_path is not None and Path(run.trace_path).is_file():
            writer = TraceWriter(Path(run.trace_path))
            writer.event("score", **asdict(score))
            writer.close()

    def add_decision(self, run_id: str, decision: Decision) -> None:
        """Record what a rule decided; the same again replaces it.

        Raises:
            StorageError: Where the run is not in the history.
        """
        with self._database.writing() as connection:
            self._add_decision(connection, run_id, decision)

    def runs(self, *, study: str | None = None, key: str | None = None) -> list[Run]:
        """The runs of a study and key, oldest first."""
        query = sa.select(t.runs).order_by(t.runs.c.started_at, t.runs.c.id)
        if study is not None:
            query = query.where(t.runs.c.study == study)
        if key is not None:
            query = query.where(t.runs.c.key == key)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
            query = sa.select(t.scores).order_by(t.scores.c.recorded_at)
            scores = _records(Score, connection.execute(query).mappings())
            query = sa.select(t.decisions).order_by(t.decisions.c.id)
            decisions = _records(Decision, connection.execute(query).mappings())
        return [
            Run(
                **row,
                scores=tuple(scores.get(row["id"], ())),
                decisions=tuple(decisions.get(row["id"], ())),
            )
            for row in rows
        ]

    def get(self, run_id: str) -> Run:
        """One run, by its id, the start of its id, or its name; `latest` for the last.

        Raises:
            StorageError: Where no run or more than one fits.
        """
        runs = self.runs()
        if run_id == "latest" and runs:
            return runs[-1]
        found = [r for r in runs if r.id == run_id] or [
            r for r in runs if r.id.startswith(run_id) or r.name == run_id
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise StorageError(
                f"run history {self.url}: holds no run {run_id!r}; "
                "`sftguide runs list` shows them all"
            )
        raise StorageError(
            f"run history {self.url}: {run_id!r} fits {len(found)} runs "
            f"({', '.join(r.id for r in found[:5])}); give the whole id"
        )

    def add_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Lengthen a run's curve; points at and after the first new one are replaced.

        Raises:
            StorageError: Where the run is not in the history.
        """
        if not points:
            return
        with self._database.writing() as connection:
            self._require(connection, run_id)
            add_points(connection, run_id, points)

    def points(self, run_id: str) -> list[Point]:
        """A run's curve, in order."""
        query = (
            sa.select(t.points)
            .where(t.points.c.run_id == run_id)
            .order_by(t.points.c.samples_seen)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [point_of(row) for row in rows]

    def peers(self, candidate: Candidate) -> list[Peer]:
        """The finished, scored and comparable runs to compare a run with, oldest first.

        They are of its study, and have its comparability key or, as far as
        `Candidate` allows it, a key that differs only in the batch.
        """
        scored = sa.select(t.scores.c.run_id)
        query = (
            sa.select(t.runs.c.id, t.runs.c.name, t.runs.c.key, t.runs.c.key_fields)
            .where(t.runs.c.study == candidate.study, t.runs.c.id != candidate.without)
            .where(t.runs.c.status == "finished", t.runs.c.comparable)
            .where(t.runs.c.id.in_(scored))
            .order_by(t.runs.c.started_at, t.runs.c.id)
        )
        if candidate.fields is None:
            query = query.where(t.runs.c.key == candidate.key)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            ratios = {
                row.id: ratio
                for row in rows
                if (ratio := candidate.batch_ratio_of(row.key, row.key_fields))
            }
            scores = _scores_of(connection, list(ratios))
        shared = shared_scores(scores)
        return [
            Peer(
                row.id,
                row.name,
                ratios[row.id],
                effective_batch_size(row.key_fields),
                shared.get(row.id),
            )
            for row in rows
            if row.id in ratios
        ]

    def span(self, run_ids: Sequence[str]) -> tuple[int, int] | None:
        """The fewest and the most samples seen at any point of some runs."""
        with self._database.reading() as connection:
            return span_of(connection, run_ids)

    def at(
        self, samples_seen: Sequence[int], run_ids: Sequence[str]
    ) -> Iterator[dict[str, Point]]:
        """For each number of samples, the runs' curves there, by run id.

        Between two points the curve is a straight line; runs that start later or end
        earlier are left out.
        """
        with self._database.reading() as connection:
            for samples in samples_seen:
                yield read_at(connection, samples, run_ids)

    def import_trace(self, trace: Trace) -> Run:
        """Enter a run, its progress, decisions, scores and end from its trace.

        Raises:
            TraceError: Where the trace does not say all that a run needs; nothing
                is changed then.
        """
        try:
            with self._database.writing() as connection:
                run_id = self._enter(connection, trace)
        except (KeyError, TypeError) as error:
            raise TraceError(
                f"{trace.path}: does not say all of its run ({error}); nothing was "
                "entered"
            ) from None
        return self.get(run_id)

    def _enter(self, connection: sa.Connection, trace: Trace) -> str:
        run_id = str(trace.run["id"])
        for table in (t.scores, t.decisions, t.points):
            connection.execute(sa.delete(table).where(table.c.run_id == run_id))
        connection.execute(sa.delete(t.runs).where(t.runs.c.id == run_id))
        row = {"trace_path": str(trace.path.resolve()), **trace.run}
        missing = sorted(_NEEDED - row.keys())
        if missing:
            raise KeyError(", ".join(missing))
        self._begin(connection, row)
        written_at = trace.path.stat().st_mtime
        self._update(connection, run_id, heartbeat_at=written_at, **_progress(trace))
        for event in trace.events:
            if event["event"] == "decision":
                self._add_decision(connection, run_id, Decision(**_of(Decision, event)))
            elif event["event"] == "score":
                self._add_score(connection, run_id, Score(**_of(Score, event)))
        add_points(connection, run_id, points_of(trace.observations))
        end = trace.end
        if end is not None:
            self._update(
                connection,
                run_id,
                status=end["status"],
                reason=end.get("reason"),
                ended_at=end["at"],
                step_s=end.get("step_s"),
            )
        return run_id

    def _begin(self, connection: sa.Connection, run: Mapping[str, Any]) -> None:
        row = {k: v for k, v in run.items() if k in _RUN_COLUMNS}
        again = {"status": "running", "reason": None, "ended_at": None}
        if self._holds(connection, row["id"]):
            row = {"heartbeat_at": time.time(), **row, **again}
            del row["started_at"]
            self._update(connection, row.pop("id"), **row)
        else:
            new = {"heartbeat_at": row["started_at"], "step": 0, "samples_seen": 0}
            connection.execute(sa.insert(t.runs).values({**new, **again, **row}))

    def _add_score(self, connection: sa.Connection, run_id: str, score: Score) -> None:
        self._require(connection, run_id)
        row = {"run_id": run_id, **vars(score), "recorded_at": time.time()}
        same = (t.scores.c.run_id == run_id, t.scores.c.metric == score.metric)
        connection.execute(sa.delete(t.scores).where(*same))
        connection.execute(sa.insert(t.scores).values(row))

    def _add_decision(
        self, connection: sa.Connection, run_id: str, decision: Decision
    ) -> None:
        self._require(connection, run_id)
        row = {"run_id": run_id, **vars(decision)}
        same = [
            t.decisions.c[n] == row[n] for n in ("run_id", "rule", "action", "step")
        ]
        connection.execute(sa.delete(t.decisions).where(*same))
        connection.execute(sa.insert(t.decisions).values(row))

    def _update(self, connection: sa.Connection, run_id: str, **values: Any) -> None:
        self._require(connection, run_id)
        update = sa.update(t.runs).where(t.runs.c.id == run_id).values(values)
        connection.execute(update)

    def _require(self, connection: sa.Connection, run_id: str) -> None:
        if not self._holds(connection, run_id):
            raise StorageError(f"run history {self.url}: holds no run {run_id!r}")

    @staticmethod
    def _holds(connection: sa.Connection, run_id: str) -> bool:
        query = sa.select(t.runs.c.id).where(t.runs.c.id == run_id)
        return connection.execute(query).first() is not None


def _progress(trace: Trace) -> dict[str, Any]:
    if not trace.observations:
        return {}
    last = trace.observations[-1]
    return {
        "step": last.step,
        "samples_seen": last.samples_seen,
        "loss": last.loss,
        "grad_norm": last.grad_norm,
        "comparable": all(o.measured for o in trace.observations),
    }


def _of(kind: type[Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that an event holds; a later form may hold more."""
    names = kind.__dataclass_fields__
    return {k: _number(v) for k, v in event.items() if k in names}


def _number(value: Any) -> Any:
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def _scores_of(
    connection: sa.Connection, run_ids: Sequence[str]
) -> dict[str, list[Score]]:
    """By run id, the scores of some runs, in the order they were recorded."""
    query = (
        sa.select(t.scores)
        .where(t.scores.c.run_id.in_(run_ids))
        .order_by(t.scores.c.recorded_at)
    )
    return _records(Score, connection.execute(query).mappings())


def _records(kind: type[Any], rows: Iterable[Any]) -> dict[str, list[Any]]:
    """Scores or decisions by the id of their run, in order."""
    names = tuple(kind.__dataclass_fields__)
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["run_id"]].append(kind(**{name: row[name] for name in names}))
    return found
