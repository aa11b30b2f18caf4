"""The reasons why a row cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

FaultCode = Literal[
    "answer-empty",
    "columns-unknown",
    "content-not-text",
    "ends-without-answer",
    "fields-missing",
    "file-breaks-off",
    "json-column",
    "not-json",
    "not-mapping",
    "nul",
    "question-or-answer-missing",
    "role-missing",
    "role-repeated",
    "role-unknown",
    "starts-without-user",
    "system-not-first",
    "tool-call-not-mapping",
    "tool-call-unnamed",
    "tool-uncalled",
    "too-long",
    "turn-not-mapping",
    "turns-missing",
    "unwritable",
    "wrong-type",
]
"""The reasons. The manifest counts rows by these codes, not by their texts."""

FAULTS: Mapping[FaultCode, str] = {
    "answer-empty": "the answer is empty",
    "columns-unknown": "no known dataset form has these columns",
    "content-not-text": "the content of a message is not text",
    "ends-without-answer": "the last message is not from the assistant",
    "fields-missing": "the number of fields differs from the header",
    "file-breaks-off": "the file is damaged; its remaining rows are not read",
    "json-column": "a column that should contain JSON text does not parse",
    "not-json": "invalid JSON",
    "not-mapping": "the row is not a JSON object",
    "nul": "the text contains a NUL character",
    "question-or-answer-missing": "the question or the answer column is missing",
    "role-missing": "a message has no role",
    "role-repeated": "two consecutive messages have the same role",
    "role-unknown": "unknown role",
    "starts-without-user": "the first message is not from the user",
    "system-not-first": "a system message is not the first message",
    "tool-call-not-mapping": "a tool call is not a JSON object",
    "tool-call-unnamed": "a tool call has no function name",
    "tool-uncalled": "tool message without a preceding tool call",
    "too-long": "the row is too long",
    "turn-not-mapping": "a message is not a JSON object",
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


def first_line(error: Exception) -> str:
    """The first line of an error's text, cut at 120 characters."""
    return str(error).partition("\n")[0][:120]
