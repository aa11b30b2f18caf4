"""Weights that are quantised, frozen or saved otherwise than the config says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..config.model_layers import layer_names
from ..errors import near
from ._finding import Finding, Weight
from ._view import View

WRONG, AGAINST = Weight.WRONG, Weight.AGAINST

_QUANTISED = re.compile(r"4bit|8bit|gptq|awq|int4|int8|fp8|bnb", re.IGNORECASE)
_EMBEDDINGS = {
    "embed_tokens",
    "lm_head",
    "wte",
    "wpe",
    "embed_in",
    "embed_out",
    "word_embeddings",
    "tok_embeddings",
    "embeddings",
    "output",
}
_ROOTS = ("model.", "lm_head.")
_LITERAL = re.compile(r"\^?((?:[\w-]|\\?\.(?![*+?{]))*)")


def full_precision(view: View) -> Iterator[Finding]:
    """`load_in_4bit` with a LoRA adapter, for which Axolotl reads `load_in_8bit`."""
    name = str(view.get("base_model", ""))
    stored = view.get("gptq") or view.get("model_quantization_config")
    stored = stored or view.model.get("quantization_config") or _QUANTISED.search(name)
    if view.get("adapter") != "lora" or not view.get("load_in_4bit") or stored:
        return
    divided = view.fsdp.get("cpu_ram_efficient_loading")
    divided = divided or "zero3" in str(view.get("deepspeed", "")).lower()
    effect = "the linear layers are loaded and then kept in 32 bits"
    if view.get("load_in_8bit"):
        effect = "the weights are loaded in 8 bits"
    elif divided:  # which need one type of numbers
        effect = "the weights are loaded in 16 bits"
    yield Finding(
        WRONG,
        "load_in_4bit",
        True,
        "Axolotl loads in 4 bits with adapter: qlora, not with adapter: lora",
        effect,
        "Set adapter: qlora without load_in_8bit, or remove load_in_4bit",
        id="four-bits-ignored",
    )


def frozen(view: View) -> Iterator[Finding]:
    """`unfrozen_parameters` that freezes an adapter, or matches no weights."""
    asked = [p for p in view.listed("unfrozen_parameters") if isinstance(p, str)]
    if not asked:
        return
    reached = ("lora", ".*", ".+", "base_model")
    if view.get("adapter") and not any(r in p for p in asked for r in reached):
        yield Finding(
            WRONG,
            "unfrozen_parameters",
            asked,
            "unfrozen_parameters is set with an adapter, and none of its patterns "
            "matches the adapter's weights",
            "Axolotl freezes all other weights, and nothing is trained",
            "Remove unfrozen_parameters, or adapter",
            id="adapter-frozen",
        )
    # Names of other models' weights are not known.
    if view.get("adapter") or "embed_tokens" not in layer_names(view.model_type):
        return
    absent = [pattern for pattern in asked if not _may_match(pattern)]
    if absent:
        yield Finding(
            WRONG,
            "unfrozen_parameters",
            absent,
            f"No weight of {view.model_type} models starts with {absent[0]}",
            "Axolotl matches patterns from the start of a name, and freezes the rest",
            "Start patterns with model. or lm_head., such as model.layers.2[0-9]+.",
            id="unfrozen-none",
        )


def _may_match(pattern: str) -> bool:
    literal = _LITERAL.match(pattern)
    start = literal[1].replace("\\", "") if literal else ""
    whole = literal is not None and literal.end() == len(pattern)
    if len(start) < 4 and not whole:
        return True  # too little to judge
    return any(root.startswith(start) or start.startswith(root) for root in _ROOTS)


def saved_modules(view: View) -> Iterator[Finding]:
    """Embeddings of another model in `lora_modules_to_save`."""
    known = layer_names(view.model_type)
    if not known or not view.get("adapter"):
        return
    absent = []
    for name in map(str, view.listed("lora_modules_to_save")):
        last = name.rpartition(".")[2]
        other = last not in known and (last in _EMBEDDINGS or near(last, known))
        if other or (last == "lm_head" and name != last):  # which is in no module
            absent.append(name)
    if not absent:
        return
    own = [name for name in known if name in _EMBEDDINGS]
    yield Finding(
        WRONG,
        "lora_modules_to_save",
        view.get("lora_modules_to_save"),
        f"{view.model_type} models have no {', '.join(absent)}",
        "peft saves and trains the modules that exist, and reports no error",
        f"The embeddings are {', '.join(own)}",
        id="saved-modules-absent",
    )


def best_value(view: View) -> Iterator[Finding]:
    """`greater_is_better: false`, which Axolotl does not pass on."""
    metric = str(view.get("metric_for_best_model", "loss"))
    dropped = view.config.get("greater_is_better") is False
    if dropped and not metric.endswith("loss"):
        yield Finding(
            WRONG,
            "greater_is_better",
            False,
            "Axolotl does not pass on greater_is_better: false, and the metric "
            f"{metric} does not end in loss",
            "the checkpoint with the highest value is taken for the best",
            "Set metric_for_best_model: eval_loss",
            id="highest-is-best",
        )
