"""The commented YAML: each value with its reason, as in the shipped recipes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config.yaml_edits import on_one_line
from ._author import Authored
from ._choice import Choice, nested
from .words import data_lines, lengths_line, steps_text, title, training_text

_COLUMN = 34
WIDTH = 96
_STARTS = (
    "chat_template",
    "adapter",
    "sequence_len",
    "bf16",
    "fsdp_version",
    "deepspeed",
)
"""Keys with an empty line before them."""


def as_yaml(made: Authored, path: str, sweep: str = "") -> str:
    """The config as the text of a YAML file.

    Args:
        made: The config.
        path: Where the file will be, for the commands in its header.
        sweep: Where a space for `sftguide sweep` will be, if there is one.
    """
    lines = [*header(made, path, sweep), "", *body(made)]
    return "\n".join(lines) + "\n"


def scalar(value: Any) -> str:
    """A value in one line; a small float with the point that YAML 1.1 needs."""
    if isinstance(value, float) and 0 < abs(value) < 1e-3:
        mantissa, exponent = f"{value:e}".split("e")
        digits = mantissa.rstrip("0")
        return f"{digits}{'0' * digits.endswith('.')}e{int(exponent)}"
    return on_one_line(value)


def header(made: Authored, path: str, sweep: str = "") -> Iterator[str]:
    """The comment above a config: what, for which data and card, and what next."""
    yield f"# {title(made)}"
    yield "#"
    yield from labelled("What:", [training_text(made), *_goal(made)])
    yield from labelled("Data:", [*data_lines(made), lengths_line(made)])
    yield from labelled("Need:", [needs(made)])
    gpus, size = made.request.gpus, made.request.gpu_bytes / 2**30
    card = f"{gpus} GPUs of {size:.3g} GiB" if gpus > 1 else f"one of {size:.3g} GiB"
    yield f"# Card:   {card}"
    yield from labelled(
        "Memory:", [f"{memory_text(made)}; memory and time are not measured"]
    )
    yield f"# Steps:  {steps_text(made)}"
    yield from _commands(made, path)
    yield from labelled("Note:", made.choices.notes)
    if sweep:
        yield f"# Search: sftguide sweep {path} {sweep}"
    yield "#"
    yield "# Written by `sftguide new`. A key in brackets is a claim that"
    yield "# `sftguide evidence KEY` shows (`[fits]`: chosen to fit the card's memory);"
    yield "# `convention` marks a number that no claim supports."


def memory_text(made: Authored) -> str:
    """The estimated memory, and what needs it."""
    memory, gpus = made.memory, made.request.gpus
    each, option = (" a card", f" --gpus {gpus}") if gpus > 1 else ("", "")
    size = f"{memory.peak_bytes / 2**30:.1f} GiB{each}"
    text = f"{size} estimated by `sftguide plan{option}`"
    if memory.peak_at == "evaluation":
        text += f", in an evaluation; a step needs {memory.step_bytes / 2**30:.1f} GiB"
    return text


def needs(made: Authored) -> str:
    """What has to be installed."""
    if made.request.trainer == "trl":
        quantised = made.candidate.training == "qlora"
        bnb = " bitsandbytes" if quantised or "8bit" in made.candidate.optimizer else ""
        return (
            f"pip install 'axolotl-sftguide[trl,mix]' peft kernels{bnb}; the first "
            "start fetches Flash Attention 2 through `kernels`; TRL 1.9 to 1.16"
        )
    return (
        "pip install 'axolotl-sftguide[axolotl,mix]'; the first start fetches Flash "
        "Attention 2 through the `kernels` package"
    )


def _commands(made: Authored, path: str) -> Iterator[str]:
    if made.request.trainer == "trl":
        gpus = made.request.gpus
        several = f"torchrun --nproc-per-node {gpus}" if gpus > 1 else "python"
        yield f"# Run:    {several} {path}"
        return
    yield f"# Check:  sftguide check {path} --data"
    yield f"# Run:    axolotl train {path}"
    if made.candidate.is_adapter:
        yield f"# Then:   axolotl merge-lora {path}"


def _goal(made: Authored) -> list[str]:
    return [f"goal: {made.goal}"] if made.request.goal or made.goal != "general" else []


def labelled(label: str, texts: Sequence[str]) -> Iterator[str]:
    """Lines of the header, the first with a label."""
    for place, text in enumerate(texts):
        head = f"# {label if not place else '':<8}"
        yield from textwrap.wrap(
            text, WIDTH, initial_indent=head, subsequent_indent="#         "
        )


def body(made: Authored) -> Iterator[str]:
    """The keys, each with its reason."""
    for key, node in nested(made.choices.made).items():
        if key in _STARTS:
            yield ""
        yield from _node(key, node, 0)


def _node(key: str, node: Choice | Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(node, Mapping):
        yield f"{indent}{key}:"
        for name, inner in node.items():
            yield from _node(name, inner, depth + 1)
    elif _is_block(node.value):
        yield from commented(f"{indent}{key}:", node.comment)
        yield from _block(node.value, node.comments, "", f"{indent}  ")
    else:
        yield from commented(f"{indent}{key}: {scalar(node.value)}", node.comment)


def _is_block(value: Any) -> bool:
    """Whether a value is written over several lines."""
    if isinstance(value, Mapping):
        return True
    several = isinstance(value, list) and len(value) > 1
    return several or (isinstance(value, list) and any(map(_is_block, value)))


def _block(
    value: Any, comments: Mapping[str, str], path: str, indent: str
) -> Iterator[str]:
    """The lines of a list or mapping, with the comments at their places."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _entry(f"{key}:", inner, comments, f"{path}.{key}", indent)
        return
    for place, inner in enumerate(value):
        at = f"{path}.{place}"
        if not _is_block(inner):
            yield from _entry("-", inner, comments, at, indent)
            continue
        first, *rest = _block(inner, comments, at, f"{indent}  ")
        yield f"{indent}- {first.lstrip()}"
        yield from rest


def _entry(
    head: str, value: Any, comments: Mapping[str, str], path: str, indent: str
) -> Iterator[str]:
    comment = comments.get(path.removeprefix("."), "")
    if _is_block(value):
        yield from commented(f"{indent}{head}", comment)
        yield from _block(value, comments, path, f"{indent}  ")
    else:
        yield from commented(f"{indent}{head} {scalar(value)}", comment)


def commented(text: str, comment: str) -> list[str]:
    """A line with a comment beside it, wrapped below itself."""
    if not comment:
        return [text]
    column = max(_COLUMN, len(text) + 2)
    width = max(30, WIDTH - column)
    lines = textwrap.wrap(
        comment, width, break_long_words=False, break_on_hyphens=False
    )
    first = f"{text:<{column}}# {lines[0]}"
    return [first, *(f"{'':<{column}}# {line}" for line in lines[1:])]
