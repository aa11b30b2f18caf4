"""Linear layers whose weights are quantised, as far as their memory goes.

bitsandbytes' kernels need a GPU or real numbers. For memory it is enough to hold as
many bytes as the quantised weight has, and to make a 16-bit weight for each product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class _Product(torch.autograd.Function):  # type: ignore[misc]
    """A product with a weight that exists only while it is used."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, outputs: int) -> torch.Tensor:
        """Make the weight for this product; nothing is kept for the backward pass."""
        ctx.inputs = inputs.shape[-1]
        weight = inputs.new_empty(outputs, ctx.inputs)
        return torch.nn.functional.linear(inputs, weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Make the weight again."""
        weight = gradient.new_empty(gradient.shape[-1], ctx.inputs)
        return gradient @ weight, None


class QuantisedLinear(torch.nn.Linear):  # type: ignore[misc]
    """A linear layer with a quantised weight of a given size."""

    def __init__(self, layer: torch.nn.Linear, size_bytes: int, dtype: Any) -> None:
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        packed = torch.empty(size_bytes, dtype=torch.uint8)
        self.weight = torch.nn.Parameter(packed, requires_grad=False)
        self.bias = layer.bias
        self.dtype = dtype

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The product of the inputs and the weight, in 16 bits."""
        inputs = inputs.to(self.dtype)
        made: torch.Tensor = _Product.apply(inputs, self.out_features)
        return made if self.bias is None else made + self.bias


def quantise(
    model: torch.nn.Module, size_of: Callable[[torch.nn.Linear], int], dtype: Any
) -> None:
    """Replace all linear layers but the output by layers with quantised weights.

    Args:
        model: The model.
        size_of: Bytes of a layer's quantised weight.
        dtype: The type in which products are made.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear and name != "lm_head":
                setattr(module, name, QuantisedLinear(child, size_of(child), dtype))
