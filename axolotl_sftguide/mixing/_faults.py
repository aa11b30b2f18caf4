"""The reasons why a row cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

FaultCode = Literal[
    "answer-empty",
    "columns-unknown",
    "content-missing",
    "content-not-text",
    "ends-without-answer",
    "fields-missing",
    "file-breaks-off",
    "flag-in-reasoning",
    "flag-negative",
    "flag-not-boolean",
    "flags-disagree",
    "history-not-turns",
    "json-column",
    "message-as-row",
    "not-json",
    "not-mapping",
    "nul",
    "preference-pair",
    "question-empty",
    "question-or-answer-missing",
    "raw-text",
    "role-missing",
    "role-repeated",
    "role-unknown",
    "rows-inside",
    "starts-without-user",
    "system-not-first",
    "text-unread",
    "tool-arguments-not-json",
    "tool-call-key",
    "tool-call-not-mapping",
    "tool-call-unnamed",
    "tool-uncalled",
    "too-long",
    "tools-not-json",
    "turn-not-mapping",
    "turns-all-questions",
    "turns-missing",
    "unwritable",
    "wrong-type",
]
"""The reasons. The manifest counts rows by these codes, not by their texts."""

FAULTS: Mapping[FaultCode, str] = {
    "answer-empty": "the answer is empty",
    "columns-unknown": "no known dataset form has these columns; name them with "
    "field_messages, or field_instruction and field_output",
    "content-missing": "a message has no content",
    "content-not-text": "the content of a message is not text",
    "ends-without-answer": "the last message is not from the assistant",
    "fields-missing": "the number of fields differs from the header",
    "file-breaks-off": "the file is damaged",
    "flag-in-reasoning": "parts of the reasoning have training flags, which no "
    "dataset key expresses",
    "flag-negative": "a weight is negative, which neither Axolotl nor TRL supports",
    "flag-not-boolean": "a training flag is neither true, false nor a number",
    "flags-disagree": "a message has training flags that disagree",
    "history-not-turns": "`history` is not a list of question and answer pairs",
    "json-column": "a column that should contain JSON text does not parse",
    "message-as-row": "the row is one message, and not a list of messages; write the "
    "messages of a conversation into one row",
    "not-json": "invalid JSON",
    "not-mapping": "the row is not a JSON object",
    "nul": "the text contains a NUL character",
    "preference-pair": "a row of preference pairs; the chosen side is trained with "
    "field_output: chosen (or field_messages: chosen) and ignore: [rejected]",
    "question-empty": "the question is empty",
    "question-or-answer-missing": "the question or the answer column is missing",
    "raw-text": "a row of raw text is not a conversation; split it into messages, or "
    "train on all of it in Axolotl with type: completion",
    "role-missing": "a message has no role",
    "role-repeated": "two consecutive messages have the same role",
    "role-unknown": "unknown role",
    "rows-inside": "the row is a JSON object that holds rows; save them alone, a row a "
    "line",
    "starts-without-user": "the first message is not from the user",
    "system-not-first": "a system message is not the first message",
    "text-unread": "text that no part of the conversation contains",
    "tool-arguments-not-json": "the arguments of a tool call are not a JSON object",
    "tool-call-key": "a tool call has a key that is not read",
    "tool-call-not-mapping": "a tool call is not a JSON object",
    "tool-call-unnamed": "a tool call has no function name",
    "tool-uncalled": "tool message without a preceding tool call",
    "tools-not-json": "the tools are not a list of JSON objects",
    "too-long": "the row is too long",
    "turn-not-mapping": "a message is not a JSON object",
    "turns-all-questions": "the texts in `turns` may all be questions, as in MT-Bench; "
    "set field_messages: turns if questions and answers alternate",
    "turns-missing": "the messages are not a list, or the list is empty",
    "unwritable": "the row cannot be written as JSON",
    "wrong-type": "a column has an unexpected type",
}
"""The text of each code, as users read it."""


class RowFault(Exception):
    """Why a row cannot be used.

    Args:
        code: The reason.
        detail: What is specific to this row, or an empty string.
    """

    def __init__(self, code: FaultCode, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code: FaultCode = code
        self.detail = detail

    def __str__(self) -> str:
        """The text of the code, with the detail in parentheses."""
        text = FAULTS[self.code]
        return f"{text} ({self.detail})" if self.detail else text


class UnreadText(RowFault):
    """Text that would be lost: columns of a row, or keys of a message.

    Args:
        names: The columns or keys.
        kind: Which of the two.
    """

    def __init__(self, names: Sequence[str], kind: Literal["column", "key"]) -> None:
        super().__init__("text-unread", ", ".join(names))
        self.args = (names, kind)
        self.names = tuple(names)
        self.kind = kind


def first_line(error: Exception) -> str:
    """The first line of an error's text, cut at 120 characters."""
    return str(error).partition("\n")[0][:120]
