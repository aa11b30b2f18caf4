"""Creates files that only their owner can read, as configs and reasons are private."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard


def opener(path: str, flags: int) -> int:
    """An opener for `open` that makes a new file private; an old one stays as it is."""
    return os.open(path, flags, 0o600)


def is_file_name(database: str | None) -> TypeGuard[str]:
    """Whether SQLite takes a database's name for a path: no `:memory:` and no URI."""
    return bool(database) and not str(database).startswith((":", "file:"))


def make_private(path: str | Path) -> None:
    """Create an empty private file where there is none.

    What SQLite writes beside its file, such as the write-ahead log, has the mode of
    that file.
    """
    with suppress(OSError):  # it is there, or SQLite says why it cannot be
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def make_private_folder(folder: Path) -> None:
    """Create a private folder; the folders above it have the usual mode."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def close_to_others(folder: Path) -> None:
    """Make an existing folder private if this user may."""
    with suppress(OSError):
        mode = folder.stat().st_mode & 0o777
        if mode & 0o077:
            folder.chmod(mode & 0o700)
