"""Chat template and special tokens, by the model and the data."""

from __future__ import annotations

from ..errors import PlanError
from ..units import counted
from ._choice import Choice, Choices
from ._data import DataFacts
from ._families import LOSE_SYSTEM, TEXT_MARKS, Family
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
    given = request.chat_template is not None
    _refuse_what_is_lost(choices, model, data, family, given)
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
        name, why = family.template, _about(family)
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


def _about(family: Family) -> str:
    if family.template == OWN:
        return "the base model has one of its own"
    if family.template == "mistral_v1":
        return "as its Instruct variants were tuned; marks turns by text"
    return "its tokens are in the model's vocabulary"


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
    choices: Choices, model: ModelFacts, data: DataFacts, family: Family, given: bool
) -> None:
    """Refuse a template that would lose a part of the data; note it if it is given."""
    name = str(choices.value("chat_template"))
    own = name == OWN
    rows = counted(data.with_system, "row")
    its = f"the template {'' if own else f'{name} '}of {model.name}"
    if data.with_system and (family.own_loses_system if own else name in LOSE_SYSTEM):
        lost = (
            f"{rows} with system messages, which {its} does not write into training "
            "rows, only before a last question"
        )
        if given:
            choices.notes.append(f"{lost}; mistral_v1 does")
            return
        if data.with_tools and not own:
            lost += (
                f", and {data.with_tools:,} with tools, which no other of its "
                "templates writes"
            )
        raise PlanError(
            f"{lost}; put them into the first user message, or name a template with "
            "--chat-template, such as mistral_v1"
        )
    if given or own:
        return
    if data.with_tools and name != family.with_tools:
        raise PlanError(
            f"{counted(data.with_tools, 'row')} with tools or tool calls: {its} "
            "writes neither; use a model that was tuned with tools (its Instruct "
            "variant), or name a template with --chat-template"
        )
    if data.with_reasoning and not family.keeps_reasoning:
        raise PlanError(
            f"{counted(data.with_reasoning, 'row')} with reasoning in a field of its "
            f"own: {its} does not write it; put it into the answer between <think> and "
            "</think>, or name a template with --chat-template, such as qwen3"
        )
