"""Estimates the memory and the batch of a training, without loading the model.

_architecture  shapes of a model's weights, from its config.json
_known         config.json of public models
_known_others  config.json of public models without formulas
_setting       what a config asks for, as far as it costs memory
_numbers       the config's numbers, validated
_quantisation  bits in which weights are loaded
_targets       layers that have adapters
_sharding      over how many GPUs a part is divided
_optimizer     states of the optimizer
_states        weights, adapters, gradients, optimizer
_activations   activations of a forward and backward pass
_logits        logits, by the loss
_plan          the peak, and the largest micro batch that fits
_batch         micro batch and accumulation for the requested batch size
"""

from ._architecture import Architecture, Linear, read_architecture
from ._batch import BatchPlan, plan_batch
from ._known import KNOWN, FoundModel, find_model, locate_model
from ._numbers import read_numbers
from ._optimizer import optimizer_bytes
from ._plan import MemoryPlan, plan_memory, slack_bytes
from ._setting import Setting, Trainer, read_setting
from ._states import Part, quantised_bytes

__all__ = [
    "KNOWN",
    "Architecture",
    "BatchPlan",
    "FoundModel",
    "Linear",
    "MemoryPlan",
    "Part",
    "Setting",
    "Trainer",
    "find_model",
    "locate_model",
    "optimizer_bytes",
    "plan_batch",
    "plan_memory",
    "quantised_bytes",
    "read_architecture",
    "read_numbers",
    "read_setting",
    "slack_bytes",
]
