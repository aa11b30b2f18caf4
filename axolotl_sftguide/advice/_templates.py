"""Chat templates against the model's tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ._finding import Finding, Weight
from ._marks import TEMPLATES, Template, Tokenizer, tokenizer_of
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE

_DEFAULT = "tokenizer_default"
_TYPE = "chat_template"
_WITHOUT_TOOLS = (
    "chatml",
    "llama3",
    "gemma",
    "gemma3",
    "alpaca",
    "mistral_v1",
    "phi_3",
)
"""Axolotl's templates that write neither tools nor tool calls."""


def _datasets(view: View) -> list[tuple[str, Mapping[str, Any]]]:
    """Path and entry of each dataset; a mix replaces all of them."""
    return [("sftguide.mix", {"type": _TYPE})] if view.mix else view.sources


def templates(view: View) -> Iterator[Finding]:
    """Templates of another model, or that the model does not have."""
    tokenizer = tokenizer_of(
        str(view.get("tokenizer_config") or view.get("base_model"))
    )
    if tokenizer is None:
        return
    for path, entry in _datasets(view):
        kind = str(entry.get("type"))
        written = TEMPLATES.get(kind.partition(".")[0]) if view.kind else None
        if written and written != tokenizer.own and not _adds(view, written.start):
            yield _of_another(view, f"{path}.type", kind, written)
            return
        if kind != _TYPE or view.other_kind is not None:
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
        f"{template.start} of {key.rpartition('.')[2]}: {name} is no token of "
        f"{view.get('base_model')}",
        "it is split into several tokens of ordinary text",
        f"Use the model's own template, or add {template.start} and {template.end} "
        "under tokens with lora_modules_to_save: [embed_tokens, lm_head]",
        id="template-of-another",
    )


def _end_untrained(
    view: View, key: str, name: str, template: Template, tokenizer: Tokenizer
) -> Finding:
    eos = view.mapping("special_tokens").get("eos_token")
    return Finding(
        AGAINST,
        "special_tokens.eos_token" if eos else key,
        eos or name,
        f"The template ends a turn with {template.end}, and Axolotl trains on "
        f"{eos or tokenizer.eos}, the tokenizer's end of text",
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


def tools(view: View) -> Iterator[Finding]:
    """Tools in the data, and a template that does not write them."""
    for path, entry in view.sources:
        name = entry.get(_TYPE) or view.get(_TYPE)
        if entry.get("field_tools") and name in _WITHOUT_TOOLS:
            yield Finding(
                AGAINST,
                f"{path}.field_tools",
                entry.get("field_tools"),
                f"chat_template: {name} writes neither tools nor tool calls",
                "the model does not see the tools of the data",
                f"Set chat_template: {_DEFAULT} for a model that was made for tools",
                id="tools-unwritten",
            )
            return


def unused_template(view: View) -> Iterator[Finding]:
    """A chat template that no dataset is written with."""
    name = view.get(_TYPE)
    kinds = [entry.get("type") for _, entry in _datasets(view)]
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
