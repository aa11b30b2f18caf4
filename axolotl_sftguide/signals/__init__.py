"""Measurements of a run as plain values; no trainer and no disk.

observations     one optimizer step, and the logs of a window of steps
curves           loss and gradient norm over the samples seen
autocorrelation  errors of means over steps that resemble their neighbours
noise_scale      the gradient noise scale, estimated from ordinary steps
comparability    which runs may be compared
sources          the loss of each source of a dataset
cohort           quantiles of earlier runs at a number of samples
correlation      rank correlation with a confidence interval
regression       a straight line with its prediction interval
forecast         the final score of a run, predicted by earlier runs
"""

from .curves import (
    POINT_STEPS,
    Curve,
    Point,
    interpolate,
    norm_at_batch,
    point_steps,
    points_of,
    robust_scale,
    thinned,
)
from .observations import LogWindow, Observation, window_logs

__all__ = [
    "POINT_STEPS",
    "Curve",
    "LogWindow",
    "Observation",
    "Point",
    "interpolate",
    "norm_at_batch",
    "point_steps",
    "points_of",
    "robust_scale",
    "thinned",
    "window_logs",
]
