"""Deprecated name of `axolotl_sftguide.hosts`."""

import warnings

from .hosts.held_out_score import HeldOutScoreCallback as HeldOutScoreCallback
from .hosts.trainer import EarlyTerminationCallback as EarlyTerminationCallback
from .hosts.trainer import GradientMonitorCallback as GradientMonitorCallback

warnings.warn(
    "`axolotl_sftguide.callbacks` is deprecated and will be removed in version 2.0; "
    "import from `axolotl_sftguide.hosts`",
    DeprecationWarning,
    stacklevel=2,
)
