"""Turn marks of chat templates, and which well-known tokenizers have them.

Only models whose tokenizer is known by name are listed; a fine-tuned model may have
another tokenizer than the model it is made from.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Template(NamedTuple):
    """The tokens with which a chat template starts and ends a turn."""

    start: str
    end: str


class Tokenizer(NamedTuple):
    """What a model's tokenizer has, as its repository states it."""

    eos: str
    own: Template | None = None
    """The template whose marks are single tokens; None if there is none."""
    has_template: bool = True
    """Whether the repository comes with a chat template."""


_CHATML = Template("<|im_start|>", "<|im_end|>")
_LLAMA3 = Template("<|start_header_id|>", "<|eot_id|>")
_GEMMA = Template("<start_of_turn>", "<end_of_turn>")

TEMPLATES = {
    "chatml": _CHATML,
    "qwen_25": _CHATML,
    "qwen3": _CHATML,
    "llama3": _LLAMA3,
    "gemma": _GEMMA,
    "gemma3": _GEMMA,
}
"""By the names that `chat_template` takes."""

_LLAMA = r"(meta-llama|NousResearch|unsloth)/(Meta-)?Llama-3(\.[123])?-\d+B"
_TOKENIZERS: tuple[tuple[str, Tokenizer], ...] = (
    (_LLAMA, Tokenizer("<|end_of_text|>", _LLAMA3, has_template=False)),
    (f"{_LLAMA}-Instruct", Tokenizer("<|eot_id|>", _LLAMA3)),
    (
        r"(meta-llama|NousResearch)/Llama-2-\d+b(-hf)?",
        Tokenizer("</s>", has_template=False),
    ),
    (r"(meta-llama|NousResearch)/Llama-2-\d+b-chat(-hf)?", Tokenizer("</s>")),
    (r"mistralai/Mistral-7B-v0\.1", Tokenizer("</s>", has_template=False)),
    (r"mistralai/Mistral-7B-v0\.[23]", Tokenizer("</s>")),
    (r"mistralai/Mistral-7B-Instruct-v0\.[123]", Tokenizer("</s>")),
    (r"(google|unsloth)/gemma-(2-)?\d+b(-it)?", Tokenizer("<eos>", _GEMMA)),
    (r"(google|unsloth)/gemma-3-\d+m?b?-(it|pt)", Tokenizer("<eos>", _GEMMA)),
    (
        r"Qwen/Qwen2(\.5)?(-Coder)?-[\d.]+B",
        Tokenizer("<|endoftext|>", _CHATML),
    ),
    (r"Qwen/Qwen2(\.5)?(-Coder)?-[\d.]+B-Instruct", Tokenizer("<|im_end|>", _CHATML)),
    (r"Qwen/Qwen3-[\d.]+B-Base", Tokenizer("<|endoftext|>", _CHATML)),
    (r"Qwen/Qwen3-[\d.]+B", Tokenizer("<|im_end|>", _CHATML)),
)


def tokenizer_of(model: str) -> Tokenizer | None:
    """What is known of a model's tokenizer by the model's name on the Hub."""
    for pattern, tokenizer in _TOKENIZERS:
        if re.fullmatch(pattern, model, re.IGNORECASE):
            return tokenizer
    return None
