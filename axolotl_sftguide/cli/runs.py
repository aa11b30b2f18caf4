"""`sftguide runs`: the run history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..runs.history import Goal, RunHistory
    from ..runs.traces import Trace

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
    """Enter runs from PATHS: traces, trainer_state.json files, or folders of them."""
    from ..errors import TraceError

    history = _open(storage)
    problems = 0
    for path in paths:
        found = _readable(path)
        if not found:
            problems += 1
            click.echo(
                f"{path}: holds no trace (sftguide-trace-*.jsonl) and no "
                "trainer_state.json",
                err=True,
            )
        for file, read in found:
            try:
                trace = read(file)
                run = history.import_trace(trace)
            except TraceError as error:
                problems += 1
                click.echo(str(error), err=True)
                continue
            note = "; its last line was cut off" if trace.torn else ""
            what = "steps" if run.trace_path else "logs, compared with no other run"
            click.echo(
                f"{run.id} {run.name}: {run.shown_status}, "
                f"{len(trace.observations)} {what}{note}"
            )
    click.echo(f"storage: {history.url}")
    if problems:
        ctx.exit(2)


@runs.command("score")
@click.argument("run")
@click.argument("scores", nargs=-1, metavar="METRIC=VALUE...")
@click.option("--goal", type=click.Choice(["max", "min"]), help="Which is better.")
@click.option(
    "--lm-eval",
    "results",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A result file of lm-eval instead.",
)
@_storage
def score_run(
    run: str,
    scores: tuple[str, ...],
    goal: Goal | None,
    results: Path | None,
    storage: str | None,
) -> None:
    """Attach final scores to RUN: its id, its start, its name, or `latest`."""
    from ..runs.history import Score

    history = _open(storage)
    found = history.get(run)
    if results is not None:
        from ..runs.lm_eval_results import read_lm_eval_results

        given = read_lm_eval_results(results)
    else:
        given = []
    if scores and goal is None:
        raise click.UsageError("say which is better: --goal max or --goal min")
    for text in scores:
        given.append(Score(*_metric_and_value(text), goal or "max"))
    if not given:
        raise click.UsageError("give METRIC=VALUE, or --lm-eval FILE")
    for score in given:
        history.score_run(found, score)
        click.echo(f"{found.id} {found.name}: {score.metric} {score.value:g}")


@runs.command("export")
@click.option("--study", required=True, help="The study whose runs are written.")
@click.option("--to", "url", metavar="URL", required=True, help="Optuna's storage.")
@click.option("--name", help="Of Optuna's study; else the same.")
@_storage
def export_runs(study: str, url: str, name: str | None, storage: str | None) -> None:
    """Write a study's runs as an Optuna study, for optuna-dashboard."""
    from ..runs.history import resolve_storage
    from ..sweep.export import export_to_optuna

    history = _open(storage)
    where = resolve_storage(url)
    named, written = export_to_optuna(history, study, where, name)
    click.echo(f"{written} runs written to Optuna's study {named!r}")


@runs.command("upgrade")
@_storage
def upgrade_runs(storage: str | None) -> None:
    """Upgrade a run history of an older schema. Stored runs stay as they are."""
    from ..runs.history import upgrade_storage

    done = upgrade_storage(storage)
    if done.before == done.after:
        click.echo(f"already has schema version {done.after}")
    else:
        click.echo(
            f"upgraded from schema version {done.before} to {done.after}; older "
            "versions of axolotl-sftguide can no longer open it"
        )
    click.echo(f"storage: {done.url}")


def _metric_and_value(text: str) -> tuple[str, float]:
    metric, _, value = text.rpartition("=")
    try:
        if metric.strip():
            return metric.strip(), float(value)
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is not METRIC=VALUE, such as accuracy=0.71")


def _readable(path: Path) -> list[tuple[Path, Callable[[Path], Trace]]]:
    from ..runs.traces import find_traces, read_trace
    from ..runs.trainer_states import STATE, find_trainer_states, read_trainer_state

    if path.is_file():
        return [(path, read_trainer_state if path.name == STATE else read_trace)]
    return [
        *((trace, read_trace) for trace in find_traces(path)),
        *((state, read_trainer_state) for state in find_trainer_states(path)),
    ]


def _open(storage: str | None) -> RunHistory:
    from ..runs.history import RunHistory

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

    from ..runs.redaction import json_safe

    click.echo(json.dumps(json_safe(value), indent=2))
