"""How a mix looks in a terminal."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ..mixing import Mixed, PhasePart
from ..units import count
from .tables import console


class MixProgress:
    """Bars while someone looks; nothing in a pipe."""

    def __init__(self) -> None:
        out = console()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=out,
            disable=not out.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> MixProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, what: str, done: int, whole: int) -> None:
        """Move one bar."""
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=whole, rate="")
        task = self._tasks[what]
        speed = next(t.speed for t in self._bars.tasks if t.id == task) or 0.0
        unit = "MB/s" if what == "reading" else "rows/s"
        shown = speed / 1e6 if what == "reading" else speed
        rate = f"{shown:,.0f} {unit}" if speed else ""
        self._bars.update(task, completed=done, total=whole, rate=rate)


def print_mix(mixed: Mixed) -> None:
    """One line for each source: where each of its rows has gone."""
    out = console()
    table = Table(title=None if mixed.built else "was there already: nothing to do")
    table.add_column("phase")
    table.add_column("source", overflow="fold")
    for heading in ("rows read", "left out", "held out", "repeated", "rows"):
        table.add_column(heading, justify="right")
    table.add_column("why left out", overflow="fold")
    for part in mixed.manifest.parts:
        reasons = _reasons(part)
        table.add_row(
            escape(part.phase),
            escape(part.path),
            count(part.rows_read),
            count(sum(reasons.values())),
            count(part.held_out),
            count(part.repeated),
            count(part.rows),
            escape("; ".join(f"{n} {why}" for why, n in reasons.items())),
        )
    out.print(table)
    rows = sum(part.rows for part in mixed.manifest.parts)
    deviation = mixed.manifest.largest_prefix_deviation_rows
    even = "" if deviation is None else f", any prefix within {deviation} rows of it"
    out.print(f"{count(rows)} rows{even}", highlight=False)
    if mixed.manifest.trains_by_turn:
        out.print(
            "some turns say themselves whether they are trained on (`train`): Axolotl "
            "reads it, TRL has no setting for it and goes by its own",
            highlight=False,
        )


def _reasons(part: PhasePart) -> dict[str, int]:
    found: dict[str, Any] = {f"that {why}": n for why, n in part.faults.items()}
    found |= {f"said in {path}": n for path, n in part.duplicates.items()}
    found |= {
        "not asked for by where": part.filtered,
        "in an excluded file": part.excluded,
        "not drawn": part.not_drawn,
    }
    return {why: n for why, n in found.items() if n}
