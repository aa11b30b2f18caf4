"""What the config says of the model, against the model's own `config.json`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..config.model_layers import block_classes, layer_names
from ..config.yaml_edits import Edit
from ._finding import Finding, Weight
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE

_LAYER = re.compile(r"layers\\?\.(.+?)\\?\.")
_PLAIN = re.compile(r"[\w.]+")


def no_targets(view: View) -> Iterator[Finding]:
    """An adapter for which no layers are named."""
    keys = ("lora_target_linear", "lora_target_modules", "lora_target_parameters")
    own = view.get("adapter") in ("lora", "qlora")
    if not own or view.get("lora_model_dir") or any(view.get(key) for key in keys):
        return
    yield Finding(
        WRONG,
        "lora_target_modules",
        view.config.get("lora_target_modules"),
        "adapter is set, and no layers are named for it",
        "peft ends the run after the model is loaded",
        "Set lora_target_linear: true",
        id="targets-missing",
        edits=(Edit("set", "lora_target_linear", True),),
    )


def targets(view: View) -> Iterator[Finding]:
    """Layers of another model in `lora_target_modules`."""
    known = layer_names(view.model_type)
    asked = view.get("lora_target_modules")
    plain = isinstance(asked, list) and all(
        isinstance(name, str) and _PLAIN.fullmatch(name) for name in asked
    )
    if not known or not view.get("adapter") or not plain or not asked:
        return
    if view.get("lora_target_linear") or "all-linear" in asked:
        return
    names = [name.rpartition(".")[2] for name in asked]
    absent = [name for name in dict.fromkeys(names) if name not in known]
    if not absent:
        return
    few = [n for n in known if n not in ("embed_tokens", "lm_head", "wte", "wpe")]
    remedy = f"Its layers are {', '.join(few)}; or set lora_target_linear: true"
    if len(absent) == len(set(names)):
        yield Finding(
            WRONG,
            "lora_target_modules",
            asked,
            f"{view.model_type} models have no {', '.join(absent)}",
            "peft ends the run, as no layer matches",
            remedy,
            id="targets-none",
        )
        return
    yield Finding(
        WRONG,
        "lora_target_modules",
        asked,
        f"{view.model_type} models have no {', '.join(absent)}",
        f"peft puts adapters on {', '.join(n for n in names if n in known)} alone and "
        "reports no error",
        remedy,
        id="targets-absent",
    )


FUSED_EXPERTS = ("mixtral", "qwen3_moe", "gpt_oss")
"""Model types whose experts are no linear layers, since transformers 5."""

_EXPERT_NAMES = {"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}


def experts(view: View) -> Iterator[Finding]:
    """`lora_target_linear` on a model whose experts are no linear layers."""
    named = view.listed("lora_target_modules")
    if (
        view.model_type not in FUSED_EXPERTS
        or not view.get("adapter")
        or not view.get("lora_target_linear")
        or view.get("lora_target_parameters")
        or any("experts" in str(n) or str(n) in _EXPERT_NAMES for n in named)
    ):
        return
    yield Finding(
        AGAINST,
        "lora_target_linear",
        True,
        f"The experts of {view.model_type} models are no linear layers",
        "adapters are on the attention alone, and most weights stay as they are",
        "Set lora_target_parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj] "
        "and lora_dropout: 0",
        id="experts-without-adapters",
    )


def layer_numbers(view: View) -> Iterator[Finding]:
    """Numbers of layers that the model does not have."""
    count = view.model.get("num_hidden_layers")
    if not isinstance(count, int):
        return
    asked = view.listed("unfrozen_parameters")
    patterns = [p for p in asked if isinstance(p, str)]
    numbers = [m[1] for p in patterns if (m := _LAYER.search(p))]
    absent = [n for n in numbers if not _matches(n, count)]
    key = "unfrozen_parameters"
    if not absent:
        key = "peft_layers_to_transform"
        absent = [str(n) for n in view.listed(key) if isinstance(n, int) and n >= count]
    if absent:
        yield Finding(
            WRONG,
            key,
            view.get(key),
            f"{view.get('base_model')} has the layers 0 to {count - 1}, and {key} "
            f"names {', '.join(absent[:3])}",
            "these layers are not trained, without an error",
            f"Name layers from 0 to {count - 1}",
            id="layers-beyond-model",
        )


def _matches(pattern: str, count: int) -> bool:
    """Whether a pattern for a layer's number matches one that exists."""
    try:
        return any(re.fullmatch(pattern, str(n)) for n in range(count))
    except re.error:
        return True


def layer_class(view: View) -> Iterator[Finding]:
    """FSDP wrapping the layers of another model."""
    known = block_classes(view.model_type)
    asked = view.fsdp.get("transformer_layer_cls_to_wrap")
    if not known or not isinstance(asked, str):
        return
    names = [name.strip() for name in asked.split(",") if name.strip()]
    absent = [name for name in names if name not in known]
    if absent:
        layers = [n for n in known if n.endswith(("Layer", "Block"))] or list(known)
        path = "fsdp_config.transformer_layer_cls_to_wrap"
        yield Finding(
            WRONG,
            path,
            asked,
            f"{view.model_type} models have no {', '.join(absent)}",
            "the run ends in an error when FSDP wraps the model",
            f"Set {path}: {layers[0]}",
            id="layer-class",
        )


def positions(view: View) -> Iterator[Finding]:
    """Rows longer than the model was made for."""
    length = view.number("sequence_len", 512) or 0
    most = view.model.get("max_position_embeddings", view.model.get("n_positions"))
    changed = {
        key: value
        for block in ("overrides_of_model_config", "model_config")
        for key, value in view.mapping(block).items()
    }
    scaled = any("rope" in key or "position" in key for key in changed)
    stretch = view.model.get("rope_scaling") or view.model.get("rope_parameters") or {}
    factor = stretch.get("factor") if isinstance(stretch, dict) else None
    if not isinstance(most, int) or scaled or view.get("use_pose"):
        return
    most = int(most * factor) if isinstance(factor, (int, float)) else most
    if length > most:
        packed = view.packed  # positions start anew with each sample of a row
        yield Finding(
            NOTE if packed else AGAINST,
            "sequence_len",
            view.get("sequence_len"),
            f"sequence_len: {length:,.0f} is longer than the {most:,} positions that "
            f"{view.get('base_model')} was made for",
            f"{'samples' if packed else 'rows'} longer than that go beyond what the "
            "model can tell apart",
            f"Set sequence_len: {most}, or scale rope in overrides_of_model_config",
            id="beyond-positions",
        )
