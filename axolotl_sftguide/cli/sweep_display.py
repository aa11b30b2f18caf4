"""The output of a sweep: a line per ended trial, and a table of running ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from ..errors import SFTGuideError
from ..sweep import Ended, Running, SweepStudy, Trial
from ..units import count, duration, number, share
from .common import answer, wants_json
from .tables import progress_console


class SweepDisplay:
    """Prints the progress of a sweep; the live table only in a terminal."""

    def __init__(self, study: SweepStudy) -> None:
        self._study = study
        self._out = progress_console()
        self._live: Live | None = None
        self._began: dict[int, float] = {}
        self._saved = 0
        self._shown_next = 0.0

    def __enter__(self) -> SweepDisplay:
        if self._out.is_terminal:
            self._live = Live(console=self._out, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, trials: int, requeued: Sequence[str], sampler: str) -> None:
        """Print the study and its number of trials."""
        objective = self._study.objective
        counts = self._study.counts()
        done = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0)
        so_far = f", {done} done" if done else ""
        so_far += f", {counts['PARKED']} parked" if "PARKED" in counts else ""
        goal = "highest" if objective.goal == "max" else "lowest"
        self._print(
            f"study {self._study.name}: {trials} trials{so_far}, sampler {sampler}, "
            f"{goal} {objective.metric} is best"
        )
        for trial in requeued:
            self._print(f"{trial}: its worker is gone; queued again")

    def show(self, running: Sequence[Running]) -> None:
        """Update the table of running trials."""
        now = time.monotonic()
        for one in running:
            self._began.setdefault(one.trial.number, now)
        if self._live is None or now < self._shown_next:
            return
        # The workers retry when the storage is unreachable.
        with suppress(SFTGuideError):
            self._live.update(self._table(running, now))
        # Of thousands of trials, reading them takes most of the time: at most a tenth.
        self._shown_next = now + 10 * (time.monotonic() - now)

    def ended(self, ended: Ended) -> None:
        """Print one line for a trial that has ended."""
        run, values = ended.run, _values(ended.trial)
        began = self._began.pop(ended.trial.number, None)
        took = "" if began is None else f", {duration(time.monotonic() - began)}"
        head = ended.trial.name
        if ended.value is not None:
            metric = self._study.objective.metric
            best = "; best so far" if ended.best else ""
            self._print(
                f"{head} finished: {metric} {number(ended.value)}{best}", values
            )
        elif run is not None and run.status == "finished":
            self._print(f"{head} trained, and has no value: {ended.why}", values)
        elif run is not None and run.status == "parked":
            self._print(
                f"{head} parked at step {count(run.step)} of {count(run.max_steps)} "
                f"by {ended.why}",
                values + took,
            )
        elif run is not None:
            self._saved += run.steps_saved
            self._print(
                f"{head} stopped at step {count(run.step)} of "
                f"{count(run.max_steps)} by {ended.why}",
                values + took,
            )
        else:
            self._print(f"{head} failed: {ended.why}", values)

    def note(self, trial: Trial, line: str) -> None:
        """Print a line about a trial."""
        self._print(f"{trial.name} {line}", _values(trial))

    def interrupted(self) -> None:
        """Print the number of trials left after an interruption."""
        counts = self._study.counts()
        parked = f", {counts['PARKED']} parked" if "PARKED" in counts else ""
        self._print(
            f"interrupted: trainings ended, {counts.get('WAITING', 0)} trials "
            f"left{parked}; run the same command again to resume"
        )

    def done(self) -> None:
        """Print the result of the sweep."""
        self._out.quiet = False
        best = self._study.best()
        if wants_json():
            named = best and dict(zip(("trial", "value", "folder"), best, strict=True))
            counted = self._study.counts()
            answer({"study": self._study.name, "trials": counted, "best": named})
            return
        counts = self._study.counts()
        parts = [
            f"{counts[state]} {word}"
            for state, word in (
                ("COMPLETE", "finished"),
                ("PRUNED", "stopped"),
                ("PARKED", "parked"),
                ("FAIL", "failed or interrupted"),
                ("RUNNING", "running in other workers"),
            )
            if counts.get(state)
        ]
        saved = f"; {count(self._saved)} steps saved" if self._saved else ""
        self._print(f"study {self._study.name}: {', '.join(parts)}{saved}")
        if best is not None:
            trial, value, folder = best
            metric = self._study.objective.metric
            self._print(f"best: {trial}, {metric} {number(value)}, in {folder}")
        self._print(f"compare: sftguide runs list --study {self._study.name}")
        self._print(f"charts: sftguide report --study {self._study.name}")

    def _print(self, line: str, aside: str = "") -> None:
        text = escape(line) + (f" [dim]({escape(aside)})[/]" if aside else "")
        self._out.print(text, soft_wrap=True, highlight=False)

    def _table(self, running: Sequence[Running], now: float) -> Table:
        counts = self._study.counts()
        done = sum(counts.get(s, 0) for s in ("COMPLETE", "PRUNED"))
        total = sum(n for state, n in counts.items() if state != "FAIL")
        best = self._study.best()
        best_so_far = f", best {number(best[1])}" if best else ""
        table = Table(box=None, title=f"{done} of {total} done{best_so_far}")
        for heading in (
            "trial",
            "values",
            "step",
            "loss",
            "gradient norm",
            "time",
            "left",
        ):
            justify: Any = "left" if heading in ("trial", "values") else "right"
            table.add_column(heading, justify=justify)
        for one in running:
            table.add_row(*self._row(one, now))
        return table

    def _row(self, one: Running, now: float) -> list[str]:
        run = one.run
        began = self._began.get(one.trial.number, now)
        seen: list[Any] = ["starting", "", ""]
        left: float | None = None
        if run is not None and run.step:
            seen = [
                f"{count(run.step)} of {count(run.max_steps)} "
                f"({share(run.step, run.max_steps)})",
                number(run.loss),
                number(run.grad_norm),
            ]
            left = run.step_s and (run.max_steps - run.step) * run.step_s
        return [
            one.trial.name,
            escape(_values(one.trial)),
            *seen,
            duration(now - began),
            duration(left),
        ]


def _values(trial: Trial) -> str:
    return ", ".join(f"{key} {_shown(value)}" for key, value in trial.values.items())


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
