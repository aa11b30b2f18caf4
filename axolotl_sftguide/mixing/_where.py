"""The rows that `where` keeps, and what it has met if it keeps none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import did_you_mean

if TYPE_CHECKING:
    from ..config.mix_settings import SourceSettings

_MOST_COLUMNS = 200
_USUAL = ("system", "tools", "input")
"""Columns that settings may name although a dataset has none: Axolotl's defaults."""


def matches(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether the columns of a row have the values that `where` lists."""
    for column, wanted in where.items():
        value = row.get(column)
        if not any(
            value == one and _kind(value) == _kind(one) for one in _values(wanted)
        ):
            return False
    return True


@dataclass
class WhereSeen:
    """The columns and the kinds of values that `where` has met."""

    rows: int = 0
    columns: set[str] = field(default_factory=set)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    """For each column of `where`, the rows by the kind of their value."""
    example: dict[str, str] = field(default_factory=dict)
    """For each column of `where`, its first value."""
    met: set[tuple[str, int]] = field(default_factory=set)
    """The listed values that rows have, by their column and place."""

    def see(self, row: Mapping[str, Any], where: Mapping[str, Any]) -> None:
        """Note the values of a row."""
        self.rows += 1
        if len(self.columns) < _MOST_COLUMNS:
            self.columns.update(row)
        for column in where:
            if column in row:
                value = row[column]
                self.kinds.setdefault(column, Counter())[_kind(value)] += 1
                if column not in self.example and value is not None:
                    self.example[column] = repr(value)[:40]
                for place, wanted in enumerate(_values(where[column])):
                    if value == wanted:
                        self.met.add((column, place))

    def add(self, other: WhereSeen) -> None:
        """Add what another piece of the same source has met."""
        self.rows += other.rows
        self.columns |= other.columns
        self.met |= other.met
        self.example = {**other.example, **self.example}
        for column, kinds in other.kinds.items():
            self.kinds.setdefault(column, Counter()).update(kinds)

    def unmet(self, where: Mapping[str, Any]) -> list[str]:
        """The values that `where` lists and no row has, one line for each column."""
        found = []
        for column, wanted in where.items():
            missing = [
                repr(value)[:40]
                for place, value in enumerate(_values(wanted))
                if (column, place) not in self.met
            ]
            if missing:
                found.append(f"where.{column}: no row has {', '.join(missing)}")
        return found

    def unknown(self, settings: SourceSettings) -> list[str]:
        """The settings that name a column which no row has, one line each."""
        found: list[str] = []
        if not self.rows or len(self.columns) >= _MOST_COLUMNS:
            return found
        for key, column in named_columns(settings):
            if column not in self.columns:
                hint = did_you_mean(column, self.columns)
                have = ", ".join(sorted(self.columns)[:8])
                hint = hint or f"; the columns are {have}"
                found.append(f"{key}: no row has the column {column!r}{hint}")
        return found

    def problems(self, where: Mapping[str, Any]) -> list[str]:
        """Why parts of `where` can match no row, one line each."""
        found = []
        for column, wanted in where.items():
            if not self.rows:
                continue
            kinds = self.kinds.get(column)
            if kinds is None:
                hint = did_you_mean(column, self.columns)
                have = ", ".join(sorted(self.columns)[:8])
                hint = hint or f"; the columns are {have}"
                found.append(f"where.{column}: no row has this column{hint}")
                continue
            for value in _values(wanted):
                if not kinds[_kind(value)]:
                    found.append(self._of_another_kind(column, value))
        return found

    def _of_another_kind(self, column: str, value: Any) -> str:
        line = (
            f"where.{column}: {value!r} is {_kind(value)}, and no row has one there "
            f"(the first value is {self.example.get(column, 'null')})"
        )
        if isinstance(value, bool):
            line += "; YAML reads yes, no, on and off as booleans, so quote them"
        elif self.kinds[column]["a text"]:
            line += "; quote the value"
        return line


def named_columns(settings: SourceSettings) -> list[tuple[str, str]]:
    """The columns that a source's settings name, each after its key."""
    inputs = settings.field_input
    named = [
        ("field_messages", settings.field_messages),
        ("field_instruction", settings.field_instruction),
        ("field_output", settings.field_output),
        ("field_system", settings.field_system),
        ("field_tools", settings.field_tools),
        *(
            ("field_input", name)
            for name in ([inputs] if isinstance(inputs, str) else inputs or ())
        ),
    ]
    return [(key, name) for key, name in named if name and name not in _USUAL]


def _values(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    return "a text" if isinstance(value, str) else f"a {type(value).__name__}"
