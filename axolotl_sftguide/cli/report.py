"""`sftguide report`: one page with charts of runs, complete in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..units import count
from .common import answer, note, progress
from .history import named, require, storage_option
from .numbers import WholeNumber
from .runs_tag import tag_option, tagged

if TYPE_CHECKING:
    from ..runs.history import Run, RunHistory

MOST_RUNS = 1000
"""Runs of a study that one page shows by default."""


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "--study",
    help="Study to show, or in which RUN is looked up. Default: that of the last run.",
)
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.",
)
@click.option(
    "--limit",
    type=WholeNumber(0),
    default=MOST_RUNS,
    show_default=True,
    help="Only the newest runs of a study; 0 shows all.",
)
@tag_option
@storage_option
def report(
    runs: tuple[str, ...],
    study: str | None,
    output: Path,
    limit: int,
    tags: tuple[str, ...],
    storage: str | None,
) -> None:
    """Write one HTML page with charts of runs.

    RUN is an id, the start of an id, a name, or `latest`. The page needs no network and
    no server: open it in a browser, print it, or send it to somebody.
    """
    from ..errors import SFTGuideError
    from ..report import page_of, view_of

    _refuse_other(output)
    history = require(storage)
    every = tagged(_chosen(history, runs, study), tags)
    if not every:
        raise SFTGuideError(f"none of the runs has the tags {', '.join(tags)}")
    shown = every if runs or not limit else every[-limit:]
    if not runs:
        shown = history.runs_by_ids([run.id for run in shown])
    if len(shown) < len(every):
        note(
            f"the newest {count(len(shown))} of {count(len(every))} runs; a page with "
            "more is slow in a browser. --limit 0 shows all, RUN or --tag a selection"
        )
    with progress("reading runs", len(shown)) as advance:
        view = view_of(history, shown, on_run=advance)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page_of(view), encoding="utf-8")
    except OSError as error:
        raise SFTGuideError(f"{output}: cannot be written ({error.strerror})") from None
    studies = ", ".join(dict.fromkeys(run.study for run in shown))
    plural = "s" * (len(shown) != 1)
    size = output.stat().st_size / 1e6
    answer(
        {"report": str(output), "runs": [run.id for run in shown]},
        f"{output}: {len(shown)} run{plural} of {studies}, {size:.1f} MB",
    )


def _refuse_other(output: Path) -> None:
    """Refuse to overwrite what is no page, such as a config by a slip of the hand."""
    from ..errors import SFTGuideError

    try:
        with output.open("rb") as file:
            head = file.read(64)
    except OSError:  # not there, or an error when it is written
        return
    if head.strip() and b"<!doctype html" not in head.lower():
        raise SFTGuideError(
            f"{output} already exists and is no HTML page, so it is not overwritten; "
            "name another file with -o"
        )


def _chosen(
    history: RunHistory, names: tuple[str, ...], study: str | None
) -> list[Run]:
    """The runs that are named, or all of a study, without their configs.

    Raises:
        StorageError: If one is not there.
    """
    from ..errors import StorageError, did_you_mean

    if names:
        return named(history, names, study)
    last = history.runs(newest=1, with_config=False)
    if not last:
        raise StorageError(f"run history {history.url}: no runs yet")
    wanted = study or last[0].study
    found = history.runs(study=wanted, with_config=False)
    if not found:
        studies = history.studies()
        raise StorageError(
            f"no runs in study {wanted!r}; studies: {', '.join(studies)}"
            f"{did_you_mean(wanted, studies)}"
        )
    return found
