"""`sftguide report`: one page with charts of runs, complete in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import answer, progress
from .history import named, require, storage_option
from .runs_tag import tag_option, tagged

if TYPE_CHECKING:
    from ..runs.history import Run, RunHistory


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
@tag_option
@storage_option
def report(
    runs: tuple[str, ...],
    study: str | None,
    output: Path,
    tags: tuple[str, ...],
    storage: str | None,
) -> None:
    """Write one HTML page with charts of runs.

    RUN is an id, the start of an id, a name, or `latest`. The page needs no network and
    no server: open it in a browser, print it, or send it to somebody.
    """
    from ..errors import SFTGuideError
    from ..report import page_of, view_of

    history = require(storage)
    found = tagged(_chosen(history, runs, study), tags)
    if not found:
        raise SFTGuideError(f"none of the runs has the tags {', '.join(tags)}")
    with progress("reading runs", len(found)) as advance:
        view = view_of(history, found, on_run=advance)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page_of(view), encoding="utf-8")
    except OSError as error:
        raise SFTGuideError(f"{output}: cannot be written ({error.strerror})") from None
    studies = ", ".join(dict.fromkeys(run.study for run in found))
    plural = "s" * (len(found) != 1)
    size = output.stat().st_size / 1e6
    answer(
        {"report": str(output), "runs": [run.id for run in found]},
        f"{output}: {len(found)} run{plural} of {studies}, {size:.1f} MB",
    )


def _chosen(
    history: RunHistory, names: tuple[str, ...], study: str | None
) -> list[Run]:
    """The runs that are named, or all of a study.

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
    found = history.runs(study=wanted)
    if not found:
        studies = history.studies()
        raise StorageError(
            f"no runs in study {wanted!r}; studies: {', '.join(studies)}"
            f"{did_you_mean(wanted, studies)}"
        )
    return found
