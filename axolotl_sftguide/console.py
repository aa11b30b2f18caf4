"""How the package writes to the terminal."""

from __future__ import annotations

import logging
import sys

from .safe_text import shown

_LOGGER = "axolotl_sftguide"


def say(line: str) -> None:
    """Print one line that starts with `sftguide:`, above a progress bar if one runs."""
    text = f"sftguide: {shown(line)}"
    tqdm = sys.modules.get("tqdm")
    if tqdm is not None:
        tqdm.tqdm.write(text)
        sys.stdout.flush()
    else:
        print(text, flush=True)


def show_log() -> None:
    """Show the package's log in the terminal, from level INFO on.

    Hosts call this when a run begins. A logger `axolotl_sftguide` that already has a
    handler is left as it is. Otherwise its records stop here, so that a host that
    configures the root logger does not print them a second time.
    """
    logger = logging.getLogger(_LOGGER)
    if logger.handlers:
        return
    handler = _TerminalHandler()
    handler.setFormatter(_TerminalFormatter())
    logger.addHandler(handler)
    logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


class _TerminalHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            say(self.format(record))
        except Exception:
            self.handleError(record)


class _TerminalFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        return f"{prefix}{record.message}"
