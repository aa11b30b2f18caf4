"""What a forward and backward pass holds for a while."""

from __future__ import annotations

from ._architecture import Architecture
from ._logits import logits
from ._setting import Setting
from ._states import Part, adapter_shapes, quantised_bytes

_OF_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")


def passing_parts(arch: Architecture, setting: Setting) -> list[Part]:
    """What a forward and backward pass holds for a while.

    What a layer keeps is counted for transformers' own modules with scaled dot-product
    attention, for peft's, and for the kernels of Axolotl 0.19.0 and of Liger 0.8; the
    tests hold it against tensors counted on a CPU, where those kernels are interpreted.
    """
    width = 2 if setting.half else 4
    tokens = setting.tokens
    layer = tokens * _kept_in_a_layer(arch, setting)
    parts = []
    if setting.checkpointing:
        parts.append(
            Part(
                "checkpoints",
                arch.layers * tokens * arch.hidden * width,
                f"{arch.layers} layers x {tokens:,} tokens x {arch.hidden} x {width}",
                "one hidden state a layer",
            )
        )
        said = f"{tokens:,} tokens x {layer // tokens:,} bytes"
        parts.append(Part("one layer again", layer, said, "recomputed going back"))
    else:
        parts.append(
            Part(
                "activations",
                arch.layers * layer,
                f"{arch.layers} layers x {tokens:,} tokens x {layer // tokens:,} bytes",
                "kept from the forward to the backward pass",
            )
        )
    going_back, whole = _going_back(arch, setting), 0
    said = f"{tokens:,} tokens x {going_back:,} bytes"
    if arch.tied and not setting.adapter:
        # The output's gradient waits for the embedding's, which is the same table.
        whole = arch.embedding
        said += f" + {whole:,} numbers of the output x {width} bytes"
    size = tokens * going_back + whole * width
    parts.append(Part("its gradients", size, said, "of one layer, going back"))
    if setting.four_bits:
        largest = max(linear.numbers for linear in arch.linears)
        parts.append(
            Part(
                "one weight again",
                largest * width,
                f"{largest:,} numbers x {width} bytes, dequantised",
                "the largest linear layer",
            )
        )
    if setting.cards > 1 and setting.stage == 3:
        parts.append(_gathered(arch, setting))
    if setting.adapter and setting.half:
        parts.append(_adapter_copies(arch, setting))
    parts.append(logits(arch, setting))
    return parts


def _gathered(arch: Architecture, setting: Setting) -> Part:
    """What is divided over cards and needed whole: a layer, the next, and the rest."""
    width = 2 if setting.half else 4
    in_a_layer = (arch.quantisable + arch.biases) // arch.layers + arch.norms
    rest = arch.embedding + arch.last_norm
    layer = in_a_layer * width
    if setting.four_bits:
        layer = sum(map(quantised_bytes, arch.linears)) + arch.norms * width
    size, said = 2 * layer + rest * width, "two layers"
    if not setting.adapter:
        size, said = size + in_a_layer * width, "two layers, one layer's gradients"
    said += f" and {rest:,} numbers of embedding, output and last norm"
    return Part("gathered weights", size, said, "torch, fully_shard")


def _adapter_copies(arch: Architecture, setting: Setting) -> Part:
    """What autocast, or a kernel, computes with in place of adapters in float32."""
    name, numbers = "adapters in 16 bits", sum(adapter_shapes(arch, setting))
    if setting.checkpointing:  # autocast has ended, and those of one layer come back
        name, numbers = "its adapters in 16 bits", numbers // arch.layers
        if setting.mlp_kernel:  # which makes their gradients in 16 bits too
            numbers += 3 * setting.rank * (arch.hidden + arch.inner)
    said = f"{numbers:,} numbers x 2 bytes"
    return Part(name, 2 * numbers, said, "torch.autocast's cache")


def _kept_in_a_layer(arch: Architecture, setting: Setting) -> int:
    """Bytes a token that the backward pass of one decoder layer needs."""
    width = 2 if setting.half else 4
    core = 2 * (arch.heads + arch.kv_heads) * arch.head_width * width
    if any(linear.name == "qkv_proj" for linear in arch.linears):
        core += core // 2  # the values are a view of all three, which stay with them
    return (
        core
        + 4 * (arch.heads + 2)  # a logarithm a head, a scale a norm
        + _kept_of_the_mlp(arch, setting) * width
        + _kept_of_inputs(arch, setting) * width
        + _kept_of_the_norms(arch, setting)
    )


def _kept_of_the_mlp(arch: Architecture, setting: Setting) -> int:
    """Numbers a token between the MLP's layers."""
    if not arch.gated:
        kept = 2
    else:  # the gate's and the other's output, the activation, and their product
        kept = 2 if setting.mlp_kernel else 3 if setting.fused_glu else 4
    if setting.adapter and setting.half and not setting.mlp_kernel:
        kept -= 1  # a frozen layer keeps no input; its adapter has a copy
    return kept * arch.inner


def _kept_of_inputs(arch: Architecture, setting: Setting) -> int:
    """Numbers a token of what linear layers and adapters take in."""
    if not setting.adapter:
        return 2 * arch.hidden
    if not setting.half:
        return 2 * arch.hidden + setting.rank * len(setting.targets)
    # Autocast gives each adapter a copy of its input; Axolotl's kernels share one.
    kept = arch.hidden * (setting.mlp_kernel + setting.attention_kernels)
    for linear in arch.linears:
        of_mlp = linear.name not in _OF_ATTENTION
        shared = setting.mlp_kernel if of_mlp else setting.attention_kernels
        if linear.name in setting.targets and not shared:
            kept += linear.inputs + setting.rank
    return kept


def _kept_of_the_norms(arch: Architecture, setting: Setting) -> int:
    """Bytes a token; the first one's input is the checkpoint, where there is one."""
    width = 2 if setting.half else 4
    if setting.fused_norms:
        again = arch.hidden if setting.checkpointing else 0
        return (arch.normed - again) * width
    # Each input in float32, and what a trained scale was multiplied with.
    scaled = {"rms": width, "float32 rms": 4, "layer": 0}[arch.norm_kind]
    return arch.normed * (4 if setting.adapter else 4 + scaled)


def _going_back(arch: Architecture, setting: Setting) -> int:
    """Bytes a token of the gradients inside the MLP, where they are most."""
    inner, hidden = arch.inner, arch.hidden
    if not setting.half:
        return 8 * inner
    if not setting.adapter:
        back = (2 if setting.fused_glu or not arch.gated else 4) * inner + 2 * hidden
        # What is kept of a norm after the MLP is gone by then; itself it takes more.
        return max(back - 10 * hidden, 18 * hidden) if arch.post_norms else back
    more = 4 * hidden if arch.residual_multiplier else 0
    more += 2 * hidden if arch.normed >= 4 * hidden else 0
    if setting.mlp_kernel:
        return 2 * inner + 4 * hidden + 6 * setting.rank + more
    return 6 * inner + (8 if setting.fused_norms else 10) * hidden + more
