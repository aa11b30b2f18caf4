"""Helpers for the tables of all commands."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from ..config.differences import flatten
from ..safe_text import masked
from ..units import number
from .common import is_quiet, wants_json
from .safe_console import SafeConsole

if TYPE_CHECKING:
    from ..runs.history import Run, Score

PIPED_WIDTH = 220
"""The width in a pipe, where nothing is cut off."""

COLOUR = {
    "finished": "green",
    "running": "cyan",
    "terminated": "yellow",
    "parked": "yellow",
    "failed": "red",
    "dead": "red",
}
"""Of each status."""


def console() -> SafeConsole:
    """The console that tables are printed to."""
    known = sys.stdout.isatty() or os.environ.get("COLUMNS")
    return SafeConsole(width=None if known else PIPED_WIDTH)


def progress_console() -> SafeConsole:
    """The console of a long command's progress: stderr with --json, nothing with -q."""
    # With --json, stdout has the answer alone.
    out = SafeConsole(stderr=True) if wants_json() else console()
    out.quiet = is_quiet()
    return out


def status_of(run: Run) -> str:
    """The status in its colour."""
    status = run.shown_status
    return f"[{COLOUR[status]}]{status}[/]"


def seconds_of(run: Run) -> float:
    """How long the run took, or has taken so far."""
    running = run.shown_status == "running"
    ended_at = run.ended_at or (time.time() if running else run.heartbeat_at)
    return ended_at - run.started_at


def score_beside(run: Run, score: Score) -> list[tuple[str, float]]:
    """What to compare a score with: the base model's, and the config's own figures."""
    beside = [] if score.base_value is None else [("base", score.base_value)]
    config = flatten(run.config)
    prefix = "sftguide.score.compare_with."
    if config.get("sftguide.score.metric") == score.metric:
        beside += [
            (key.removeprefix(prefix), float(value))
            for key, value in config.items()
            if key.startswith(prefix)
            and isinstance(value, (int, float))
            and abs(value) < 1e300
        ]
    return beside


def shown(value: Any, most: int = 20) -> str:
    """A value of a config in a table: shortened, with markup escaped."""
    if isinstance(value, float):
        return number(value)
    if value is None or isinstance(value, int):
        return "-" if value is None else str(value)
    text = masked(str(value))
    return escape(text if len(text) <= most else f"{text[: most - 3]}...")


def label(key: str) -> str:
    """A config's key as a heading: its last part, with spaces."""
    return escape(key.rpartition(".")[2].replace("_", " "))
