"""What is measured of a run, as values: no host, no disk.

observations   one optimizer step, and what a window of steps logs
curves         loss and gradient norm over the samples seen
noise_scale    the gradient noise scale from ordinary steps
comparability  which runs may be compared
cohort         quantiles of earlier runs at a number of samples
correlation    rank correlation with its interval
"""

from .curves import (
    POINT_STEPS,
    Curve,
    Point,
    interpolate,
    mean_and_standard_error,
    norm_at_batch,
    points_of,
    robust_scale,
    thinned,
)
from .observations import Observation, window_logs

__all__ = [
    "POINT_STEPS",
    "Curve",
    "Observation",
    "Point",
    "interpolate",
    "mean_and_standard_error",
    "norm_at_batch",
    "points_of",
    "robust_scale",
    "thinned",
    "window_logs",
]
