"""The Axolotl plugin (the only folder that imports axolotl).

_plugin  which hook does what
_mix     a mix in the place of the datasets
_batch   gradient accumulation from the effective batch size
"""

from ._plugin import SFTGuideArgs, SFTGuidePlugin, known_keys

__all__ = ["SFTGuideArgs", "SFTGuidePlugin", "known_keys"]
