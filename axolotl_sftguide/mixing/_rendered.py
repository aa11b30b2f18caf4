"""A conversation as a chat template renders it, with the trained parts marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ..config.json_text import parse_json
from ..errors import MixError

_SENTINELS = ("[[placeholder]]", "zzplaceholderzz")
"""Texts with different ends: a template's text may continue one of them."""

_BEFORE_EOS = 3
"""Characters of a template that may stand between an answer and its end token."""

Segments = list[tuple[str, bool]]
"""Pieces of text, and whether they are trained on."""


@cache
def load_tokenizer(name: str) -> Any:
    """A tokenizer with a chat template.

    Raises:
        MixError: If it cannot be loaded or has no chat template.
    """
    try:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(name)
    except (ImportError, OSError, ValueError) as error:
        line = str(error).partition("\n")[0]
        raise MixError(f"tokenizer {name}: cannot be loaded ({line})") from None
    if not tokenizer.chat_template:
        raise MixError(
            f"tokenizer {name}: no chat template; set tokenizer to a model that has one"
        )
    return tokenizer


def plain_segments(conversation: Mapping[str, Any]) -> Segments:
    """The messages with their roles, without a template."""
    found: Segments = []
    if "tools" in conversation:
        found.append((f"tools: {conversation['tools']}\n", False))
    for message in conversation["messages"]:
        found.append((f"{message['role']}: ", False))
        if "reasoning_content" in message:
            text = f"({message['reasoning_content']}) "
            found.append((text, is_trained(message)))
        found += _parts(message)
        for call in message.get("tool_calls", ()):
            own = call["function"]
            text = f" {own['name']}({own['arguments']})"
            found.append((text, is_trained(message)))
        found.append(("\n", False))
    return found


def rendered_segments(conversation: Mapping[str, Any], tokenizer: Any) -> Segments:
    """The whole text that the model sees.

    Args:
        conversation: The conversation.
        tokenizer: The model's tokenizer, whose chat template is used.

    Raises:
        MixError: If the template refuses the conversation.
    """
    messages = [_for_template(message) for message in conversation["messages"]]
    tools = conversation.get("tools")
    kwargs = {
        "tools": None if tools is None else parse_json(tools),
        **conversation.get("chat_template_kwargs", {}),
    }

    def render(own: Sequence[Mapping[str, Any]]) -> str:
        try:
            text = tokenizer.apply_chat_template(list(own), tokenize=False, **kwargs)
        except Exception as error:  # Jinja and templates raise many classes
            line = str(error).partition("\n")[0]
            raise MixError(f"the chat template refuses it ({line})") from None
        return str(text)

    text = render(messages)
    trained = [False] * len(text)
    for place, message in enumerate(conversation["messages"]):
        if is_trained(message):
            start, end = _span(text, messages, place, render)
            trained[start:end] = [True] * (end - start)
            _mark_parts(text, start, end, message, trained)
            _mark_end(text, end, tokenizer.eos_token, trained)
    return _grouped(text, trained)


def is_trained(message: Mapping[str, Any]) -> bool:
    """Whether a message is trained on, in whole or in part."""
    own = message.get("train")
    if own is None:
        return message["role"] == "assistant" or bool(message.get("train_detail"))
    return bool(own)


def _span(
    text: str, messages: Sequence[Mapping[str, Any]], place: int, render: Any
) -> tuple[int, int]:
    """Where a message is in the text: where the text differs without it."""
    start, end = len(text), 0
    for sentinel in _SENTINELS:
        other = {"role": messages[place]["role"], "content": sentinel}
        without = render([*messages[:place], other, *messages[place + 1 :]])
        limit = min(len(text), len(without))
        same = next((i for i in range(limit) if text[i] != without[i]), limit)
        rest = limit - same
        tail = next((i for i in range(rest) if text[-1 - i] != without[-1 - i]), rest)
        start, end = min(start, same), max(end, len(text) - tail)
    return start, max(start, end)


def _mark_parts(
    text: str, start: int, end: int, message: Mapping[str, Any], trained: list[bool]
) -> None:
    """Unmark the parts of a message whose flag says so."""
    detail = message.get("train_detail")
    at = text.find(message["content"], start, end)
    if not detail or at < 0:
        return
    trained[start:end] = [False] * (end - start)
    for part in detail:
        if part["train"]:
            first, last = at + part["begin_offset"], at + part["end_offset"] + 1
            trained[first:last] = [True] * (last - first)


def _mark_end(text: str, end: int, token: str | None, trained: list[bool]) -> None:
    """Mark the token that ends the answer."""
    at = text.find(token, end, end + _BEFORE_EOS + len(token)) if token else -1
    if token and at >= 0:
        trained[at : at + len(token)] = [True] * len(token)


def _for_template(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message as Axolotl hands it to the template, with parsed arguments."""
    own = {k: v for k, v in message.items() if k not in ("train", "train_detail")}
    if "tool_calls" in own:
        own["tool_calls"] = [
            {
                **call,
                "function": {
                    **call["function"],
                    "arguments": parse_json(call["function"]["arguments"]),
                },
            }
            for call in own["tool_calls"]
        ]
    return own


def _parts(message: Mapping[str, Any]) -> Segments:
    content, trained = message["content"], is_trained(message)
    detail = message.get("train_detail")
    if not detail:
        return [(content, trained)]
    flags = [False] * len(content)
    for part in detail:
        for place in range(part["begin_offset"], part["end_offset"] + 1):
            flags[place] = trained and part["train"]
    return _grouped(content, flags)


def _grouped(text: str, trained: Sequence[bool]) -> Segments:
    found: Segments = []
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or trained[place] != trained[start]:
            found.append((text[start:place], trained[start]))
            start = place
    return found
