"""How a mix looks in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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

from ..mixing import FAULTS, Manifest, Mixed, PhasePart
from ..units import count
from .common import is_quiet
from .safe_console import SafeConsole
from .tables import console

WIDTH = 80
_NAMES_WIDTH = 20
_ALWAYS = ("read", "written")
_COLUMNS_SHOWN = 8
_EXAMPLES_SHOWN = 3


class MixProgress:
    """Progress bars in a terminal; nothing in a pipe."""

    def __init__(self) -> None:
        out = SafeConsole(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=out,
            disable=is_quiet() or not out.is_terminal,
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
    """A table with one line per source, and what became of its rows."""
    out = console()

    def say(line: str) -> None:
        whole = not out.is_terminal  # only a terminal needs lines of its width
        out.print(line, highlight=False, markup=False, soft_wrap=whole)

    if not mixed.built:
        say(f"{mixed.folder} already exists; not built again")
    parts = mixed.manifest.parts
    columns = {
        "read": [part.rows_read for part in parts],
        "left out": [sum(_reasons(part).values()) for part in parts],
        "held out": [part.held_out for part in parts],
        "repeated": [part.repeated for part in parts],
        "written": [part.rows for part in parts],
    }
    shown = [name for name in columns if any(columns[name]) or name in _ALWAYS]
    table = Table(width=None if _fits(parts) else WIDTH)
    table.add_column("phase", overflow="fold")
    table.add_column("source", overflow="fold")
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for index, part in enumerate(parts):
        counts = [count(columns[name][index]) for name in shown]
        table.add_row(escape(part.phase), escape(part.path), *counts)
    out.print(table)
    for part in parts:
        for why, number in _reasons(part).items():
            say(f"{part.path}: {rows(number)} left out: {why}")
    line = rows(sum(part.rows for part in parts))
    deviation = mixed.manifest.largest_prefix_deviation_rows
    if deviation is not None and len(parts) > 1:
        line += (
            f"; in any prefix, each source is within {deviation:.1f} rows of its share"
        )
    say(line)
    for note in [*mixed.manifest.notes, *_notes(mixed.manifest)]:
        say(note)


def _fits(parts: Sequence[PhasePart]) -> bool:
    """Whether the names are short enough for a table of `WIDTH` columns."""
    names = max(len(part.phase) for part in parts), max(len(p.path) for p in parts)
    return sum(names) <= _NAMES_WIDTH


def _notes(manifest: Manifest) -> Iterator[str]:
    """What the table does not say, one line each."""
    for part in manifest.parts:
        if part.not_read:
            names = ", ".join(f"{name} ({count(n)})" for name, n in _most(part))
            yield f"{part.path}: not part of the conversations: {names}"
    for file in manifest.excluded_files:
        if "matched" in file:
            yield (
                f"{file['file']}: {count(file['matched'])} of {rows(file['rows'])} "
                "matched and excluded"
            )
    for one in manifest.near_duplicate_examples[:_EXAMPLES_SHOWN]:
        yield (
            f"{one['row']}: left out, because it is {one['similarity']:.0%} similar "
            f"to {one['similar_to']}"
        )
    for one in manifest.overlap_examples[:_EXAMPLES_SHOWN]:
        yield (
            f"{one['row']}: left out, because it has {one['overlap']:.0%} of the "
            f"n-grams of the question in {one['excluded']}"
        )
    if any("prompt_completion" in part.forms for part in manifest.parts):
        yield (
            "TRL trains only the completion of a prompt, but whole conversations. To "
            "train on the answers alone, set assistant_only_loss=True."
        )
    if manifest.training_fields:
        lines = " and ".join(f"{k}: {v}" for k, v in manifest.training_fields.items())
        yield (
            f"Some messages have training flags. Axolotl uses them with {lines} below; "
            "TRL ignores them."
        )


def _most(part: PhasePart) -> list[tuple[str, int]]:
    found = sorted(part.not_read.items(), key=lambda item: (-item[1], item[0]))
    more = len(found) - _COLUMNS_SHOWN
    return [*found[:_COLUMNS_SHOWN], *([("more columns", more)] if more > 0 else [])]


def rows(number: int) -> str:
    """A number of rows, such as `1 row`."""
    return f"{count(number)} row{'' if number == 1 else 's'}"


def _reasons(part: PhasePart) -> dict[str, int]:
    texts = {str(code): text for code, text in FAULTS.items()}
    # A manifest of version 0.1.0 has the text in the place of the code.
    found = {texts.get(code, code): n for code, n in part.faults.items()}
    for kind, by_path in (
        ("duplicate of", part.duplicates),
        ("near-duplicate of", part.near_duplicates),
    ):
        found |= {f"{kind} a row in {path}": n for path, n in by_path.items()}
    found |= {
        "does not match where": part.filtered,
        "in an excluded file": part.excluded,
        "not drawn (max_rows, max_tokens or share)": part.not_drawn,
    }
    return {why: n for why, n in found.items() if n}
