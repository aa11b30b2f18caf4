"""Types of entries against the columns of well-known datasets on the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ._finding import Finding, Weight
from ._view import View

WRONG = Weight.WRONG


class _Data(NamedTuple):
    """What a dataset has: a column of turns with its keys, or columns of text."""

    turns: str = ""
    role: str = ""
    content: str = ""
    columns: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train",)


_OPENAI = _Data("messages", "role", "content")
_SHAREGPT = _Data("conversations", "from", "value")
_ALPACA = _Data(columns=("instruction", "input", "output"))
_DATA: dict[str, _Data] = {
    "mlabonne/FineTome-100k": _SHAREGPT,
    "teknium/OpenHermes-2.5": _SHAREGPT,
    "Open-Orca/SlimOrca": _SHAREGPT,
    "Open-Orca/SlimOrca-Dedup": _SHAREGPT,
    "HuggingFaceH4/ultrachat_200k": _OPENAI._replace(
        splits=("train_sft", "test_sft", "train_gen", "test_gen")
    ),
    "HuggingFaceH4/no_robots": _OPENAI._replace(splits=("train", "test")),
    "HuggingFaceTB/smoltalk": _OPENAI._replace(splits=("train", "test")),
    "allenai/tulu-3-sft-mixture": _OPENAI,
    "trl-lib/Capybara": _OPENAI._replace(splits=("train", "test")),
    "tatsu-lab/alpaca": _ALPACA,
    "yahma/alpaca-cleaned": _ALPACA,
    "vicgalle/alpaca-gpt4": _ALPACA,
    "databricks/databricks-dolly-15k": _Data(
        columns=("instruction", "context", "response")
    ),
}
"""By their names; each has the columns that its page on the Hub shows."""


def public_data(view: View) -> Iterator[Finding]:
    """Entries that look for columns or splits that their data do not have."""
    if view.kind:
        return
    for path, entry in view.sources:
        data = _DATA.get(str(entry.get("path")))
        if data is not None and not entry.get("data_files"):
            yield from _columns(path, entry, data)
            yield from _splits(path, entry, data)


def _columns(path: str, entry: Mapping[str, Any], data: _Data) -> Iterator[Finding]:
    kind = entry.get("type")
    name = entry.get("path")
    if kind == "chat_template":
        found = _chat(path, entry, data)
        if found is not None:
            yield found
    elif kind == "alpaca" and not {"instruction", "output"} <= set(data.columns):
        has = data.turns or ", ".join(data.columns)
        yield Finding(
            WRONG,
            f"{path}.type",
            kind,
            f"{name} has {has}, and type: alpaca reads instruction, input and output",
            "the run ends in an error while the data are prepared",
            f"Set {_as_chat(data)}"
            if data.turns
            else f"Set type: {{field_instruction: {data.columns[0]}, field_output: "
            f"{data.columns[-1]}}}",
            id="type-of-other-data",
        )


def _chat(path: str, entry: Mapping[str, Any], data: _Data) -> Finding | None:
    given = entry.get("message_property_mappings")
    mapping = given if isinstance(given, Mapping) else {}
    role = mapping.get("role") or entry.get("message_field_role") or "role"
    content = mapping.get("content") or entry.get("message_field_content") or "content"
    turns = entry.get("field_messages") or "messages"
    asked = (turns, role, content)
    if asked == (data.turns, data.role, data.content):
        return None
    wrong = data.turns != turns
    key = "field_messages" if wrong else "message_property_mappings"
    return Finding(
        WRONG,
        f"{path}.{key}",
        entry.get(key),
        f"{entry.get('path')} has {_shape(data)}, and the entry reads {turns} with "
        f"{role} and {content}",
        "the run ends in an error while the data are prepared",
        f"Set {_as_chat(data)}" if data.turns else "Set type: alpaca",
        id="type-of-other-data",
    )


def _shape(data: _Data) -> str:
    if data.turns:
        return f"{data.turns} with {data.role} and {data.content}"
    return f"the columns {', '.join(data.columns)}"


def _as_chat(data: _Data) -> str:
    mapping = f"{{role: {data.role}, content: {data.content}}}"
    return (
        f"type: chat_template, field_messages: {data.turns} and "
        f"message_property_mappings: {mapping}"
    )


def _splits(path: str, entry: Mapping[str, Any], data: _Data) -> Iterator[Finding]:
    split = str(entry.get("split") or "train").partition("[")[0]
    if split not in data.splits and "+" not in split:
        yield Finding(
            WRONG,
            f"{path}.split",
            entry.get("split"),
            f"{entry.get('path')} has no split {split}",
            "the run ends in an error while the data are loaded",
            f"Set split: {data.splits[0]}",
            id="split-absent",
        )
