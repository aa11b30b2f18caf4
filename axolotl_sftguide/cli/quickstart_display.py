"""The output of the quickstart: progress in a terminal or a pipe, and the summary."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..runs.history import Run
from ..runs.traces import Trace
from ..sweep.axolotl_process import error_line, log_lines
from ..units import count, duration, number
from .run_page import curve_facts, noise_scale_fact, observations_of
from .tables import progress_console, score_beside, seconds_of

_LINES = 12
"""Lines of progress for a whole run."""
_BAR = 30


class QuickstartDisplay:
    """A progress bar in a terminal, and a line of progress at intervals.

    Args:
        config: The recipe that is trained.
        log: The file with Axolotl's output.
    """

    def __init__(self, config: Path, log: Path) -> None:
        self._config = config
        self._log = log
        self._out = progress_console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(_BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._out,
            transient=True,
            disable=not self._out.is_terminal,
        )
        self._task: TaskID | None = None
        self._told = 0
        self._decisions = 0
        self._scoring = False

    def __enter__(self) -> QuickstartDisplay:
        self._line(f"Training {self._config}; Axolotl's output goes to {self._log}")
        self._line("Loading Axolotl, preparing the data, scoring the base model ...")
        self._progress.start()
        self._task = self._progress.add_task("starting", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, trace: Trace) -> None:
        """Show the progress of the run."""
        total = int(trace.run["max_steps"])
        step = trace.observations[-1].step if trace.observations else 0
        if self._task is not None:
            self._progress.update(
                self._task, description="training", total=total, completed=step
            )
        every = max(1, total // _LINES)
        while self._told + every <= step:
            stretch = [
                o
                for o in trace.observations
                if self._told < o.step <= self._told + every
            ]
            self._told += every
            loss = fmean(o.loss for o in stretch)
            norm = fmean(o.grad_norm for o in stretch)
            self._line(
                f"step {count(self._told):>6} of {count(total)}   "
                f"loss {number(loss, 3):<7} gradient norm {number(norm, 3)}"
            )
        self._show_decisions(trace)
        if step >= total and not self._scoring and trace.end is None:
            self._scoring = True
            self._line("Scoring the tuned model ...")

    def failure(self, code: int | None) -> str:
        """Why the training failed, with the lines of its log around the error."""
        lines = log_lines(self._log)
        error = error_line(self._log)
        at = max((i for i, line in enumerate(lines) if line[:300] == error), default=0)
        near = "\n".join(f"  {line[:160]}" for line in lines[max(0, at - 3) : at + 6])
        how = f"with status {code}" if code else "without a trace"
        return f"the training ended {how}: {error}\nFrom the log {self._log}:\n{near}"

    def summary(self, run: Run, storage: str) -> None:
        """Scores, curves, file locations and next commands, in at most 25 lines."""
        out = self._out
        out.quiet = False
        took = duration(seconds_of(run))
        reason = f": {run.reason}" if run.reason else ""
        out.print(
            f"\n[bold]{run.shown_status}[/] after {count(run.step)} of "
            f"{count(run.max_steps)} steps in {took}{escape(reason)}\n",
            highlight=False,
        )
        observations = observations_of(run)
        for line in _scores(run, out):
            out.print(line, highlight=False)
        facts = [*curve_facts(observations, out), *noise_scale_fact(observations)]
        for name, value in facts:
            out.print(f"{name:<14} {value}", highlight=False)
        out.print()
        for name, place in (
            ("model", run.output_dir),
            ("trace", run.trace_path or "none"),
            ("log", self._log.resolve()),
            ("history", storage),
        ):
            self._line(f"{name:<14} {place}")
        out.print("\n[bold]Try next[/]")
        for command, what in _next_commands(self._config):
            self._line(f"  {command}")
            out.print(f"[dim]    {what}[/]", highlight=False)

    def _show_decisions(self, trace: Trace) -> None:
        decisions = [e for e in trace.events if e["event"] == "decision"]
        for found in decisions[self._decisions :]:
            what = "warning" if found["action"] == "warn" else "stopped"
            at = f"step {count(found['step'])}"
            self._line(f"{what} at {at}, rule {found['rule']}: {found['reason']}")
        self._decisions = len(decisions)

    def _line(self, text: str) -> None:
        self._out.print(escape(text), highlight=False, soft_wrap=True)


def _scores(run: Run, out: Console) -> Iterator[str]:
    drawable = "utf" in out.encoding.lower()
    for score in run.scores:
        yield f"{escape(score.metric)} (of held-out questions)"
        rows = [("tuned", score.value), *score_beside(run, score)]
        most = max([1.0, *(value for _, value in rows)])
        for name, value in rows:
            bar = "█" * round(_BAR * value / most) if drawable else ""
            shown = f"[green]{bar}[/]" if name == "tuned" else bar
            yield f"  {escape(name):<12} {value:.3f} {shown}".rstrip()
        yield ""


def _next_commands(config: Path) -> list[tuple[str, str]]:
    program = _program()
    sweep = "recipes/sweeps/quickstart-lr.yml"
    return [
        (f"{program} runs show latest", "everything recorded about this run"),
        (
            f"{program} sweep {config} {sweep}",
            "five learning rates; the rules stop the one that diverges",
        ),
        (f"{program} recipes list", "recipes for models of 3B to 8B parameters"),
    ]


def _program() -> str:
    """How this program is called from the working folder."""
    if shutil.which("sftguide"):
        return "sftguide"
    called = Path(sys.argv[0])
    if called.stem != "sftguide":
        return "python -m axolotl_sftguide"
    return os.path.relpath(called)
