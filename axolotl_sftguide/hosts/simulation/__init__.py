"""A training step of transformers' own model code on tensors without memory.

_peak     counts the bytes of all tensors that are alive
_weights  linear layers whose weights are quantised, as far as their memory goes
_step     makes the model and goes through one step
"""

from ._step import Simulated, not_simulated, simulate

__all__ = ["Simulated", "not_simulated", "simulate"]
