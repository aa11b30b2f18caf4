"""`sftguide runs`: the run history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..run_history import RunHistory

_storage = click.option(
    "--storage",
    metavar="URL",
    help="The run history: a URL, or the path of an SQLite file. Else the environment "
    "variable SFTGUIDE_STORAGE, else the user's own.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")


@click.group()
def runs() -> None:
    """The history of your runs."""


@runs.command("list")
@_storage
@click.option("--study", help="Only the runs of this study.")
@_json
def list_runs(storage: str | None, study: str | None, as_json: bool) -> None:
    """All runs, oldest first, with status, score and steps saved."""
    history = _open(storage)
    found = history.runs(study=study)
    if as_json:
        _echo_json([_plain(run) for run in found])
        return
    from .tables import runs_table

    if found:
        runs_table(found)
    else:
        click.echo("no runs yet")
    click.echo(f"storage: {history.url}")


@runs.command("show")
@click.argument("run")
@_storage
@click.option("--config", "with_config", is_flag=True, help="Also the whole config.")
@_json
def show_run(run: str, storage: str | None, with_config: bool, as_json: bool) -> None:
    """One run: RUN is its id, the start of its id, its name, or `latest`."""
    history = _open(storage)
    found = history.get(run)
    if as_json:
        _echo_json(_plain(found))
        return
    from .tables import run_page

    run_page(found, with_config=with_config)
    click.echo(f"storage: {history.url}")


@runs.command("import")
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@_storage
@click.pass_context
def import_runs(
    ctx: click.Context, paths: tuple[Path, ...], storage: str | None
) -> None:
    """Enter runs from their traces: PATHS are trace files or folders that hold them."""
    from ..errors import TraceError
    from ..traces import find_traces, read_trace

    history = _open(storage)
    problems = 0
    for path in paths:
        traces = find_traces(path)
        if not traces:
            problems += 1
            click.echo(f"{path}: holds no trace (sftguide-trace-*.jsonl)", err=True)
        for trace_path in traces:
            try:
                trace = read_trace(trace_path)
                run = history.import_trace(trace)
            except TraceError as error:
                problems += 1
                click.echo(str(error), err=True)
                continue
            note = "; its last line was cut off" if trace.torn else ""
            click.echo(
                f"{run.id} {run.name}: {run.shown_status}, "
                f"{len(trace.observations)} steps{note}"
            )
    click.echo(f"storage: {history.url}")
    if problems:
        ctx.exit(2)


def _open(storage: str | None) -> RunHistory:
    from ..run_history import RunHistory

    return RunHistory(storage)


def _plain(run: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(run),
        "shown_status": run.shown_status,
        "steps_saved": run.steps_saved,
    }


def _echo_json(value: Any) -> None:
    import json

    from ..redaction import json_safe

    click.echo(json.dumps(json_safe(value), indent=2))
