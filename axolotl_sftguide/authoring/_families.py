"""Chat template and special tokens of well-known models, by the name of the model.

A base model's tokenizer has tokens for turns that the model was hardly trained on, and
its end of text is not the end of a turn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """How a family of models writes conversations."""

    template: str
    """Axolotl's name of the template for the base models."""
    eos: str = ""
    """The token that ends a turn, if a base model's own end of text is another."""
    pad: str = ""
    """A token to pad with, if the tokenizer has none."""
    with_tools: str = ""
    """The template for base models if the data have tools; empty if there is none."""
    with_system: str = ""
    """The template for base models if the data have system messages, if another."""
    own_end: str = ""
    """The token that ends a turn in the tuned models, if not their end of text."""
    keeps_reasoning: bool = False
    """Whether the template of the base models writes `reasoning_content`."""
    own_loses_system: bool = False
    """Whether the tuned models' own template leaves system messages out of rows."""


LOSE_SYSTEM = ("mistral_v2v3", "mistral_v3_tekken")
"""Templates that write a system message before a last user message only, which a row
for training does not end with."""

TEXT_MARKS = Family("alpaca")
"""For tokenizers without tokens for turns: turns are marked by ordinary text."""

_LLAMA_31 = Family("llama3", "<|eot_id|>", "<|finetune_right_pad_id|>")
_LLAMA_30 = Family("llama3", "<|eot_id|>", "<|end_of_text|>")
_GEMMA = Family("gemma", "<end_of_turn>", with_system="gemma3", own_end="<end_of_turn>")
_QWEN_2 = Family("chatml", "<|im_end|>", with_tools="qwen_25")
_QWEN_3 = Family("qwen3", "<|im_end|>", with_tools="qwen3", keeps_reasoning=True)


def _mistral(template: str) -> Family:
    return Family(
        template,
        with_tools=template,
        with_system="mistral_v1",
        own_loses_system=True,
    )


_BY_NAME: tuple[tuple[str, Family], ...] = (
    (r"llama-3\.[123]", _LLAMA_31),
    (r"llama-3-", _LLAMA_30),
    (r"qwen2(\.5)?-", _QWEN_2),
    (r"qwen3-", _QWEN_3),
    (r"smollm[23]-", Family("chatml", "<|im_end|>")),
    (r"gemma-3-", Family("gemma3", "<end_of_turn>", own_end="<end_of_turn>")),
    (r"gemma-(2-)?\d", _GEMMA),
    (r"mistral-7b-v0\.[12]", Family("mistral_v1")),
    (r"mistral-(7b-(instruct-)?v0\.3|small-instruct-2409)", _mistral("mistral_v2v3")),
    (r"mistral-nemo-(base|instruct)", _mistral("mistral_v3_tekken")),
    (r"mistral-small-24b-base", Family("mistral_v7_tekken")),
    (
        r"granite-4\.\d-.*base",
        Family("tokenizer_default", with_tools="tokenizer_default"),
    ),
)

_TUNED = re.compile(
    r"(instruct|chat|thinking|distill|-it(-|$)|-sft|-dpo|zephyr|hermes|tulu)"
)
_TUNED_WITHOUT_A_WORD = re.compile(
    r"(qwen3-\d[\d.]*b(-|$)(?!base)|smollm3-3b$|granite-\d\.\d-\d+b$|phi-(3|4))"
)


def family_of(model: str) -> Family | None:
    """The family of a model, by its name; None if it is not known here."""
    short = model.rstrip("/").rpartition("/")[2].lower()
    for pattern, family in _BY_NAME:
        if re.search(pattern, short):
            return family
    return None


def is_tuned(model: str) -> bool:
    """Whether a model was tuned on conversations, by its name."""
    short = model.rstrip("/").rpartition("/")[2].lower()
    return bool(_TUNED.search(short) or _TUNED_WITHOUT_A_WORD.search(short))
