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

_LLAMA = r"(meta-llama|NousResearch)/(Meta-)?Llama-3(\.[123])?-\d+B"
_OF_LLAMA3 = "meta-llama/llama-models, models/llama3_2/text_prompt_format.md"
_OF_GEMMA = "ai.google.dev/gemma/docs/core/prompt-structure; axolotl 3756"
_TOKENIZERS: tuple[tuple[str, Tokenizer, str], ...] = (
    (
        _LLAMA,
        Tokenizer("<|end_of_text|>", _LLAMA3, has_template=False),
        f"{_OF_LLAMA3}; llama.cpp 6751; sglang 3385",
    ),
    (
        f"{_LLAMA}-Instruct",
        Tokenizer("<|eot_id|>", _LLAMA3),
        f"{_OF_LLAMA3}; discussion 119 of meta-llama/Meta-Llama-3-8B-Instruct",
    ),
    (
        r"(meta-llama|NousResearch)/Llama-2-\d+b(-hf)?",
        Tokenizer("</s>", has_template=False),
        "meta-llama/llama 1130; ms-swift 2831",
    ),
    (
        r"(meta-llama|NousResearch)/Llama-2-\d+b-chat(-hf)?",
        Tokenizer("</s>"),
        "transformers, models/llama/tokenization_llama.py",
    ),
    (
        r"mistralai/Mistral-7B-v0\.1",
        Tokenizer("</s>", has_template=False),
        "tokenizer_config.json of SotiriosKastanas/"
        "mistralai-Mistral-7B-v0.1-8-bit-gptq",
    ),
    (
        r"mistralai/Mistral-7B-(Instruct-)?v0\.[123]",
        Tokenizer("</s>"),
        "axolotl, tests/prompt_strategies/test_chat_templates_mistral.py",
    ),
    (r"google/gemma-(2-)?\d+b(-it)?", Tokenizer("<eos>", _GEMMA), _OF_GEMMA),
    (r"google/gemma-3-\d+m?b?-(it|pt)", Tokenizer("<eos>", _GEMMA), _OF_GEMMA),
    (
        r"Qwen/Qwen2(\.5)?(-Coder)?-[\d.]+B",
        Tokenizer("<|endoftext|>", _CHATML),
        "QwenLM/Qwen3 927, by its maintainers; trl 3299",
    ),
    (
        r"Qwen/Qwen2(\.5)?(-Coder)?-[\d.]+B-Instruct",
        Tokenizer("<|im_end|>", _CHATML),
        "tokenizer_config.json of alanzhai219/Qwen2-7B-Instruct-openvino",
    ),
    (
        r"Qwen/Qwen3-[\d.]+B-Base",
        Tokenizer("<|endoftext|>", _CHATML),
        "unsloth 2945, with the numbers in Qwen's config.json",
    ),
    (
        r"Qwen/Qwen3-[\d.]+B",
        Tokenizer("<|im_end|>", _CHATML),
        "unsloth 2945; rasbt/LLMs-from-scratch 764",
    ),
)
"""Patterns of names on the Hub, what their tokenizers have, and where that is stated:
a file, or a thread of a repository on GitHub. Unsloth's copies are not among them, as
they may have other ends of text than the originals (unsloth 416 and 2945)."""


def tokenizer_of(model: str) -> Tokenizer | None:
    """What is known of a model's tokenizer by the model's name on the Hub."""
    for pattern, tokenizer, _ in _TOKENIZERS:
        if re.fullmatch(pattern, model, re.IGNORECASE):
            return tokenizer
    return None
