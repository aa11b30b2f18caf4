"""A guide for supervised fine-tuning: watch, record and stop runs.

The names below load on first use, so that importing this package loads neither
torch nor transformers nor axolotl.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .advice import advise as advise
    from .hosts.axolotl import SFTGuidePlugin as SFTGuidePlugin
    from .hosts.trainer import EarlyTerminationCallback as EarlyTerminationCallback
    from .hosts.trainer import GradientMonitorCallback as GradientMonitorCallback
    from .mixing import mix as mix
    from .planning import plan_memory as plan_memory
    from .runs.history import RunHistory as RunHistory
    from .sweep.pruner import SFTGuidePruner as SFTGuidePruner

__version__ = "0.1.0"

_HOME = {
    "EarlyTerminationCallback": "hosts.trainer",
    "GradientMonitorCallback": "hosts.trainer",
    "RunHistory": "runs.history",
    "advise": "advice",
    "mix": "mixing",
    "plan_memory": "planning",
    "SFTGuidePlugin": "hosts.axolotl",
    "SFTGuidePruner": "sweep.pruner",
}

__all__ = [
    "EarlyTerminationCallback",
    "GradientMonitorCallback",
    "RunHistory",
    "SFTGuidePlugin",
    "SFTGuidePruner",
    "__version__",
    "advise",
    "mix",
    "plan_memory",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    except ImportError as error:
        # Axolotl catches ImportError and trains on without the plugin.
        raise RuntimeError(
            f"sftguide: {name} cannot load because {error}; training would go on "
            "unwatched. Install its host: pip install 'axolotl-sftguide[axolotl]' "
            "([trl] for the callbacks alone, [sweep] for the pruner, [mix] for mix)."
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
