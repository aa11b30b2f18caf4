"""The Axolotl plugin (the only folder that imports axolotl).

_plugin        the plugin and its hooks
_mix           a mix that replaces the config's datasets
_batch         gradient accumulation from the effective batch size
_data          the rows of a config as Axolotl tokenises them
_memory        a warning if the training probably does not fit on the GPU
longest_first  a sampler that starts with the longest rows
"""

from ._data import examined_datasets
from ._plugin import SFTGuideArgs, SFTGuidePlugin, known_keys

__all__ = ["SFTGuideArgs", "SFTGuidePlugin", "examined_datasets", "known_keys"]
