"""What a training holds in a card's memory, from the configurations alone.

_architecture  a model's config.json as shapes
_known         config.json of some public models, by name
_setting       what a training's configuration asks for
_parts         bytes of each part, with its formula and source
_plan          the whole: the peak, what fits, and the batch that it makes
"""

from ._architecture import Architecture, Linear, read_architecture
from ._known import KNOWN, find_model
from ._parts import Part
from ._plan import MemoryPlan, plan_memory, too_large
from ._setting import Setting, read_setting

__all__ = [
    "KNOWN",
    "Architecture",
    "Linear",
    "MemoryPlan",
    "Part",
    "Setting",
    "find_model",
    "plan_memory",
    "read_architecture",
    "read_setting",
    "too_large",
]
