"""A sweep: an Optuna study whose trials are Axolotl runs.

_space      what is varied, and the config of one trial
_objective  the number that a trial is judged by
_study      the trials in Optuna's storage: planned, claimed, told, taken up again
_training   one trial's training: a process, its log, its end
_sweep      workers that take trials until none is left
"""

from ._objective import Objective, choose_objective
from ._space import Choice, Range, SearchSpace, read_space
from ._study import SweepStudy, Trial
from ._sweep import Ended, Running, Sweep

__all__ = [
    "Choice",
    "Ended",
    "Objective",
    "Range",
    "Running",
    "SearchSpace",
    "Sweep",
    "SweepStudy",
    "Trial",
    "choose_objective",
    "read_space",
]
