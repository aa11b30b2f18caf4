"""A sweep: an Optuna study whose trials are Axolotl runs.

_space            the search space, and the config of one trial
_arguments        the arguments for `axolotl train`
_objective        the value that trials are compared by
_sampler          how values are chosen
_study            the trials in Optuna's storage: queued, claimed, finished
_trial            one trial: its values, folder and worker; how it ended
_config           the complete config of one trial
_parked           the parked trials in Optuna's storage: added, taken, dropped
_parking          which trials are parked, resumed, or stopped for good
_prepared         where a trial keeps its tokenised data
_training         the training of one trial
_runs             the trials' runs in the run history
_lock             what one worker may do at a time
_sweep            workers that train trials until none is left
axolotl_process   `axolotl train` as a child process
export            runs of the history as an Optuna study
pruner, policy    the stopping rules for Optuna, and Optuna's pruners for the backtest
ray_stopper       the stopping rules for Ray Tune
storage           Optuna and its storage
"""

from ._arguments import check_arguments
from ._config import output_folder_of
from ._objective import Objective, choose_objective, require_program
from ._space import Choice, Range, SearchSpace, read_space
from ._study import SweepStudy
from ._sweep import Sweep
from ._trial import Ended, Running, Trial

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
    "check_arguments",
    "choose_objective",
    "output_folder_of",
    "read_space",
    "require_program",
]
