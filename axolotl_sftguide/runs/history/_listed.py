"""Lists and finds the runs of a history."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ...errors import StorageError, did_you_mean
from . import _tables as t
from ._database import Database
from ._read import (
    Selection,
    count_runs,
    distinct,
    ids_of,
    names_of,
    read_by_ids,
    read_runs,
    words_for,
)
from ._records import Run, Status
from ._rows import Unread, summary_of

logger = logging.getLogger(__name__)


class ListedRuns:
    """The part of `RunHistory` that reads runs.

    Runs that cannot be read are left out, with one warning in the log.
    """

    _database: Database
    _said: str | None = None

    @property
    def url(self) -> str:
        """The storage URL, without a password."""
        return self._database.url

    def damage(self) -> str | None:
        """What is wrong with a small SQLite file, and the way out; None if nothing."""
        return self._database.damage()

    def runs(
        self,
        *,
        study: str | None = None,
        key: str | None = None,
        status: Status | None = None,
        since: float | None = None,
        output_dirs: Sequence[str] | None = None,
        newest: int | None = None,
        with_config: bool = True,
    ) -> list[Run]:
        """The runs of a study and key, oldest first.

        Runs that cannot be read are left out, with one warning in the log.

        Args:
            study: Only runs of this study.
            key: Only runs with this comparability key.
            status: Only runs recorded with it; a dead run is recorded as running.
            since: Only runs that started then or later, in seconds since 1970.
            output_dirs: Only runs with one of these output folders.
            newest: Only so many runs, those that started last.
            with_config: False leaves `Run.config` empty: of thousands of runs, the
                configs take most of the time and memory.
        """
        selection = Selection(
            study, key, status, since, output_dirs, newest, with_config
        )
        with self._database.reading() as connection:
            return self._readable(*read_runs(connection, selection))

    def runs_by_ids(self, run_ids: Sequence[str]) -> list[Run]:
        """The runs with these ids, oldest first; an unknown id is left out."""
        with self._database.reading() as connection:
            return self._readable(*read_by_ids(connection, run_ids))

    def count(self, *, study: str | None = None) -> int:
        """How many runs a study has, or the whole history."""
        with self._database.reading() as connection:
            return count_runs(connection, study)

    def names(self) -> list[tuple[str, str]]:
        """Id and name of each run, the newest first."""
        with self._database.reading() as connection:
            return names_of(connection)

    def studies(self) -> list[str]:
        """The names of all studies, in alphabetical order."""
        with self._database.reading() as connection:
            return distinct(connection, t.runs.c.study)

    def metrics(self) -> list[str]:
        """The metrics of all scores, in alphabetical order."""
        with self._database.reading() as connection:
            return distinct(connection, t.scores.c.metric)

    def get(self, run_id: str, *, study: str | None = None) -> Run:
        """One run, by its id, the start of its id or its name; `latest` for the last.

        Args:
            run_id: The id, its start, the name, or `latest`.
            study: The study to look in; all by default.

        Raises:
            StorageError: If no run or more than one matches.
        """
        with self._database.reading() as connection:
            found = ids_of(connection, run_id, study)
            if len(found) == 1:
                runs, unread = read_by_ids(connection, found)
                if runs:
                    return runs[0]
                if unread:
                    raise StorageError(summary_of(unread, self.url))
                raise StorageError(
                    self._database.damaged("it names a run that is gone")
                )
            known = [] if found else words_for(connection, study)
        if not found:
            where = "" if study is None else f" in study {study!r}"
            hint = did_you_mean(run_id, known) or "."
            raise StorageError(
                f"run history {self.url}: no run {run_id!r}{where}{hint} "
                "`sftguide runs list` lists all runs"
            )
        raise StorageError(
            f"run history {self.url}: {run_id!r} matches {len(found)} runs "
            f"({', '.join(found[:5])}). Give the whole id"
        )

    def _readable(self, runs: list[Run], unread: Sequence[Unread]) -> list[Run]:
        said = summary_of(unread, self.url) if unread else None
        if said is not None and said != self._said:
            logger.warning(said)
        self._said = said
        return runs
