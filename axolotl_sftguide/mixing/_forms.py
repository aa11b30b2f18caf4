"""The forms of dataset rows (messages, ShareGPT, Alpaca, ...) as one conversation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from ..config.dataset_types import TYPES
from ..config.json_text import parse_json
from ..config.roles import chat_template_role, own_roles
from ._content import flag
from ._faults import RowFault, first_line
from ._messages import check, lacks_system
from ._names import TURNS
from ._questions import QuestionReader, add_reasoning
from ._tools import tools_of, tools_of_functions, without_nulls
from ._turns import TurnReader, plain_messages
from ._unknown import rows_inside, unanswered
from ._unread import Unread, cell, present
from ._whole import as_turns

if TYPE_CHECKING:
    from ..config.mix_settings import Form, SourceSettings

_PLAIN = "has_plain_settings"

_WRONG = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
"""What values of other types than a reader expects lead to."""

_CHANGE_NO_ROW = frozenset(
    "path name split revision ds_type data_files where type ignore "
    "share repeats max_rows max_tokens".split()
)
"""Settings of a source that change none of its rows; those for the host come on top."""


class RowReader:
    """Reads the rows of one source as conversations.

    Args:
        settings: The settings of the source.
        from_arrow: Whether missing keys are null, as in Parquet and Arrow files.
        plain: Whether rows of plain messages, the most frequent kind, take a shorter
            path to the same result; by default if the settings allow it.
    """

    def __init__(
        self,
        settings: SourceSettings,
        from_arrow: bool = False,
        plain: bool | None = None,
    ) -> None:
        self._settings = settings
        self._arrow = from_arrow
        if plain is None:
            plain = getattr(settings, _PLAIN, None)
        self._plain = has_plain_settings(settings) if plain is None else plain
        self._type = TYPES.get(settings.type or "")
        self._turns = TurnReader(settings, from_arrow)
        self._questions = QuestionReader(settings, self._turns)
        self._unread = Unread(settings)
        own, trained = own_roles(settings.roles), settings.roles_to_train
        self._roles_to_train = (
            None if trained is None else {chat_template_role(r, own) for r in trained}
        )

    @property
    def passed(self) -> Counter[str]:
        """Rows by the columns, and messages by the keys, that were left out of them."""
        return self._unread.passed() + self._turns.passed

    def read(self, row: Mapping[str, Any]) -> tuple[Form, dict[str, Any]]:
        """The form of a row, and its conversation.

        Raises:
            RowFault: If the row is not a conversation that a chat template accepts, or
                has text that would be lost.
        """
        try:
            return self._conversation(row)
        except RowFault:
            raise
        except _WRONG as error:
            raise RowFault("wrong-type", first_line(error)) from None
        except RecursionError:
            raise RowFault("wrong-type", "nested too deeply") from None

    def _conversation(self, row: Mapping[str, Any]) -> tuple[Form, dict[str, Any]]:
        messages = row.get("messages")
        if self._plain and type(messages) is list and messages:
            kind = self._unread.messages_alone(row)
            if kind is not None:
                found = plain_messages(messages)
                if found is not None and found[-1]["role"] == "assistant":
                    check(found)
                    kind.rows += 1
                    return "messages", {"messages": found}
        return self._read(row)

    def question(self, row: Mapping[str, Any]) -> str:
        """The first user message of a row, which needs no answer.

        Raises:
            RowFault: If it has none.
        """
        settings, used = self._settings, set[str]()
        for column in [settings.field_messages] if settings.field_messages else TURNS:
            value = cell(row, column)
            if value and _are_texts(value):  # a benchmark's questions, perhaps only one
                return str(value[0])
            turns = as_turns(value)
            if turns:
                return first_question(self._turns.messages(turns))
        return first_question(self._questions.question(row, used))

    def _read(self, row: Mapping[str, Any]) -> tuple[Form, dict[str, Any]]:
        settings = self._settings
        used: set[str] = set()
        form, messages = self._messages(row, used)
        if "unmask" not in settings.ignore and _is_unmasked(row, used):
            for message in messages:
                message["train"] = message["role"] != "system"
        if settings.drop_system_message and messages and not lacks_system(messages):
            del messages[0]
        check(messages)
        if self._roles_to_train is not None:
            for message in messages:
                message.setdefault("train", message["role"] in self._roles_to_train)
        found: dict[str, Any] = {"messages": messages}
        tools = self._tools(row, used)
        if tools:
            found["tools"] = tools
        kwargs = self._template_kwargs(row, used)
        if kwargs:
            found["chat_template_kwargs"] = kwargs
        named = settings.type or (settings.field_instruction and settings.field_output)
        guessed = not named and form not in ("messages", "sharegpt")
        self._unread.account(row, used, found, guessed)
        return form, found

    def _messages(
        self, row: Mapping[str, Any], used: set[str]
    ) -> tuple[Form, list[dict[str, Any]]]:
        """The messages by the settings, or by the columns of the row."""
        settings = self._settings
        if settings.field_messages is not None:
            return self._from_turns(row, settings.field_messages, used)
        if settings.field_instruction is not None or settings.field_output is not None:
            return self._questions.read(row, used)
        if self._type is not None and not self._type.reads_turns:
            return self._questions.read_type(row, self._type, used)
        for column in present(row, TURNS):
            value = row[column]
            turns = as_turns(value)
            if turns and column.lower() == "turns" and _are_texts(value):
                raise RowFault("turns-all-questions")
            if turns is not None or (column == "messages" and value is not None):
                return self._from_turns(row, column, used, turns)
        if self._type is not None:
            columns = ", ".join(sorted(row)[:8])
            raise RowFault("columns-unknown", f"no messages, but {columns}")
        return self._questions.read(row, used)

    def _from_turns(
        self,
        row: Mapping[str, Any],
        column: str,
        used: set[str],
        turns: list[Any] | None = None,
    ) -> tuple[Form, list[dict[str, Any]]]:
        settings = self._settings
        used.add(column)
        turns = turns or as_turns(cell(row, column), strict=True)
        if not turns:
            raise RowFault("turns-missing", column)
        if not settings.message_property_mappings and rows_inside({column: turns}):
            raise RowFault("rows-inside", column)
        sharegpt = isinstance(turns[0], dict) and "from" in turns[0]
        messages = self._turns.messages(turns)
        if messages[-1]["role"] != "assistant":
            elsewhere = unanswered(row, column)
            if elsewhere is not None:
                raise elsewhere
        messages = self._questions.with_system(row, messages, used)
        self._questions.add_inputs(row, messages, used)
        thinking = self._questions.reasoning_column(row)
        if thinking is not None:
            add_reasoning(messages, thinking, row, used)
        return "sharegpt" if sharegpt else "messages", messages

    def _template_kwargs(
        self, row: Mapping[str, Any], used: set[str]
    ) -> Mapping[str, Any] | None:
        """The arguments of the chat template, which may be JSON text."""
        if "chat_template_kwargs" in self._settings.ignore:
            return None
        kwargs = cell(row, "chat_template_kwargs")
        used.add("chat_template_kwargs")
        if isinstance(kwargs, str):
            try:
                kwargs = parse_json(kwargs) if kwargs.strip() else None
            except ValueError:
                raise RowFault("json-column", "chat_template_kwargs") from None
        if kwargs is None:
            return None
        if not isinstance(kwargs, Mapping):
            raise RowFault("json-column", "chat_template_kwargs")
        return without_nulls(kwargs) if self._arrow else kwargs

    def _tools(self, row: Mapping[str, Any], used: set[str]) -> str | None:
        column = self._settings.field_tools
        if column in self._settings.ignore:
            return None
        tools = tools_of(cell(row, column), from_arrow=self._arrow)
        used.add(column)
        if tools is None and self._settings.field_tools == "tools":
            tools = tools_of_functions(cell(row, "functions"), from_arrow=self._arrow)
            used.add("functions")
        return tools


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def first_question(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the first user message.

    Raises:
        RowFault: If there is none.
    """
    for message in messages:
        if message["role"] == "user":
            return str(message["content"])
    raise RowFault("starts-without-user")


def for_workers(settings: SourceSettings) -> SourceSettings:
    """The settings with the same attributes, but without pydantic.

    Workers of a small mix would need more time to load it than to read their rows.
    """
    values = dict(settings) | {_PLAIN: has_plain_settings(settings)}
    return cast("SourceSettings", SimpleNamespace(**values))


def has_plain_settings(settings: SourceSettings) -> bool:
    """Whether no setting of a source changes how its rows are read."""
    from ..config.mix_settings import HOST_KEYS

    given = settings.model_dump(exclude_defaults=True)
    if given.get("type", "chat_template") != "chat_template":
        return False
    return not given.keys() - _CHANGE_NO_ROW.union(HOST_KEYS)


def _is_unmasked(row: Mapping[str, Any], used: set[str]) -> bool:
    """Whether InstructLab's `unmask` is set, in a column or in the metadata."""
    metadata = row.get("metadata")
    if isinstance(metadata, str) and "unmask" in metadata:
        try:
            metadata = parse_json(metadata)
        except ValueError:
            metadata = None
    own = metadata.get("unmask") if isinstance(metadata, Mapping) else None
    values = [value for value in (row.get("unmask"), own) if value not in (None, "")]
    used.add("unmask")
    return any([flag("unmask", value) for value in values])
