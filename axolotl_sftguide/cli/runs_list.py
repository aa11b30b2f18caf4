"""`sftguide runs list`: the runs of the history, filtered and sorted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .common import echo_json, note, wants_json
from .history import (
    echo_csv,
    no_runs,
    open_existing,
    plain,
    storage_option,
)
from .numbers import WholeNumber
from .runs_filter import FIELDS, Since, chosen_runs, sorted_runs
from .runs_tag import tag_option, tagged

if TYPE_CHECKING:
    from ..runs.history import Run, RunHistory


@click.command("list")
@storage_option
@click.option("--study", help="Only runs of this study.")
@click.option(
    "--limit",
    type=WholeNumber(0),
    help="Only the newest runs; 0 lists all. [default: 20; all with --json]",
)
@click.option(
    "--status",
    type=click.Choice(
        ["running", "finished", "terminated", "parked", "failed", "dead"]
    ),
    metavar="STATUS",
    help="Only runs with this status: running, finished, terminated, parked, failed or "
    "dead.",
)
@tag_option
@click.option("--key", help="Only runs with this comparability key, or its start.")
@click.option(
    "--since",
    type=Since(),
    metavar="WHEN",
    help="Only runs that started since a date, or within 12h, 7d or 2w.",
)
@click.option(
    "--sort",
    metavar="BY",
    help="Sort by score (the best first), started (the newest first), name, status, "
    "steps, loss, a metric, or a key of the configs.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def list_runs(
    storage: str | None,
    study: str | None,
    limit: int | None,
    status: str | None,
    tags: tuple[str, ...],
    key: str | None,
    since: float | None,
    sort: str | None,
    as_csv: bool,
) -> None:
    """List runs, the newest last.

    The table shows what the runs of a study differ in, their scores and status, and as
    many more columns as fit the terminal. With --sort, --limit keeps the first runs.
    """
    history = open_existing(storage)
    if limit is None:
        limit = 0 if wants_json() or as_csv else 20
    chosen: list[Run] = []
    every = found = 0
    if history is not None:
        every = history.count(study=study)
        only = _Filter(study, tags, status, key, since)
        chosen, found = _read(history, only, sort, limit or every)
    if wants_json():
        echo_json([plain(run) for run in chosen])
        return
    if as_csv:
        echo_csv(chosen)
        return
    if not every:
        no_runs(history, study)
        return
    if not found:
        note(f"none of {every} runs matches the filter")
        return
    from .runs_table import print_runs

    print_runs(chosen)
    if len(chosen) < found:
        which = "first" if sort else "newest"
        note(f"{len(chosen)} {which} of {found} runs; --limit 0 lists all")
    if history is not None:
        note(f"storage: {history.url}")


@dataclass(frozen=True)
class _Filter:
    study: str | None
    tags: Sequence[str]
    status: str | None
    key: str | None
    since: float | None

    @property
    def is_open(self) -> bool:
        """Whether every run of the study passes."""
        return not self.tags and (self.status, self.key, self.since) == (None,) * 3

    def __call__(self, runs: Sequence[Run]) -> list[Run]:
        chosen = tagged(runs, self.tags)
        return chosen_runs(chosen, status=self.status, key=self.key, since=self.since)


def _read(
    history: RunHistory, only: _Filter, sort: str | None, most: int
) -> tuple[list[Run], int]:
    """The runs to list, and how many pass the filter.

    The configs of runs that are not listed are not read, except to sort by a key.
    """
    from ..runs.history import metric_of

    if only.is_open and sort is None:
        return history.runs(study=only.study, newest=most), history.count(
            study=only.study
        )
    by_key = sort is not None and not _is_recorded(history, sort)
    runs = only(history.runs(study=only.study, since=only.since, with_config=by_key))
    if sort is None:
        ordered = runs[-most:]
    else:
        metric = metric_of(history, runs) if sort == "score" else None
        ordered = sorted_runs(runs, sort, metric=metric)[:most]
    if by_key:
        return ordered, len(runs)
    whole = {run.id: run for run in history.runs_by_ids([run.id for run in ordered])}
    return [whole[run.id] for run in ordered if run.id in whole], len(runs)


def _is_recorded(history: RunHistory, by: str) -> bool:
    """Whether runs are sorted by a field or a metric, and not by a key of a config."""
    return by in FIELDS or by in history.metrics()
