"""Rows of a question and its answer, in columns of various names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..config.dataset_types import DatasetType
from ._cells import cell_text, first_of, formatted, joined
from ._column_names import squashed
from ._content import is_empty
from ._faults import RowFault
from ._names import (
    ANSWER,
    CONTEXT,
    QUESTION,
    REASONING,
    SWITCHES,
    SYSTEM,
    TURNS,
)
from ._tools import is_tool_calls, tool_calls_of
from ._turns import TurnReader
from ._unknown import unknown_form
from ._unread import actual, cell, present
from ._whole import as_turns, pairs

if TYPE_CHECKING:
    from ..config.mix_settings import Form, SourceSettings

Messages = list[dict[str, Any]]

_INPUTS = ("input", *CONTEXT)
_ANSWERS = (*ANSWER, "answers")


class QuestionReader:
    """Reads the rows of one source that have a question and an answer.

    Args:
        settings: The settings of the source.
        turns: Reads those columns that contain messages.
    """

    def __init__(self, settings: SourceSettings, turns: TurnReader) -> None:
        self._settings = settings
        self._turns = turns
        inputs = settings.field_input
        self._inputs = [inputs] if isinstance(inputs, str) else list(inputs or ())

    def read(self, row: Mapping[str, Any], used: set[str]) -> tuple[Form, Messages]:
        """The form of a row, by the settings and its columns, and its messages.

        Raises:
            RowFault: If it has no question or no answer.
        """
        settings = self._settings
        taken = {settings.field_output, *self._inputs, *settings.ignore}
        question = settings.field_instruction or first_of(row, QUESTION, taken)
        if question is None and settings.field_output is not None:
            question = first_of(row, TURNS, taken)
        taken.add(question)
        answer = settings.field_output or first_of(row, _ANSWERS, taken)
        if question is None and settings.field_output is None and answer is not None:
            question = first_of(row, CONTEXT, taken)  # as in ChatGLM-Tuning
            taken.add(question)
        if answer == "answers" and not is_tool_calls(cell(row, "answers")):
            if question is not None and is_empty(row[answer]):
                raise RowFault("answer-empty", answer)
            answer = None
        if answer is None or (is_empty(row.get(answer)) and question is None):
            raise unknown_form(row, self._settings)
        after = _as_messages(row, answer, "assistant", self._turns, used)
        if question is None and after[0]["role"] == "assistant":
            raise unknown_form(row, self._settings)
        before = self._before(row, question, answer, used) if question else []
        if after[0]["role"] != "assistant" and _has_all(after, before):
            before = []  # the answer's messages begin with the question
        # Only the completion is trained, as TRL does.
        for message in before:
            if message["role"] == "assistant":
                message["train"] = False
        messages = [*self._history(row, used), *before, *after]
        self._add_reasoning(row, after, used)
        form = _form(question or "", answer, settings)
        return form, self.with_system(row, messages, used)

    def question(self, row: Mapping[str, Any], used: set[str]) -> Messages:
        """The messages before the answer, which may be missing.

        Raises:
            RowFault: If there is no question.
        """
        name = self._settings.field_instruction or first_of(row, QUESTION, set())
        if name is None:
            raise unknown_form(row, self._settings)
        return self._before(row, name, "", used)

    def _before(
        self, row: Mapping[str, Any], question: str, answer: str, used: set[str]
    ) -> Messages:
        """The messages before the answer, with the columns appended to the question."""
        inputs = self._inputs or [
            name
            for name in present(row, _INPUTS)
            if isinstance(row[name], str) and name not in (question, answer)
        ]
        before = _as_messages(row, question, "user", self._turns, used)
        for name in inputs:
            if name not in self._settings.ignore:
                used.add(name)
                _append(before, name, row, question)
        if not any(message["content"].strip() for message in before):
            raise RowFault("question-empty", question)
        return before

    def read_type(
        self, row: Mapping[str, Any], own: DatasetType, used: set[str]
    ) -> tuple[Form, Messages]:
        """The form and the messages of a row whose columns its `type` says."""
        question, answer = own.question, own.answer
        used.update((question, answer))
        missing = [name for name in (question, answer) if row.get(name) is None]
        if missing:
            raise RowFault("question-or-answer-missing", ", ".join(missing))
        ask = formatted(row, own.question_format, used) or cell_text(row, question)
        if own.input:
            used.add(own.input)
            ask = joined(ask, cell_text(row, own.input), "\n\n")
        if not ask.strip():
            raise RowFault("question-empty", question)
        say = formatted(row, own.answer_format, used) or cell_text(row, answer)
        messages = [
            *self._history(row, used),
            {"role": "user", "content": ask},
            {"role": "assistant", "content": say},
        ]
        self.add_inputs(row, messages[-2:], used)
        self._add_reasoning(row, messages[-1:], used)
        form: Form = "alpaca" if question == "instruction" else "question_answer"
        return form, self.with_system(row, messages, used)

    def with_system(
        self, row: Mapping[str, Any], messages: Messages, used: set[str]
    ) -> Messages:
        """The messages with the system message of the row's own column, if any.

        A column beside another system message is not used.
        """
        name = self._system_column(row)
        if name is None:
            return messages
        system = {"role": "system", "content": row[name]}
        first = messages[0]
        own = str(first["content"]).strip() if first["role"] == "system" else None
        if self._settings.drop_system_message or own in (None, "", row[name].strip()):
            used.add(name)
        if own is None:
            return [system, *messages]
        return messages if own else [system, *messages[1:]]

    def _system_column(self, row: Mapping[str, Any]) -> str | None:
        named = self._settings.field_system
        for name in [named] if named else present(row, SYSTEM):
            text = row.get(name)
            if name not in self._settings.ignore and isinstance(text, str) and text:
                return name
        return None

    def add_inputs(
        self, row: Mapping[str, Any], messages: Messages, used: set[str]
    ) -> None:
        """Append the columns of `field_input` to the first question."""
        for name in self._inputs:
            if name not in self._settings.ignore and name not in used:
                used.add(name)
                asked = [m for m in messages if m["role"] == "user"]
                _append(asked[:1], name, row, "")

    def _history(self, row: Mapping[str, Any], used: set[str]) -> Messages:
        name = actual(row, "history")
        value = row.get(name)
        if is_empty(value) or name in self._settings.ignore:
            return []
        used.add(name)
        return self._turns.messages(pairs(value))

    def _add_reasoning(
        self, row: Mapping[str, Any], after: Messages, used: set[str]
    ) -> None:
        name = first_of(row, REASONING, used.union(self._settings.ignore))
        name = self.reasoning_column(row) or name
        if name is None or not isinstance(row[name], str):
            return
        if row[name].strip().lower() in SWITCHES:
            return
        add_reasoning(after, name, row, used)

    def reasoning_column(self, row: Mapping[str, Any]) -> str | None:
        """The column that `field_thinking` names, if it has text."""
        name = self._settings.field_thinking
        if name is None or name in self._settings.ignore:
            return None
        text = row.get(name)
        return name if isinstance(text, str) and text.strip() else None


def _form(question: str, answer: str, settings: SourceSettings) -> Form:
    if settings.field_instruction is None and settings.field_output is None:
        names = (question.lower(), answer.lower())
        if names == ("prompt", "completion"):
            return "prompt_completion"
        if answer.lower() == "output" and question.lower() in ("instruction", "input"):
            return "alpaca"
    return "question_answer"


def _as_messages(
    row: Mapping[str, Any], name: str, role: str, turns: TurnReader, used: set[str]
) -> Messages:
    """The messages in a column: a text, tool calls, or a list of messages."""
    used.add(name)
    value = row.get(name)
    if role == "assistant" and is_tool_calls(value):
        calls = tool_calls_of(value, from_arrow=turns.from_arrow)
        return [{"role": role, "content": "", "tool_calls": calls}]
    if isinstance(value, (list, Mapping)):
        value = [value] if isinstance(value, Mapping) else value
        # Several texts may be other answers, or a table written column by column.
        texts = any(isinstance(part, str) for part in value)
        own = None if texts else as_turns(value)
        if own is None:
            raise RowFault("content-not-text", f"{name}: {type(row[name]).__name__}")
        return turns.messages(own)
    return [{"role": role, "content": cell_text(row, name)}]


def add_reasoning(
    messages: Messages, name: str, row: Mapping[str, Any], used: set[str]
) -> None:
    """Add a column to the answer as its reasoning, if there is one answer."""
    answers = [message for message in messages if message["role"] == "assistant"]
    if len(answers) == 1 and "reasoning_content" not in answers[0]:
        used.add(name)
        answers[0]["reasoning_content"] = row[name]


def _has_all(messages: Messages, others: Messages) -> bool:
    contents = [message["content"].strip() for message in messages]
    return all(message["content"].strip() in contents for message in others)


def _append(
    messages: Messages, name: str, row: Mapping[str, Any], question: str
) -> None:
    """Append a column to the last question."""
    text = cell_text(row, name)
    if not text.strip():
        return
    asked = [message for message in messages if message["role"] == "user"]
    if not asked:
        raise RowFault("question-or-answer-missing", name)
    # InstructLab's records have one line break before the context.
    one = (squashed(question), squashed(name)) == ("question", "context")
    asked[-1]["content"] = joined(asked[-1]["content"], text, "\n" if one else "\n\n")
