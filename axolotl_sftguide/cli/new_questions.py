"""Questions of `sftguide new`, where a wrong guess would cost the run."""

from __future__ import annotations

import subprocess
import sys

import click

from .common import echo
from .memory_size import bytes_of


def can_ask() -> bool:
    """Whether questions can be asked at a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(flag: str, question: str, default: str | None = None) -> str:
    """An answer from the terminal; without one, an error that names the option.

    Raises:
        SFTGuideError: If there is no terminal.
    """
    from ..errors import SFTGuideError

    if not can_ask():
        raise SFTGuideError(f"{flag} is required; {question[0].lower()}{question[1:]}")
    return str(click.prompt(question, default=default))


def gpu_memory() -> int:
    """The memory of the smallest GPU here, or else the answer to a question."""
    from ..errors import SFTGuideError

    found = _of_this_machine()
    if found:
        echo(f"--gpu-memory: {found / 2**30:.3g}GiB, as nvidia-smi says", err=True)
        return found
    answer = ask("--gpu-memory", "How much memory has one GPU, such as 24GiB?", "24GiB")
    size = bytes_of(answer)
    if size is None:
        raise SFTGuideError(
            f"--gpu-memory: {answer!r} is not a size; write 24GiB or 24GB"
        )
    return size


def _of_this_machine() -> int:
    words = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    sizes = [int(line) for line in done.stdout.split() if line.isdigit()]
    return min(sizes, default=0) * 2**20
