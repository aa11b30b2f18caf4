"""What the name of a column says about its content, however the name is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from ._names import (
    ANSWER,
    METADATA,
    METADATA_ENDINGS,
    METADATA_STARTS,
    OTHERS_CONTENT,
    QUESTION,
    QUESTION_SIDE,
    REASONING,
    SYSTEM,
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_MARKS = re.compile(r"[\W_]+")

_MEDIA = frozenset(
    """
    image images img imgs picture pictures screenshot screenshots video videos audio
    audios
    """.split()
)
_PLACE = frozenset(
    "path paths file files filepath filename url urls uri bytes base64 list".split()
)
_SYSTEM = frozenset("system sys preprompt".split())
_MESSAGE = frozenset(
    """
    prompt prompts message msg instruction instructions text content default custom
    initial
    """.split()
)
_HISTORY = frozenset(
    "history chat conversation dialogue dialog message messages previous prior".split()
)
_THOUGHT = frozenset(
    """
    reasoning thinking think cot thought thoughts rationale rationales scratchpad
    """.split()
)
_OF_THOUGHT = frozenset(
    """
    chain of complex content text trace traces process step steps raw full model
    deepseek r qwen gemini claude gpt generated response output assistant
    """.split()
)
_ANSWERS = frozenset((*ANSWER, "responses", "solutions", "truth", "gold"))
_TOOLS = frozenset("tool tools toolset function functions api apis".split())
_BARE = frozenset(("input", "inputs"))
_ASKING = frozenset(QUESTION) - _BARE
_TASKS = {"task": 4, "taskdescription": 2}
"""With the least number of words of an instruction; a category has fewer."""

_CALLS = frozenset("call calls".split())
_ORIGINALS = frozenset((*QUESTION, *ANSWER)) - {"input", "inputs"}


@cache
def squashed(name: str) -> str:
    """A name in lower case, without spaces and marks."""
    return _MARKS.sub("", name.lower())


_CONTENT = frozenset(map(squashed, OTHERS_CONTENT))
_QUESTION_SIDE = frozenset(map(squashed, QUESTION_SIDE))
_READ_AS_SYSTEM = frozenset(map(squashed, SYSTEM))
_READ_AS_REASONING = frozenset(map(squashed, REASONING))


@cache
def is_content(column: str) -> bool:
    """Whether some kind of training reads a column of this name."""
    return (
        squashed(column) in _CONTENT
        or is_media(column)
        or is_system(column)
        or is_reasoning(column)
        or _is_history(column)
    )


@cache
def is_of_the_question(column: str) -> bool:
    """Whether a question refers to a column of this name, such as `passage`."""
    return squashed(column) in _QUESTION_SIDE or _is_history(column)


def _is_history(column: str) -> bool:
    words = _words(column)
    return "history" in words and words <= _HISTORY


@cache
def is_media(column: str) -> bool:
    """Whether a column contains images, videos or sound, or their places."""
    words = _words(column)
    return bool(words & _MEDIA) and words <= _MEDIA | _PLACE


@cache
def is_system(column: str) -> bool:
    """Whether a column contains a system message."""
    words = _words(column)
    of_system = bool(words & _SYSTEM) and words <= _SYSTEM | _MESSAGE
    return of_system or squashed(column) in _READ_AS_SYSTEM


@cache
def is_reasoning(column: str) -> bool:
    """Whether a column contains the text that precedes an answer."""
    words = _words(column)
    of_thought = bool(words & _THOUGHT) and words <= _THOUGHT | _OF_THOUGHT
    return of_thought or squashed(column) in _READ_AS_REASONING


@cache
def is_answer(column: str) -> bool:
    """Whether a column contains an answer, such as `final_answer`."""
    return bool(_words(column) & _ANSWERS)


@cache
def may_have_tools(column: str) -> bool:
    """Whether a column may contain tools; its values decide."""
    return bool(_words(column) & _TOOLS)


@cache
def may_have_calls(column: str) -> bool:
    """Whether a column may contain tool calls; its values decide."""
    words = _words(column)
    return bool(words & _TOOLS) and bool(words & _CALLS)


def may_ask(column: str, value: Any, used: Iterable[str]) -> bool:
    """Whether a column that mostly describes its row says what to do with the input.

    So do a `task` beside `input` alone, and the `source` of a `target`.

    Args:
        column: Its name.
        value: Its value.
        used: The columns of the conversation.
    """
    if not isinstance(value, str):
        return False
    name, others = squashed(column), set(map(squashed, used))
    if name in _TASKS and others & _BARE and not others & _ASKING:
        return len(value.split()) >= _TASKS[name]
    return name == "source" and "target" in others and len(value.split()) > 2


@cache
def is_metadata(column: str) -> bool:
    """Whether a column describes its row, by its name."""
    name = column.lower()
    snake = "_".join(_snake(column))
    for one in (name, snake):
        if one.startswith("original_"):
            rest = one.removeprefix("original_")
            if rest in _ORIGINALS or is_metadata(rest):
                return True
        elif (
            one in METADATA
            or one.endswith(METADATA_ENDINGS)
            or one.startswith(METADATA_STARTS)
        ):
            return True
    return not name  # the index that pandas writes


def _words(column: str) -> frozenset[str]:
    return frozenset(_snake(column))


@cache
def _snake(column: str) -> tuple[str, ...]:
    """The words of a name: `userId` and `User ID` have two."""
    return tuple(w.lower() for w in _WORD.findall(column.replace("CoT", "Cot")))
