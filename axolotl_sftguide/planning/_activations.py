"""Memory held during a forward and backward pass."""

from __future__ import annotations

from ._architecture import Architecture
from ._logits import logits
from ._setting import Setting
from ._states import Part, adapter_shapes, quantised_bytes
from ._targets import OF_ATTENTION


def passing_parts(arch: Architecture, setting: Setting) -> list[Part]:
    """The parts held during a forward and backward pass.

    The activations of a layer are those of transformers' modules with scaled
    dot-product attention, of peft, and of the kernels in Axolotl 0.19.0 and Liger 0.8.
    The tests compare them with tensors counted on a CPU, which interprets the kernels.
    """
    width = 2 if setting.half else 4
    tokens = setting.tokens
    layer = tokens * _kept_in_a_layer(arch, setting)
    parts = []
    if setting.checkpointing:
        parts.append(_checkpoints(arch, setting, width))
        formula = f"{tokens:,} tokens x {layer // tokens:,} bytes"
        note = "activations of one layer, recomputed"
        source = "transformers, gradient_checkpointing"
        parts.append(Part("recomputed layer", layer, note, formula, source))
    else:
        parts.append(
            Part(
                "activations",
                arch.layers * layer,
                "of all layers, for the backward pass",
                f"{arch.layers} layers x {tokens:,} tokens x {layer // tokens:,} bytes",
                "transformers, without gradient_checkpointing",
            )
        )
    per_token, whole = _layer_gradients(arch, setting), 0
    formula = f"{tokens:,} tokens x {per_token:,} bytes"
    if arch.tied and not setting.adapter:
        # The output's gradient is kept until the embedding's, as they share a table.
        whole = arch.embedding
        formula += f" + {whole:,} numbers of the output x {width} bytes"
    size = tokens * per_token + whole * width
    note = "of one layer's activations"
    parts.append(Part("layer gradients", size, note, formula, "torch.autograd"))
    if setting.bits:
        largest = max(linear.numbers for linear in arch.linears)
        parts.append(
            Part(
                "dequantised weight",
                largest * width,
                "the largest linear layer",
                f"{largest:,} numbers x {width} bytes",
                f"bitsandbytes, nn.Linear{'4bit' if setting.bits == 4 else '8bitLt'}",
            )
        )
    if setting.gpus > 1 and setting.stage == 3:
        parts.append(_gathered(arch, setting))
    if setting.adapter and setting.half and not setting.half_adapters:
        parts.append(_adapter_copies(arch, setting))
    parts.append(logits(arch, setting))
    return parts


def _checkpoints(arch: Architecture, setting: Setting, width: int) -> Part:
    """The hidden state of each layer; two are on the GPU if the others are not."""
    of_a_layer = setting.tokens * arch.hidden * width
    layers, note = arch.layers, "one hidden state per layer"
    if setting.offloads_checkpoints:
        away = (arch.layers - 2) * of_a_layer
        layers, note = 2, f"of two layers; in the host's memory: {away / 2**30:.2f} GiB"
    return Part(
        "checkpoints",
        layers * of_a_layer,
        note,
        f"{layers} layers x {setting.tokens:,} tokens x {arch.hidden} x {width}",
        "transformers, gradient_checkpointing",
    )


def _gathered(arch: Architecture, setting: Setting) -> Part:
    """Weights that GPUs share and gather: two layers, and those outside of layers."""
    width = 2 if setting.half else 4
    in_a_layer = (arch.quantisable + arch.biases) // arch.layers + arch.norms
    rest = arch.embedding + arch.last_norm
    layer = in_a_layer * width
    if setting.bits:
        layer = sum(quantised_bytes(x, setting.bits) for x in arch.linears)
        layer += arch.norms * width
    held, formula = 2, "two layers"
    if not setting.reshards:
        held, formula = arch.layers, "all layers"
    size = held * layer + rest * width
    if not setting.adapter:
        size, formula = size + in_a_layer * width, f"{formula}, one layer's gradients"
    formula += f" and {rest:,} numbers of embedding, output and last norm"
    note = f"{'two' if setting.reshards else 'all'} layers, embedding and output"
    return Part("gathered weights", size, note, formula, "torch, fully_shard")


