"""The Axolotl plugin (the only folder that imports axolotl).

_plugin  which hook does what
_mix     a mix in the place of the datasets
_batch   gradient accumulation from the effective batch size
_data    the rows of a configuration as the host tokenises them
_memory  whether the card will hold it
"""

from ._data import examined_datasets
from ._plugin import SFTGuideArgs, SFTGuidePlugin, known_keys

__all__ = ["SFTGuideArgs", "SFTGuidePlugin", "examined_datasets", "known_keys"]
