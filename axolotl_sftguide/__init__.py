"""A guide for supervised fine-tuning: check, plan, watch, record and stop runs.

The names below load on first use: importing this package loads neither torch nor
transformers nor Axolotl.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .advice import advise as advise
    from .config.settings import Settings as Settings
    from .errors import MixError as MixError
    from .errors import PlanError as PlanError
    from .errors import RecipeError as RecipeError
    from .errors import SettingsError as SettingsError
    from .errors import SFTGuideError as SFTGuideError
    from .errors import StorageError as StorageError
    from .errors import SweepError as SweepError
    from .errors import TraceError as TraceError
    from .hosts.axolotl import SFTGuidePlugin as SFTGuidePlugin
    from .hosts.held_out_score import HeldOutScoreCallback as HeldOutScoreCallback
    from .hosts.log_lines import LogLinesCallback as LogLinesCallback
    from .hosts.trainer import EarlyTerminationCallback as EarlyTerminationCallback
    from .hosts.trainer import GradientMonitorCallback as GradientMonitorCallback
    from .hosts.watching import watch as watch
    from .mixing import mix as mix
    from .planning import plan_memory as plan_memory
    from .report import show as show
    from .runs.history import RunHistory as RunHistory
    from .runs.marker import read_marker as read_marker
    from .runs.traces import find_traces as find_traces
    from .runs.traces import read_trace as read_trace
    from .sweep.pruner import SFTGuidePruner as SFTGuidePruner
    from .sweep.ray_stopper import SFTGuideStopper as SFTGuideStopper

__version__ = "1.0.0rc1"

_HOME = {
    "EarlyTerminationCallback": "hosts.trainer",
    "GradientMonitorCallback": "hosts.trainer",
    "HeldOutScoreCallback": "hosts.held_out_score",
    "LogLinesCallback": "hosts.log_lines",
    "MixError": "errors",
    "PlanError": "errors",
    "RecipeError": "errors",
    "RunHistory": "runs.history",
    "SFTGuideError": "errors",
    "SFTGuidePlugin": "hosts.axolotl",
    "SFTGuidePruner": "sweep.pruner",
    "SFTGuideStopper": "sweep.ray_stopper",
    "Settings": "config.settings",
    "SettingsError": "errors",
    "StorageError": "errors",
    "SweepError": "errors",
    "TraceError": "errors",
    "advise": "advice",
    "find_traces": "runs.traces",
    "mix": "mixing",
    "plan_memory": "planning",
    "read_marker": "runs.marker",
    "read_trace": "runs.traces",
    "show": "report",
    "watch": "hosts.watching",
}

_NEEDS = {
    "hosts.axolotl": ("axolotl", "transformers"),
    "hosts.held_out_score": ("transformers", "torch"),
    "hosts.log_lines": ("transformers", "torch"),
    "hosts.trainer": ("transformers", "torch"),
    "hosts.watching": ("transformers", "torch"),
    "mixing": ("numpy", "orjson"),
    "sweep.pruner": ("optuna",),
    "sweep.ray_stopper": ("ray",),
}
"""What has to be installed for a module, beside the package's own dependencies."""

_EXTRAS = {
    "hosts.axolotl": "axolotl",
    "hosts.held_out_score": "trl",
    "hosts.log_lines": "trl",
    "hosts.trainer": "trl",
    "hosts.watching": "trl",
    "mixing": "mix",
    "sweep.pruner": "sweep",
    "sweep.ray_stopper": "ray",
}


class _CannotLoad(RuntimeError, AttributeError):
    """A name whose dependencies are not installed.

    A RuntimeError, because Axolotl catches ImportError and trains without the plugin;
    an AttributeError, so that `hasattr` answers.
    """


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return __dir__()
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME[name]
    try:
        return getattr(import_module(f"{__name__}.{home}"), name)
    except ImportError as error:
        extra = f"[{_EXTRAS[home]}]" if home in _EXTRAS else ""
        follows = "; training would run unwatched" if "hosts" in home else ""
        text = (
            f"sftguide: {name} cannot be imported ({error}){follows}. Install its "
            f"dependencies: pip install 'axolotl-sftguide{extra}'"
        )
        # `from axolotl_sftguide import X` replaces an AttributeError by an ImportError
        # without this text.
        importing = sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap"
        raise (RuntimeError if importing else _CannotLoad)(text) from error


def __dir__() -> list[str]:
    """The public names whose dependencies are installed."""
    installed = (
        name
        for name, home in _HOME.items()
        if all(_is_installed(needed) for needed in _NEEDS.get(home, ()))
    )
    return sorted(["__version__", *installed])


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # blocked in sys.modules
        return False
