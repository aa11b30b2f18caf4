"""How a sweep looks in a terminal: lines for what ended, a table of what runs."""

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
from .tables import console


class SweepDisplay:
    """Speaks while a sweep trains; the table only where someone looks."""

    def __init__(self, study: SweepStudy) -> None:
        self._study = study
        self._out = console()
        self._live: Live | None = None
        self._began: dict[int, float] = {}
        self._saved = 0
        self._asked_to_end = False

    def __enter__(self) -> SweepDisplay:
        if self._out.is_terminal:
            self._live = Live(console=self._out, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, trials: int, taken_up: Sequence[int], sampler: str) -> None:
        """Say what is about to be trained."""
        objective = self._study.objective
        counts = self._study.counts()
        done = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0)
        so_far = f", {done} of them done" if done else ""
        self._say(
            f"study {self._study.name}: {trials} trials{so_far}, sampled by {sampler}, "
            f"judged by {objective.metric} ({objective.goal})"
        )
        for trial in taken_up:
            self._say(f"trial {trial}: its worker is gone; taken up again")

    def show(self, running: Sequence[Running]) -> None:
        """What trains just now."""
        now = time.monotonic()
        for one in running:
            self._began.setdefault(one.trial.number, now)
        if self._live is not None:
            with suppress(SFTGuideError):  # the workers wait for a lost storage
                self._live.update(self._table(running, now))

    def ended(self, ended: Ended) -> None:
        """One line for a trial that has come to its end."""
        run, values = ended.run, _values(ended.trial)
        began = self._began.get(ended.trial.number)
        took = "" if began is None else f", {duration(time.monotonic() - began)}"
        head = f"trial {ended.trial.number}"
        if ended.value is not None:
            metric = self._study.objective.metric
            best = "; best so far" if ended.best else ""
            self._say(f"{head} finished: {metric} {number(ended.value)}{best}", values)
        elif run is not None:
            self._saved += run.steps_saved
            self._say(
                f"{head} stopped at step {count(run.step)} of "
                f"{count(run.max_steps)} by {ended.why}",
                values + took,
            )
        else:
            self._say(f"{head} failed: {ended.why}", values)

    def interrupted(self) -> None:
        """Say what has become of the trials."""
        waiting = self._study.counts().get("WAITING", 0)
        self._say(
            f"interrupted: all trainings are ended, {waiting} trials wait; the same "
            "command goes on with them"
        )

    def done(self) -> None:
        """Say what came out."""
        counts = self._study.counts()
        parts = [
            f"{counts[state]} {word}"
            for state, word in (
                ("COMPLETE", "finished"),
                ("PRUNED", "stopped"),
                ("FAIL", "failed or interrupted"),
                ("RUNNING", "with other workers"),
            )
            if counts.get(state)
        ]
        saved = f"; {count(self._saved)} steps saved here" if self._saved else ""
        self._say(f"study {self._study.name}: {', '.join(parts)}{saved}")
        best = self._study.best()
        if best is not None:
            trial, value, folder = best
            metric = self._study.objective.metric
            self._say(f"best: trial {trial}, {metric} {number(value)}, in {folder}")
        self._say(f"see: sftguide runs list --study {self._study.name}")

    def _say(self, line: str, aside: str = "") -> None:
        text = escape(line) + (f" [dim]({escape(aside)})[/]" if aside else "")
        self._out.print(text, soft_wrap=True, highlight=False)

    def _table(self, running: Sequence[Running], now: float) -> Table:
        counts = self._study.counts()
        done = sum(counts.get(s, 0) for s in ("COMPLETE", "PRUNED"))
        total = sum(n for state, n in counts.items() if state != "FAIL")
        best = self._study.best()
        told = f", best {number(best[1])}" if best else ""
        table = Table(box=None, title=f"{done} of {total} done{told}")
        for heading in ("trial", "values", "step", "loss", "norm", "for"):
            table.add_column(
                heading, justify="left" if heading == "values" else "right"
            )
        for one in running:
            table.add_row(*self._row(one, now))
        return table

    def _row(self, one: Running, now: float) -> list[str]:
        run = one.run
        began = self._began.get(one.trial.number, now)
        seen: list[Any] = ["starting", "", ""]
        if run is not None and run.step:
            seen = [
                f"{count(run.step)} of {count(run.max_steps)} "
                f"({share(run.step, run.max_steps)})",
                number(run.loss),
                number(run.grad_norm),
            ]
        return [
            str(one.trial.number),
            escape(_values(one.trial)),
            *seen,
            duration(now - began),
        ]


def _values(trial: Trial) -> str:
    return ", ".join(f"{key} {_shown(value)}" for key, value in trial.values.items())


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
