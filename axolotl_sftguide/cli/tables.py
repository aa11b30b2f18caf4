"""How runs look in a terminal (rich)."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..runs.history import Run, Score
from ..units import count, duration, number, share

_COLOUR = {
    "finished": "green",
    "running": "cyan",
    "terminated": "yellow",
    "failed": "red",
    "dead": "red",
}
_PIPED_WIDTH = 220


def runs_table(runs: Sequence[Run]) -> None:
    """One table a study, with a line for each run."""
    out = console()
    for study in dict.fromkeys(run.study for run in runs):
        own = [run for run in runs if run.study == study]
        out.print(_study_table(study, own))


def run_page(run: Run, *, with_config: bool) -> None:
    """All that is known of one run."""
    out = console()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(run):
        table.add_row(name, value)
    out.print(table)
    for decision in run.decisions:
        out.print(
            f"[bold]{decision.action}[/] at step {count(decision.step)} "
            f"({count(decision.samples_seen)} samples) by {decision.rule}: "
            f"{escape(decision.reason)}",
        )
    if with_config:
        out.print("[bold]config[/]")
        text = yaml.safe_dump(run.config, sort_keys=True)
        out.print(escape(text), highlight=False, soft_wrap=True)


def _study_table(study: str, runs: Sequence[Run]) -> Table:
    table = Table(title=f"study {escape(study)}", title_justify="left")
    for heading in ("run", "name", "status"):
        table.add_column(heading, no_wrap=heading != "name")
    for heading in ("steps", "saved", "learning rate", "loss"):
        table.add_column(heading, justify="right")
    metrics = {score.metric for run in runs for score in run.scores}
    single = next(iter(metrics)) if len(metrics) == 1 else None
    table.add_column(single or "score", justify="right")
    table.add_column("why", overflow="fold")
    for run in runs:
        table.add_row(
            run.id,
            escape(run.name),
            _status(run),
            f"{count(run.step)}/{count(run.max_steps)}",
            _saved(run),
            number(_learning_rate(run)),
            number(run.loss),
            "\n".join(_score(s, named=single is None) for s in run.scores) or "-",
            escape(_why(run)),
        )
    return table


def _facts(run: Run) -> list[tuple[str, str]]:
    saved = f", {_saved(run)} saved" if run.steps_saved else ""
    facts = [
        ("run", run.id),
        ("name", escape(run.name)),
        ("study", escape(run.study)),
        ("status", _status(run) + (f"  {escape(run.reason)}" if run.reason else "")),
        ("started", f"{_when(run.started_at)}, took {duration(_seconds(run))}"),
        ("steps", f"{count(run.step)} of {count(run.max_steps)}{saved}"),
        ("samples seen", count(run.samples_seen)),
        ("pace", _pace(run)),
        ("last loss", number(run.loss)),
        ("last gradient norm", number(run.grad_norm)),
        ("learning rate", number(_learning_rate(run))),
        *(("score", _score(score, named=True)) for score in run.scores),
        ("output", escape(run.output_dir)),
        ("trace", escape(run.trace_path or "-")),
        ("key", run.key + ("" if run.comparable else " (not comparable)")),
    ]
    facts += [(f"  {name}", _short(value)) for name, value in run.key_fields.items()]
    return facts


def console() -> Console:
    """Where tables are printed."""
    # A pipe has no width: nothing is cut off there.
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def _status(run: Run) -> str:
    status = run.shown_status
    return f"[{_COLOUR[status]}]{status}[/]"


def _why(run: Run) -> str:
    if run.reason:
        return run.reason
    return "; ".join(f"{d.action}: {d.rule}: {d.reason}" for d in run.decisions)


def _saved(run: Run) -> str:
    saved = run.steps_saved
    return f"{count(saved)} ({share(saved, run.max_steps)})" if saved else "-"


def _score(score: Score, *, named: bool) -> str:
    base = "" if score.base_value is None else f" (base {number(score.base_value)})"
    name = f"{score.metric} " if named else ""
    return f"{escape(name)}{number(score.value)}{base}"


def _learning_rate(run: Run) -> float | None:
    try:
        return float(run.config["learning_rate"])
    except (KeyError, TypeError, ValueError):
        return None


def _seconds(run: Run) -> float:
    running = run.shown_status == "running"
    return (run.ended_at or (time.time() if running else run.heartbeat_at)) - (
        run.started_at
    )


def _pace(run: Run) -> str:
    if run.step_s is None or run.samples_per_s is None:
        return "-"
    on = f" on {escape(run.device)}" if run.device else ""
    return f"{number(run.step_s)} s a step, {number(run.samples_per_s)} samples/s{on}"


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}"


def _short(value: Any) -> str:
    text = str(value)
    return escape(text if len(text) <= 100 else text[:97] + "...")
