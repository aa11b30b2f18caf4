"""The tokenizer and the base model: added tokens, and files of another kind."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.yaml_edits import Edit
from ._finding import Finding, Weight
from ._marks import TEMPLATES, tokenizer_of
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE

_EMBEDDINGS = {
    "gpt_neox": ("embed_in", "embed_out"),
    "falcon": ("word_embeddings", "lm_head"),
    "nemotron_h": ("embeddings", "lm_head"),
    "bailing_hybrid": ("word_embeddings", "lm_head"),
}


def added_tokens(view: View) -> Iterator[Finding]:
    """New tokens whose embeddings no adapter trains."""
    tokens = view.get("tokens")
    needed = _EMBEDDINGS.get(view.model_type or "", ("embed_tokens", "lm_head"))
    saved = view.listed("lora_modules_to_save")
    known = view.model_type is not None  # else the layers may have other names
    complete = all(name in saved for name in needed) if known else bool(saved)
    if not tokens or not view.get("adapter") or complete:
        return
    listed = ", ".join(needed)
    yield Finding(
        WRONG,
        "lora_modules_to_save",
        saved or None,
        f"tokens adds to the vocabulary, and lora_modules_to_save lacks {listed}",
        "Axolotl ends the run when it loads the tokenizer",
        f"Set lora_modules_to_save: [{listed}]",
        id="tokens-untrained",
    )


def model_file(view: View) -> Iterator[Finding]:
    """A base model in a format that cannot be trained, or of another class."""
    name = str(view.get("base_model", ""))
    if name.lower().endswith("gguf"):
        yield Finding(
            WRONG,
            "base_model",
            name,
            f"{name} is in GGUF, a format for inference",
            "the run ends in an error when the model is loaded",
            "Set base_model to the model that the GGUF file was made from",
            id="model-gguf",
        )
    asked = view.get("model_type")
    found = view.model_type
    if not isinstance(asked, str) or not found or not asked.endswith("ForCausalLM"):
        return
    short = asked.removesuffix("ForCausalLM").lower()
    own = found.replace("_", "").removesuffix("text")
    if short in ("auto", "automodel", own):
        return
    yield Finding(
        AGAINST,
        "model_type",
        asked,
        f"model_type: {asked} is the class of another model than {found}",
        "weights that the class lacks are left out, with a warning alone",
        "Set model_type: AutoModelForCausalLM",
        id="model-class",
    )


def special_tokens(view: View) -> Iterator[Finding]:
    """New special tokens whose embeddings no adapter trains."""
    extra = view.mapping("special_tokens").get("additional_special_tokens")
    saved = view.listed("lora_modules_to_save")
    tokenizer = tokenizer_of(str(view.get("base_model", "")))
    own = tokenizer.own if tokenizer else None
    known = (
        {mark for pair in TEMPLATES.values() for mark in pair} if not own else {*own}
    )
    new = (
        [t for t in map(str, extra) if t not in known]
        if isinstance(extra, list)
        else []
    )
    trained = saved or view.get("peft_trainable_token_indices")
    if not new or not view.get("adapter") or trained:
        return
    yield Finding(
        AGAINST,
        "special_tokens.additional_special_tokens",
        extra,
        f"{', '.join(map(str, new[:3]))} may be new to the model, and "
        "lora_modules_to_save is not set",
        "the embeddings of new tokens are not trained and stay arbitrary",
        "Set lora_modules_to_save: [embed_tokens, lm_head]",
        id="special-tokens-untrained",
    )


def other_tokenizer(view: View) -> Iterator[Finding]:
    """A tokenizer of another family than the model's."""
    name, model = view.get("tokenizer_config"), view.get("base_model")
    tokenizer, own = tokenizer_of(str(name)), tokenizer_of(str(model))
    if tokenizer and own and tokenizer.own != own.own:
        yield Finding(
            WRONG,
            "tokenizer_config",
            name,
            f"{name} has another vocabulary than {model}",
            "the model reads and learns tokens that stand for other text",
            "Remove tokenizer_config",
            id="tokenizer-of-another",
            edits=(Edit("remove", "tokenizer_config"),),
        )
