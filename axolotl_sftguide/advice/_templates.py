"""Chat templates against the model's tokenizer, and tokens that are added to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ._finding import Finding, Weight
from ._marks import TEMPLATES, Template, Tokenizer, tokenizer_of
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE

_DEFAULT = "tokenizer_default"
_TYPE = "chat_template"
_EMBEDDINGS = {
    "gpt_neox": ("embed_in", "embed_out"),
    "falcon": ("word_embeddings", "lm_head"),
    "nemotron_h": ("embeddings", "lm_head"),
    "bailing_hybrid": ("word_embeddings", "lm_head"),
}


def templates(view: View) -> Iterator[Finding]:
    """Templates of another model, or that the model does not have."""
    tokenizer = tokenizer_of(
        str(view.get("tokenizer_config") or view.get("base_model"))
    )
    if tokenizer is None or view.other_kind is not None:
        return
    for path, entry in view.sources:
        if entry.get("type") != _TYPE:
            continue
        key = f"{path}.{_TYPE}" if entry.get(_TYPE) else _TYPE
        name = entry.get(_TYPE) or view.get(_TYPE) or _DEFAULT
        if name == _DEFAULT and not tokenizer.has_template:
            yield _missing(view, key, name)
            return
        template = tokenizer.own if name == _DEFAULT else TEMPLATES.get(str(name))
        if template is None:
            continue
        if template != tokenizer.own and not _adds(view, template.start):
            yield _of_another(view, key, name, template)
        elif not _end_is_trained(view, entry, template, tokenizer):
            yield _end_untrained(view, key, name, template, tokenizer)
        else:
            continue
        return


def _missing(view: View, key: str, name: str) -> Finding:
    return Finding(
        WRONG,
        key,
        view.get(_TYPE),
        f"{view.get('base_model')} has no chat template, and no other is set",
        "the run ends in an error while the data are prepared",
        "Set chat_template to the form that you want, such as chatml or llama3",
        id="template-missing",
    )


def _of_another(view: View, key: str, name: str, template: Template) -> Finding:
    return Finding(
        AGAINST,
        key,
        name,
        f"{template.start} of chat_template: {name} is no token of "
        f"{view.get('base_model')}",
        "it is split into several tokens of ordinary text",
        f"Use the model's own template, or add {template.start} and {template.end} "
        "under tokens with lora_modules_to_save: [embed_tokens, lm_head]",
        id="template-of-another",
    )


def _end_untrained(
    view: View, key: str, name: str, template: Template, tokenizer: Tokenizer
) -> Finding:
    return Finding(
        AGAINST,
        key,
        name,
        f"The template ends a turn with {template.end}, and Axolotl trains on "
        f"{tokenizer.eos}, the tokenizer's end of text",
        "the model does not learn to end its answers",
        f'Set eot_tokens: ["{template.end}"]',
        id="turn-end-untrained",
    )


def _adds(view: View, token: str) -> bool:
    """Whether a token is added to the tokenizer, under whatever key."""
    keys = ("tokens", "special_tokens", "added_tokens_overrides", "tokenizer_save_path")
    return any(token in str(view.get(key, "")) for key in keys)


def _end_is_trained(
    view: View, entry: Mapping[str, Any], template: Template, tokenizer: Tokenizer
) -> bool:
    ends = [view.get("eot_tokens", []), entry.get("eot_tokens") or []]
    eos = view.mapping("special_tokens").get("eos_token") or tokenizer.eos
    return template.end == eos or any(template.end in str(end) for end in ends)


def unused_template(view: View) -> Iterator[Finding]:
    """A chat template that no dataset is written with."""
    name = view.get(_TYPE)
    kinds = [entry.get("type") for _, entry in view.sources]
    plain = [
        kind
        for kind in kinds
        if isinstance(kind, str)
        and kind.partition(".")[0].partition(":")[0] in ("alpaca", "completion")
    ]
    if not name or not plain or len(plain) < len(kinds) or view.other_kind is not None:
        return
    yield Finding(
        NOTE,
        _TYPE,
        name,
        f"chat_template: {name} is saved with the tokenizer, and no dataset is written "
        "with it",
        f"chat clients prompt the model in another form than type: {plain[0]}, which "
        "it is trained on",
        f"Set type: {_TYPE} for conversations, or prompt the model as it is trained",
        id="template-unused",
    )


def added_tokens(view: View) -> Iterator[Finding]:
    """New tokens whose embeddings no adapter trains."""
    tokens = view.get("tokens")
    needed = _EMBEDDINGS.get(view.model_type or "", ("embed_tokens", "lm_head"))
    saved = view.get("lora_modules_to_save", [])
    if not tokens or not view.get("adapter") or all(name in saved for name in needed):
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
