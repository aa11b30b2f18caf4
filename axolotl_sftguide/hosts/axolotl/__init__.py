"""The Axolotl plugin (the only folder that imports axolotl).

_plugin        the plugin and its hooks
_mix           a mix that replaces the config's datasets
_batch         gradient accumulation from the effective batch size
_data          the rows of a config as Axolotl tokenises them
_steps         optimizer steps, counted on the prepared rows
_memory        a warning if the training probably does not fit on the GPU
longest_first  a sampler that starts with the longest rows
"""

from ._data import ExaminedRun, examined_run
from ._plugin import SFTGuideArgs, SFTGuidePlugin, known_keys
from ._steps import PreparedRun

__all__ = [
    "ExaminedRun",
    "PreparedRun",
    "SFTGuideArgs",
    "SFTGuidePlugin",
    "examined_run",
    "known_keys",
]
