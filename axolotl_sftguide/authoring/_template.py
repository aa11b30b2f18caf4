"""Chat template and special tokens, by the model and the data."""

from __future__ import annotations

from ..errors import PlanError
from ._choice import Choice, Choices
from ._data import DataFacts
from ._families import TEXT_MARKS, Family
from ._model import OWN, ModelFacts
from ._request import Request


def choose_template(
    choices: Choices, request: Request, model: ModelFacts, data: DataFacts
) -> None:
    """Add the template and the tokens that it needs.

    Raises:
        PlanError: If the template that fits the model would lose a part of the data.
    """
    family = model.family or TEXT_MARKS
    if request.chat_template is not None:
        name = request.chat_template
        choices.add(Choice("chat_template", name, "as given", "given"))
    elif model.tuned:
        name = OWN
        choices.add(Choice("chat_template", name, "the one it was tuned with", "model"))
    else:
        name = _add_for_base(choices, model, data, family)
    _refuse_what_is_lost(name, model, data, family, request)
    if name != OWN:
        _add_tokens(choices, model, family, name)
    if model.tuned and family.own_end and name == OWN:
        choices.add(
            Choice(
                "eot_tokens",
                [family.own_end],
                "ends a turn; the tokenizer's own token ends documents",
                "model",
            )
        )


def _add_for_base(
    choices: Choices, model: ModelFacts, data: DataFacts, family: Family
) -> str:
    if model.family is None and model.has_template:
        name, why = OWN, "the tokenizer's own; nothing else is known of the model"
    elif model.family is None:
        name, why = family.template, "marks turns by text: needs no special tokens"
    elif data.with_tools and family.with_tools:
        name, why = family.with_tools, "writes the tools of the data"
    elif data.with_system and family.with_system:
        name, why = family.with_system, "takes the system messages of the data"
    else:
        name, why = family.template, "its tokens are in the model's vocabulary"
    unsure = ""
    if model.family is None and not model.has_template:
        unsure = f"which template suits {model.name}, whose tokenizer is not known here"
    choices.add(
        Choice(
            "chat_template",
            name,
            why,
            "model" if model.family else "convention",
            unsure=unsure,
        )
    )
    return name


def _add_tokens(choices: Choices, model: ModelFacts, family: Family, name: str) -> None:
    tokens = {}
    own_template = name in (family.template, family.with_system, family.with_tools)
    if family.eos and own_template and not model.tuned:
        tokens["eos_token"] = family.eos
    if family.pad and own_template:
        tokens["pad_token"] = family.pad
    if not tokens:
        return
    reasons = {
        "eos_token": "the base model's token ends documents, not turns",
        "pad_token": "the tokenizer has no token to pad with",
    }
    for key, token in tokens.items():
        choices.add(Choice(f"special_tokens.{key}", token, reasons[key], "model"))


def _refuse_what_is_lost(
    name: str, model: ModelFacts, data: DataFacts, family: Family, request: Request
) -> None:
    if request.chat_template is not None or name == OWN:
        return
    if data.with_tools and name != family.with_tools:
        raise PlanError(
            f"{data.with_tools:,} rows have tools or calls of them, and the template "
            f"{name} of {model.name} writes neither; use a model that was tuned with "
            "tools (its Instruct variant), or name a template with --chat-template"
        )
    if data.with_tools and data.with_system and family.with_system:
        raise PlanError(
            f"{data.with_system:,} rows have system messages, which the template "
            f"{name} of {model.name} does not write into training rows, and "
            f"{data.with_tools:,} have tools, which no other of its templates writes; "
            "use a model that was tuned with tools (its Instruct variant), or name a "
            "template with --chat-template"
        )
    if data.with_reasoning and not family.keeps_reasoning:
        raise PlanError(
            f"{data.with_reasoning:,} rows have reasoning in a field of its own, and "
            f"the template {name} of {model.name} does not write it; put it into the "
            "answers between <think> and </think>, or name a template with "
            "--chat-template, such as qwen3"
        )
