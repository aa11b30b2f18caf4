"""Campaigns: inputs."""

from collections.abc import Callable
from pathlib import Path

from outcome import Outcome

CAMPAIGNS: tuple[Callable[[Path, int, float], Outcome], ...] = ()
