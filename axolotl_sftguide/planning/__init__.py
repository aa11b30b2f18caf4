"""What a training holds in a card's memory, from the configurations alone.

_architecture  a model's config.json as shapes
_known         config.json of some public models, by name
_setting       what a training's configuration asks for
_numbers       the numbers in it, checked
_states        bytes of what stays: weights, adapters, gradients, optimizer
_activations   bytes of what passes through a step
_logits        bytes of the logits, by the loss
_plan          the whole: the peak, and what fits
_batch         the batch that it makes
"""

from ._architecture import Architecture, Linear, read_architecture
from ._batch import BatchPlan, plan_batch
from ._known import KNOWN, find_model
from ._plan import MemoryPlan, plan_memory
from ._setting import Setting, read_setting
from ._states import Part

__all__ = [
    "KNOWN",
    "Architecture",
    "BatchPlan",
    "Linear",
    "MemoryPlan",
    "Part",
    "Setting",
    "find_model",
    "plan_batch",
    "plan_memory",
    "read_architecture",
    "read_setting",
]
