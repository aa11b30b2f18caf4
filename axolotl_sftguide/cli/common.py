"""What commands have in common: -q, -v, --json, messages, progress, interruption.

Answers go to stdout. Messages and progress go to stderr; progress only if that is a
terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..safe_text import shown

_QUIET = "sftguide.quiet"
_VERBOSE = "sftguide.verbose"
_JSON = "sftguide.json"


def is_quiet() -> bool:
    """Whether only answers, warnings and errors are printed."""
    return _is_set(_QUIET)


def is_verbose() -> bool:
    """Whether details are printed, such as the traceback of an error."""
    return _is_set(_VERBOSE)


def wants_json() -> bool:
    """Whether the answer is printed as JSON."""
    return _is_set(_JSON)


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text without secrets, and with escapes for control characters.

    Names, reasons and settings come from files of others: what they contain must not
    move the cursor or colour the terminal.
    """
    click.echo(shown(str(text)), err=err, nl=nl)


def echo_styled(text: str, *, nl: bool = True, color: bool | None = None) -> None:
    """Print text with colours, whose parts have each passed `safe_text`."""
    click.echo(text, nl=nl, color=color)


def note(text: str) -> None:
    """Print a message that is not part of the answer; nothing with -q."""
    if not is_quiet():
        echo(text, err=True)


def echo_json(values: Any) -> None:
    """Print values as JSON, without secrets."""
    import json

    from ..runs.redaction import json_safe

    click.echo(json.dumps(json_safe(values), indent=2, default=str))


def answer(values: Any, *lines: str) -> None:
    """Print the answer of a command: lines, or its values with --json."""
    if wants_json():
        echo_json(values)
        return
    for line in lines:
        echo(line)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr with the time left; without `total` the time so far.

    Yields:
        Advances the bar by one.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from .safe_console import SafeConsole

    # Bound to the stream of now: what runs meanwhile may be redirected.
    console = SafeConsole(file=sys.stderr)
    columns: list[Any] = [TextColumn("{task.description}")]
    if total is None:
        columns = [SpinnerColumn(), *columns, TimeElapsedColumn()]
    else:
        columns += [BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn()]
    shown = Progress(
        *columns,
        console=console,
        transient=True,
        disable=is_quiet() or not console.is_terminal,
    )
    with shown:
        task = shown.add_task(what, total=total)
        yield lambda: shown.advance(task)


def buffered_stdout_to_stderr() -> None:
    """Move to stderr what another program has printed, so that stdout is our answer.

    That is possible until it is flushed. A terminal shows each line at once.
    """
    try:
        out, err = sys.stdout.fileno(), sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return  # not a file of the system, as in a notebook
    if sys.stdout.isatty():
        return
    kept = os.dup(out)
    try:
        os.dup2(err, out)
        sys.stdout.flush()
    finally:
        os.dup2(kept, out)
        os.close(kept)


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Print the package's warnings to stderr, unless a program handles them itself."""
    import logging

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            echo(f"Warning: {record.getMessage()}", err=True)

    logger = logging.getLogger(__name__.partition(".")[0])
    handler = Shown(logging.WARNING)
    if not logger.handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, so that a command can end what it began."""
    import signal

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def give_common_options(command: click.Command) -> None:
    """Add -q, -v and --json to a command, and to all commands of a group.

    A command that has one of them keeps its own; it then also sets what `is_quiet`,
    `is_verbose` and `wants_json` return.
    """
    if isinstance(command, click.Group):
        for below in command.commands.values():
            give_common_options(below)
        return
    for key, names, text in _OPTIONS:
        found = next((p for p in command.params if names[-1] in p.opts), None)
        if found is None:
            found = click.Option(names, is_flag=True, expose_value=False, help=text)
            command.params.append(found)
        found.callback = _noting(key)


_OPTIONS = (
    (_QUIET, ["-q", "--quiet"], "Print no messages and no progress."),
    (_VERBOSE, ["-v", "--verbose"], "Print details, such as the cause of an error."),
    (_JSON, ["--json"], "Print JSON."),
)


def _noting(key: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def note_value(ctx: click.Context, _: click.Parameter, value: Any) -> Any:
        ctx.meta[key] = bool(value)
        return value

    return note_value


def _is_set(key: str) -> bool:
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(key))
