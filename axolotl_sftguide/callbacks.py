"""Moved to `axolotl_sftguide.hosts`; this name works until version 2.0."""

from .hosts.held_out_score import HeldOutScoreCallback as HeldOutScoreCallback
from .hosts.trainer import EarlyTerminationCallback as EarlyTerminationCallback
from .hosts.trainer import GradientMonitorCallback as GradientMonitorCallback
