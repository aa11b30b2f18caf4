"""`sftguide runs watch`: a run while it trains, from a second terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..safe_text import masked
from .common import echo, note, sigterm_as_ctrl_c, wants_json
from .history import open_existing, storage_option
from .numbers import Number

if TYPE_CHECKING:
    from ..runs.history import Run, RunHistory
    from ..runs.live import LiveReader, LiveRun

_LOOKED_EVERY_S = 1.0
"""Seconds between two checks whether a run trains."""


@click.command("watch")
@click.argument("run", required=False)
@click.option("--study", help="Only runs of this study.")
@click.option(
    "--interval",
    type=Number(min=0.1),
    default=0.5,
    show_default=True,
    help="Seconds between two updates.",
)
@storage_option
def watch_run(
    run: str | None,
    study: str | None,
    interval: float,
    storage: str | None,
) -> None:
    """Watch a run while it trains: curves, verdicts, time left.

    RUN is an id, the start of an id, a name, or `latest`. Default: the newest run that
    trains now; if none does, the command waits for one. It only reads: the training is
    not slowed down, and Ctrl-C leaves it running.

    Without a terminal, it prints one line for each log; with --json, one JSON object.
    """

    def wait() -> None:
        time.sleep(interval)

    with sigterm_as_ctrl_c():
        try:
            found = _find(run, study, storage)
            _watch(*found, wait)
        except KeyboardInterrupt:
            note("no longer watching")


def _find(
    run: str | None, study: str | None, storage: str | None
) -> tuple[RunHistory, Run]:
    """The history, and the run that is named or the newest one that trains."""
    from ..runs.history import resolve_storage

    if run is not None:
        from .history import require

        history = require(storage)
        return history, history.get(run, study=study)
    told, opened = False, None
    while True:
        opened = opened or open_existing(storage)
        running = [] if opened is None else _running(opened, study)
        if opened is not None and running:
            newest = running[-1]
            more = f", the newest of {len(running)}" if len(running) > 1 else ""
            note(f"watching {newest.name} ({newest.id}){more}")
            return opened, newest
        if not told:
            told = True
            where = resolve_storage(storage) if opened is None else opened.url
            of = "" if study is None else f" of study {study}"
            note(f"no run{of} trains now; waiting for one in {where}")
        time.sleep(_LOOKED_EVERY_S)


def _running(history: RunHistory, study: str | None) -> list[Run]:
    runs = history.runs(study=study, status="running")
    return [run for run in runs if run.shown_status == "running"]


def _watch(history: RunHistory, run: Run, wait: Callable[[], None]) -> None:
    from ..runs.live import LiveReader
    from .tables import console
    from .watch_lines import WatchLines
    from .watch_page import ending

    out, reader = console(), LiveReader(history, run)
    if wants_json() or not out.is_terminal:
        lines = WatchLines(echo, as_json=wants_json())
        live = _follow(reader, lines.show, wait)
        lines.end(live, ending(live.run))
        return
    with _full_screen(history, run, out) as show:
        live = _follow(reader, show, wait)
    end = masked(ending(live.run))
    out.print(end, markup=False, highlight=False, soft_wrap=True)


def _follow(
    reader: LiveReader, show: Callable[[LiveRun], None], wait: Callable[[], None]
) -> LiveRun:
    while True:
        live = reader.read()
        show(live)
        if live.ended:
            return live
        wait()


@contextmanager
def _full_screen(
    history: RunHistory, run: Run, out: Any
) -> Iterator[Callable[[LiveRun], None]]:
    """The terminal's alternate screen; at the end, its last picture on the main one.

    Yields:
        Redraws what has changed, which takes at most a tenth of the time.
    """
    from rich.live import Live

    from ..runs.live import earlier_runs
    from .watch_page import WatchPage

    earlier, others = earlier_runs(history, run)
    last: LiveRun | None = None
    drawn: Any = None
    rests_until = 0.0

    def show(live: LiveRun) -> None:
        nonlocal last, drawn, rests_until
        last = live
        new = (live.run, id(live.steps), len(live.decisions), live.fault, out.size)
        now = time.monotonic()
        if new != drawn and now >= rests_until:
            leave = "Ctrl-C leaves; the training goes on"
            shown.update(WatchPage(live, earlier, others, leave), refresh=True)
            drawn = new
            rests_until = now + 10 * (time.monotonic() - now)

    with Live(console=out, screen=True, auto_refresh=False) as shown:
        try:
            yield show
        finally:
            shown.stop()
            if last is not None:
                height = min(out.size.height, 30) - 4  # for its end, and the prompt
                out.print(WatchPage(last, earlier, others), height=height)
