"""`sftguide runs`: the run history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import answer, echo, echo_json, note, progress, wants_json
from .history import (
    plain,
    require,
    storage_option,
)
from .runs_edit import best, compare, delete, rename
from .runs_list import list_runs
from .runs_tag import tag
from .watch import watch_run

if TYPE_CHECKING:
    from ..runs.history import Goal, Run
    from ..runs.traces import Trace

_DATABASES = {"", ".db", ".db3", ".sqlite", ".sqlite3"}
"""Suffixes of a path that may name a new SQLite file."""


@click.group()
def runs() -> None:
    """List, show, compare, score and import your runs."""


runs.add_command(list_runs)
runs.add_command(watch_run)
runs.add_command(compare)
runs.add_command(best)
runs.add_command(rename)
runs.add_command(tag)
runs.add_command(delete)


@runs.command("show")
@click.argument("run")
@storage_option
@click.option("--key", "with_key", is_flag=True, help="Add the comparability key.")
@click.option("--config", "with_config", is_flag=True, help="Add the whole config.")
def show_run(run: str, storage: str | None, with_key: bool, with_config: bool) -> None:
    """Show how a run went, what it was, and where it is.

    RUN is its id, the start of its id, its name, or `latest`.
    """
    history = require(storage)
    found = history.get(run)
    if wants_json():
        echo_json(plain(found))
        return
    from .run_page import print_run

    print_run(history, found, with_key=with_key, with_config=with_config)
    note(f"storage: {history.url}")


@runs.command("import")
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@storage_option
@click.pass_context
def import_runs(
    ctx: click.Context, paths: tuple[Path, ...], storage: str | None
) -> None:
    """Import runs from traces or trainer_state.json files.

    PATHS are such files, or folders that contain them. Importing a run again replaces
    it.
    """
    from ..errors import TraceError
    from ..runs.history import RunHistory

    history = RunHistory(storage)
    problems: list[str] = []
    imported: list[dict[str, object]] = []
    lines: list[str] = []
    read_by = {path: _readable(path) for path in paths}
    with progress("importing", sum(map(len, read_by.values()))) as advance:
        for path, found in read_by.items():
            if not found:
                problems.append(
                    f"{path}: no trace (sftguide-trace-*.jsonl) and no "
                    "trainer_state.json found"
                )
            for file, read in found:
                advance()
                try:
                    trace = read(file)
                    run = history.import_trace(trace)
                except TraceError as error:
                    problems.append(str(error))
                    continue
                steps = len(trace.observations)
                imported.append({"id": run.id, "name": run.name, "steps": steps})
                lines.append(_imported(run, trace))
    for problem in problems:
        echo(problem, err=True)
    answer({"runs": imported, "problems": problems}, *lines)
    note(f"storage: {history.url}")
    if problems:
        ctx.exit(2)


@runs.command("score")
@click.argument("run")
@click.argument("scores", nargs=-1, metavar="METRIC=VALUE...")
@click.option(
    "--goal",
    type=click.Choice(["max", "min"]),
    help="Whether a higher (max) or a lower (min) value is better.",
)
@click.option(
    "--lm-eval",
    "results",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the scores from a result file of lm-eval.",
)
@storage_option
def score_run(
    run: str,
    scores: tuple[str, ...],
    goal: Goal | None,
    results: Path | None,
    storage: str | None,
) -> None:
    """Add final scores to a run.

    RUN is its id, the start of its id, its name, or `latest`. A score replaces an
    earlier one of the same metric.
    """
    from ..runs.history import Score

    history = require(storage)
    found = history.get(run)
    if results is not None:
        from ..runs.lm_eval_results import read_lm_eval_results

        given = read_lm_eval_results(results)
    else:
        given = []
    if scores and goal is None:
        raise click.UsageError(
            "add --goal max (higher is better) or --goal min (lower is better)"
        )
    for text in scores:
        given.append(Score(*_metric_and_value(text), goal or "max"))
    if not given:
        raise click.UsageError("give METRIC=VALUE, or --lm-eval FILE")
    for score in given:
        history.score_run(found, score)
    answer(
        {"id": found.id, "scores": [asdict(score) for score in given]},
        *(f"{found.id} {found.name}: {s.metric} {s.value:g}" for s in given),
    )


@runs.command("export")
@click.option("--study", required=True, help="Study whose runs are exported.")
@click.option(
    "--to",
    "url",
    metavar="URL",
    required=True,
    help="Optuna storage: a database URL or an SQLite file.",
)
@click.option("--name", help="Name of the Optuna study. Default: the same name.")
@storage_option
def export_runs(study: str, url: str, name: str | None, storage: str | None) -> None:
    """Export a study to Optuna, for example for optuna-dashboard."""
    from ..runs.history import resolve_storage
    from ..sweep.export import export_to_optuna

    if "://" not in url and Path(url).suffix.lower() not in _DATABASES:
        raise click.BadParameter(
            f"Optuna stores studies in a database; {url} is not a name for one. Use a "
            "path that ends in .db, or a database URL.",
            param_hint="--to",
        )
    history = require(storage)
    where = resolve_storage(url)
    with progress("exporting runs"):
        named, written = export_to_optuna(history, study, where, name)
    answer(
        {"study": named, "runs": written},
        f"{written} runs exported to the Optuna study {named!r}"
        + ("" if written else "; all were there"),
    )


@runs.command("upgrade")
@storage_option
def upgrade_runs(storage: str | None) -> None:
    """Upgrade a run history of an older schema. Stored runs stay as they are."""
    from ..runs.history import upgrade_storage

    with progress("upgrading"):
        done = upgrade_storage(storage)
    line = f"already has schema version {done.after}"
    if done.before != done.after:
        line = (
            f"upgraded from schema version {done.before} to {done.after}; older "
            "versions of axolotl-sftguide can no longer open it"
        )
    answer({"before": done.before, "after": done.after, "storage": done.url}, line)
    note(f"storage: {done.url}")


def _imported(run: Run, trace: Trace) -> str:
    torn = "; the last line is incomplete and was skipped" if trace.torn else ""
    what = "steps" if run.trace_path else "logs, not comparable with other runs"
    steps = len(trace.observations)
    return f"{run.id} {run.name}: {run.shown_status}, {steps} {what}{torn}"


def _metric_and_value(text: str) -> tuple[str, float]:
    metric, _, value = text.rpartition("=")
    try:
        if metric.strip():
            return metric.strip(), float(value)
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is not METRIC=VALUE, for example accuracy=0.71")


def _readable(path: Path) -> list[tuple[Path, Callable[[Path], Trace]]]:
    from ..runs.traces import find_traces, read_trace
    from ..runs.trainer_states import STATE, find_trainer_states, read_trainer_state

    if path.is_file():
        return [(path, read_trainer_state if path.name == STATE else read_trace)]
    return [
        *((trace, read_trace) for trace in find_traces(path)),
        *((state, read_trainer_state) for state in find_trainer_states(path)),
    ]
