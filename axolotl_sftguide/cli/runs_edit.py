"""`sftguide runs compare`, `best`, `rename` and `delete`."""

from __future__ import annotations

import click

from ..safe_text import shown
from .common import answer, echo_json, note, wants_json
from .history import (
    named,
    no_runs,
    plain,
    require,
    storage_option,
)
from .runs_filter import sorted_runs


@click.command()
@click.argument("names", metavar="RUN RUN...", nargs=-1, required=True)
@click.option("--study", help="Study in which the names are looked up.")
@storage_option
def compare(names: tuple[str, ...], study: str | None, storage: str | None) -> None:
    """Show what runs differ in, their outcomes and their curves.

    RUN is an id, the start of an id, a name, or `latest`. Losses and norms are compared
    after the same numbers of samples.
    """
    from .runs_compare import comparison, print_comparison

    history = require(storage)
    found = named(history, names, study)
    if len(found) < 2:
        raise click.UsageError("name two or more different runs")
    if wants_json():
        echo_json(comparison(history, found))
    else:
        print_comparison(history, found)


@click.command()
@storage_option
@click.option("--study", help="Only runs of this study. Default: that of the last run.")
@click.option(
    "--metric",
    help="Metric of the score. Default: `early_termination.metric` of the runs, "
    "or else the one that most of them have.",
)
def best(storage: str | None, study: str | None, metric: str | None) -> None:
    """Show the run with the best score of a study."""
    from ..errors import StorageError
    from ..runs.history import metric_of
    from .run_page import print_run

    history = require(storage)
    last = history.runs(study=study, newest=1, with_config=False)
    wanted = last[0].study if last else study
    found = history.runs(study=wanted, with_config=False) if last else []
    if not found:
        no_runs(history, study)
        return
    by = metric or metric_of(history, found)
    scored = [run for run in found if by and run.score(by) is not None]
    if not scored:
        what = f"a score {metric!r}" if metric else "a score"
        raise StorageError(
            f"no run of study {wanted!r} has {what}; `sftguide runs "
            "score RUN METRIC=VALUE` adds one"
        )
    first = history.get(sorted_runs(scored, "score", metric=by)[0].id)
    if wants_json():
        echo_json(plain(first))
        return
    print_run(history, first)


@click.command()
@click.argument("run")
@click.argument("name")
@click.option("--study", help="Study in which RUN is looked up.")
@storage_option
def rename(run: str, name: str, study: str | None, storage: str | None) -> None:
    """Give a run another name; its id stays.

    The name is written to the history and to the run's trace.
    """
    history = require(storage)
    found = history.get(run, study=study)
    if not name.strip():
        raise click.BadParameter("a name cannot be empty", param_hint="NAME")
    history.rename(found, name.strip())
    answer(
        {"id": found.id, "name": name.strip(), "before": found.name},
        f"{found.id}: {found.name} is now {name.strip()}",
    )


@click.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--study", help="Study in which the names are looked up.")
@storage_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(
    names: tuple[str, ...], study: str | None, storage: str | None, yes: bool
) -> None:
    """Remove runs from the history, with their scores.

    Traces and models stay on the disk; `sftguide runs import` brings a run back.
    """
    from ..errors import StorageError

    history = require(storage)
    found = named(history, names, study)
    running = [run.id for run in found if run.shown_status == "running"]
    if running:
        raise StorageError(f"{', '.join(running)}: still running; end it first")
    for run in found:
        note(f"{run.id} {run.name}: {run.shown_status}, study {run.study}")
    plural = "s" * (len(found) != 1)
    if not yes:
        click.confirm(
            shown(f"Remove {len(found)} run{plural} from {history.url}?"),
            abort=True,
            err=True,
        )
    for run in found:
        history.delete(run.id)
    answer(
        {"removed": [run.id for run in found]},
        f"removed {len(found)} run{plural}; traces stay",
    )
