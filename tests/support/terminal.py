"""A command in a terminal of a given size, and what is on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyte
from rich.text import Text

_RICH = {
    **{name: name for name in ("red", "green", "cyan", "magenta", "blue", "white")},
    "brown": "yellow",
    "brightblack": "bright_black",
}
"""Colours of pyte by their names in rich."""

PROJECT = Path(__file__).parents[2]


class Terminal:
    """`sftguide WORDS` on a terminal; pyte keeps its screen as xterm would show it."""

    def __init__(
        self, *words: str | Path, columns: int = 80, lines: int = 24, **environment: str
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        self._size(columns, lines)
        variables = {
            **os.environ,
            "TERM": "xterm-256color",
            "PYTHONPATH": str(PROJECT),
            "PYTHONIOENCODING": "utf-8",
            **environment,
        }
        for name in ("COLUMNS", "LINES"):
            variables.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "axolotl_sftguide", *map(str, words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=variables,
            start_new_session=True,
            preexec_fn=_heeds_ctrl_c,
        )
        os.close(theirs)
        self.raw = b""

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, without spaces at their ends."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def picture(self) -> Text:
        """The screen with its colours."""
        text = Text(no_wrap=True)
        for line in range(self._screen.lines):
            for column in range(self._screen.columns):
                char = self._screen.buffer[line][column]
                style = "bold " * char.bold + _RICH.get(char.fg, "default")
                text.append(char.data, style)
            text.rstrip()
            text.append("\n")
        return text

    def colours(self, line: int) -> set[str]:
        """The colours in a line of the screen."""
        return {char.fg for char in self._screen.buffer[line].values()}

    def until(self, seen: Callable[[str], Any], timeout_s: float = 60.0) -> str:
        """Read what the command writes until its screen shows something."""
        deadline = time.monotonic() + timeout_s
        while not seen(self.text):
            left = deadline - time.monotonic()
            more = left > 0 and self.read(left)
            assert more, f"not seen:\n{self.text}"
        return self.text

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        self._size(columns, lines)
        os.killpg(self._process.pid, signal.SIGWINCH)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def end(self, timeout_s: float = 60.0) -> int:
        """Read on until the command ends; its exit status."""
        while self.read(timeout_s):
            pass
        os.close(self._ours)
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def read(self, timeout_s: float) -> bool:
        """Take in what the command has written; False once it writes no more."""
        if not select.select([self._ours], [], [], timeout_s)[0]:
            return False
        try:
            found = os.read(self._ours, 65536)
        except OSError:  # Linux: the other side is closed
            return False
        self.raw += found
        self._stream.feed(found)
        return bool(found)

    def _size(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)


def _heeds_ctrl_c() -> None:
    """Processes that a script starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
