"""RunHistory: the index over runs. Each method is one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ...errors import StorageError
from ...signals import Point
from ..traces import NAME_EVENT, TAGS_EVENT, Trace, TraceWriter, traces_run
from ._compared import ComparedRuns
from ._curves import add_points, read_points
from ._database import TIMEOUT_S, Database
from ._frame import frame_of
from ._import import write_trace
from ._listed import ListedRuns
from ._records import Decision, Run, Score, Status
from ._write import (
    add_decision,
    add_score,
    begin_run,
    delete_run,
    has_run,
    set_tags,
    update_run,
)

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


class RunHistory(ListedRuns, ComparedRuns):
    """Runs with their scores, decisions and curves, in one database.

    Args:
        storage: URL or path; see `resolve_storage`.
        timeout_s: How long to wait for a locked file or for a server.

    Raises:
        StorageError: If it cannot be opened, or has another schema version.
    """

    def __init__(
        self, storage: str | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._database = Database(storage, timeout_s=timeout_s)

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    # Runs

    def to_dataframe(
        self, *, study: str | None = None, key: str | None = None
    ) -> pd.DataFrame:
        """The runs of a study and key as a pandas DataFrame, oldest first.

        The index is the run's id. Scores are columns `score.METRIC`, settings
        `config.KEY` with dotted keys.

        Raises:
            StorageError: If pandas is not installed.
        """
        return frame_of(self.runs(study=study, key=key))

    def rename(self, run: Run, name: str) -> None:
        """Give a run another name, in the history and in its trace, if it is here.

        With the name in the trace, a history that is rebuilt has it too. A run that is
        resumed has the name of its config again.
        """
        with self._writing_of(run.id) as connection:
            update_run(connection, run.id, name=name)
        self._append(run, NAME_EVENT, to=name, at=time.time())

    def tag(self, run: Run, tags: Iterable[str]) -> None:
        """Give a run these tags in place of those that it has.

        With the tags in the trace, if it is here, a history that is rebuilt has them.
        """
        given = sorted(set(tags))
        with self._writing_of(run.id) as connection:
            set_tags(connection, run.id, given)
        self._append(run, TAGS_EVENT, tags=given, at=time.time())

    def delete(self, run_id: str) -> None:
        """Remove a run with its scores, decisions and curve; its trace stays.

        Raises:
            StorageError: If the history does not contain the run.
        """
        with self._writing_of(run_id) as connection:
            delete_run(connection, run_id)

    def begin(self, run: Mapping[str, Any]) -> None:
        """Add a run, or set a resumed one to running."""
        with self._database.writing() as connection:
            begin_run(connection, run)

    def progress(self, run_id: str, **values: Any) -> None:
        """Set a run's last step, samples seen, loss, gradient norm and step time.

        Raises:
            StorageError: If the history does not contain the run.
        """
        with self._writing_of(run_id) as connection:
            update_run(connection, run_id, heartbeat_at=time.time(), **values)

    def end(
        self,
        run_id: str,
        status: Status,
        reason: str | None = None,
        *,
        at: float | None = None,
    ) -> None:
        """Set how a run ended, and when; now by default.

        Raises:
            StorageError: If the history does not contain the run.
        """
        ended_at = time.time() if at is None else at
        with self._writing_of(run_id) as connection:
            update_run(
                connection, run_id, status=status, reason=reason, ended_at=ended_at
            )

    def import_trace(self, trace: Trace) -> Run:
        """Add a run with its progress, decisions, scores and end from its trace.

        Of a run that the history already contains, what the trace holds is replaced;
        scores that were attached to it stay.

        Raises:
            TraceError: If the trace lacks a required field; then nothing changes.
        """
        with self._database.writing() as connection:
            run_id = write_trace(connection, trace)
        return self.get(run_id)

    # Scores and decisions

    def add_score(self, run_id: str, score: Score) -> None:
        """Record a score; one on the same metric is replaced.

        Raises:
            StorageError: If the history does not contain the run.
        """
        with self._writing_of(run_id) as connection:
            add_score(connection, run_id, score)

    def score_run(self, run: Run, score: Score) -> None:
        """Record a score in the history and in the run's trace, if it has one here.

        With the score in the trace, a history that is rebuilt has it too.
        """
        score = replace(score, origin="attached")
        self.add_score(run.id, score)
        self._append(run, "score", **asdict(score), at=time.time())

    def add_decision(self, run_id: str, decision: Decision) -> None:
        """Record a rule's decision; one of the same rule, action and step is replaced.

        Raises:
            StorageError: If the history does not contain the run.
        """
        with self._writing_of(run_id) as connection:
            add_decision(connection, run_id, decision)

    # Curves

    def add_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Extend a run's curve; points at and after the first new one are replaced.

        Raises:
            StorageError: If the history does not contain the run.
        """
        if points:
            with self._writing_of(run_id) as connection:
                add_points(connection, run_id, points)

    def points(self, run_id: str) -> list[Point]:
        """A run's curve, in order."""
        with self._database.reading() as connection:
            return read_points(connection, run_id)

    @staticmethod
    def _append(run: Run, event: str, **values: Any) -> None:
        """Write an event into the run's trace, if that is here."""
        if run.trace_path is None or not traces_run(run.trace_path, run.id):
            return
        try:
            with closing(TraceWriter(Path(run.trace_path))) as writer:
                writer.event(event, **values)
        except OSError as error:
            logger.warning(
                f"{run.trace_path}: cannot be written ({error.strerror or error}); the "
                "run history has the change, but a history rebuilt from the traces "
                "will not"
            )

    @contextmanager
    def _writing_of(self, run_id: str) -> Iterator[sa.Connection]:
        """One transaction on a run that the history contains."""
        with self._database.writing() as connection:
            if not has_run(connection, run_id):
                raise StorageError(f"run history {self.url}: no run {run_id!r}")
            yield connection