def _adapter_copies(arch: Architecture, setting: Setting) -> Part:
    """The 16-bit copies of float32 adapters that autocast or a kernel makes."""
    name, numbers = "adapters in 16 bits", sum(adapter_shapes(arch, setting))
    if setting.checkpointing:  # recomputing makes the copies of one layer
        name, numbers = "layer adapters in 16 bits", numbers // arch.layers
        if setting.mlp_kernel:  # the kernel makes 16-bit gradients, too
            numbers += 3 * setting.rank * (arch.hidden + arch.inner)
    formula = f"{numbers:,} numbers x 2 bytes"
    return Part(name, 2 * numbers, "autocast's copies", formula, "torch.autocast")


def _kept_in_a_layer(arch: Architecture, setting: Setting) -> int:
    """Bytes per token that one decoder layer keeps for its backward pass."""
    width = 2 if setting.half else 4
    core = _scores(arch, setting)
    core += 2 * (arch.heads + arch.kv_heads) * arch.head_width * width
    if any(linear.name == "qkv_proj" for linear in arch.linears):
        core += core // 2  # the values are a view that keeps the fused output alive
    return (
        core
        + 4 * (arch.heads + 2)  # a log-sum-exp per head, a scale per norm
        + _kept_of_the_mlp(arch, setting) * width
        + _kept_of_inputs(arch, setting) * width
        + _kept_of_the_norms(arch, setting)
    )


def _scores(arch: Architecture, setting: Setting) -> int:
    """Bytes per token of the scores that eager attention keeps: float32 and a copy."""
    if not setting.eager:
        return 0
    copy = 2 if setting.half else 0
    return arch.heads * setting.sequence_len * (4 + copy)


def _kept_of_the_mlp(arch: Architecture, setting: Setting) -> int:
    """Elements per token that are kept between the MLP's layers."""
    if not arch.gated:
        kept = 2
    else:  # outputs of gate and up, the activation, and the product
        kept = 2 if setting.mlp_kernel else 3 if setting.fused_glu else 4
    if setting.adapter and setting.half and not setting.mlp_kernel:
        kept -= 1  # a frozen layer keeps no input; its adapter keeps a copy
    return kept * arch.inner


def _kept_of_inputs(arch: Architecture, setting: Setting) -> int:
    """Elements per token of the kept inputs of linear layers and adapters."""
    if not setting.adapter:
        return 2 * arch.hidden
    if not setting.half:
        return 2 * arch.hidden + setting.rank * len(setting.targets)
    # With autocast each adapter keeps its own copy; Axolotl's kernels share one.
    kept = arch.hidden * (setting.mlp_kernel + setting.attention_kernels)
    for linear in arch.linears:
        of_mlp = linear.name not in OF_ATTENTION
        shared = setting.mlp_kernel if of_mlp else setting.attention_kernels
        if linear.name in setting.targets and not shared:
            kept += linear.inputs + setting.rank
    return kept


def _kept_of_the_norms(arch: Architecture, setting: Setting) -> int:
    """Bytes per token; with checkpointing the first norm's input is the checkpoint."""
    width = 2 if setting.half else 4
    if setting.fused_norms:
        again = arch.hidden if setting.checkpointing else 0
        return (arch.normed - again) * width
    # Each input in float32, and a trained scale's factor.
    scaled = {"rms": width, "float32 rms": 4, "layer": 0}[arch.norm_kind]
    return arch.normed * (4 if setting.adapter else 4 + scaled)


def _layer_gradients(arch: Architecture, setting: Setting) -> int:
    """Bytes per token of the gradients in the MLP, where a layer needs most.

    With eager attention it needs most for the scores: their gradient and the softmax's.
    """
    if setting.eager:
        width = 6 if setting.half else 8
        return arch.heads * setting.sequence_len * width
    inner, hidden = arch.inner, arch.hidden
    if not setting.half:
        return 8 * inner
    if not setting.adapter:
        back = (2 if setting.fused_glu or not arch.gated else 4) * inner + 2 * hidden
        # By then, a norm after the MLP has freed its input; its own pass needs more.
        return max(back - 10 * hidden, 18 * hidden) if arch.post_norms else back
    more = 4 * hidden if arch.residual_multiplier else 0
    more += 2 * hidden if arch.normed >= 4 * hidden else 0
    if setting.mlp_kernel:
        return 2 * inner + 4 * hidden + 6 * setting.rank + more
    return 6 * inner + (8 if setting.fused_norms else 10) * hidden + more
