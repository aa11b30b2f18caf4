"""Moved to `axolotl_sftguide.hosts.trainer`; this name works until version 1.0."""

from .hosts.trainer import (
    EarlyTerminationCallback as EarlyTerminationCallback,
)
from .hosts.trainer import (
    GradientMonitorCallback as GradientMonitorCallback,
)
from .hosts.trainer import (
    HeldOutScoreCallback as HeldOutScoreCallback,
)
