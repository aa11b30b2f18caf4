"""Campaigns: processes that are killed, and storage that fails."""

from collections.abc import Callable
from pathlib import Path

import axolotls
import clocks
import disks
import histories
import mixes
import nobody
import other_histories
import processes_training
import sweeps
import writers
from outcome import Outcome

CAMPAIGNS: tuple[Callable[[Path, int, float], Outcome], ...] = (
    *processes_training.CAMPAIGNS,
    *writers.CAMPAIGNS,
    *histories.CAMPAIGNS,
    *other_histories.CAMPAIGNS,
    *disks.CAMPAIGNS,
    *nobody.CAMPAIGNS,
    *clocks.CAMPAIGNS,
    *mixes.CAMPAIGNS,
    *sweeps.CAMPAIGNS,
    *axolotls.CAMPAIGNS,
)
