"""Disks of a megabyte, to be filled."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[None]:
    """A disk of its own at a folder; without the rights to mount one, an error."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={size},mode=777", "none", str(folder)]
    subprocess.run(["mount", *options], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def can_mount() -> bool:
    """Whether this user may mount a disk."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def fill(folder: Path) -> Callable[[], None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 256, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler.unlink
