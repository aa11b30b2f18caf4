"""`sftguide runs list`: the runs of the history, filtered and sorted."""

from __future__ import annotations

import click

from .common import echo_json, note, wants_json
from .history import (
    echo_csv,
    no_runs,
    open_existing,
    plain,
    storage_option,
)
from .runs_filter import Since, chosen_runs, sorted_runs
from .runs_tag import tag_option, tagged


@click.command("list")
@storage_option
@click.option("--study", help="Only runs of this study.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    help="Only the newest runs; 0 lists all. [default: 20; all with --json]",
)
@click.option("--status", help="Only runs with this status, such as finished.")
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
    every = [] if history is None else history.runs(study=study)
    found = chosen_runs(tagged(every, tags), status=status, key=key, since=since)
    if limit is None:
        limit = 0 if wants_json() or as_csv else 20
    if sort is not None:
        newest = sorted_runs(found, sort)[: limit or None]
    else:
        newest = found[-limit:]
    if wants_json():
        echo_json([plain(run) for run in newest])
        return
    if as_csv:
        echo_csv(newest)
        return
    if not every:
        no_runs(history, study)
        return
    if not found:
        note(f"none of {len(every)} runs matches the filter")
        return
    from .runs_table import print_runs

    print_runs(newest)
    if len(newest) < len(found):
        which = "first" if sort else "newest"
        note(f"{len(newest)} {which} of {len(found)} runs; --limit 0 lists all")
    if history is not None:
        note(f"storage: {history.url}")
