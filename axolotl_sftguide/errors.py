"""Errors that the user can fix.

SFTGuideError            one line: the key or file, what is wrong, what to write
├── SettingsError        wrong settings; holds every problem found
├── RecipeError          a recipe that is missing, or would be overwritten
├── TraceError           a file that is no trace, or one of a newer version
├── StorageError         a run history that cannot be opened, read or written
├── SweepError           a sweep, or one of its trials, that cannot continue
├── MixError             data that cannot be found, read or mixed
├── PlanError            a training whose memory or batch cannot be planned
└── EvidenceError        a claim that does not exist, or a table that cannot be read
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class SFTGuideError(Exception):
    """The base class of all errors that the user can fix."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting. Code reads the fields, people read the text."""

    path: str
    """A dotted key, a file or an option; may be empty."""
    message: str
    """What is wrong, with the value."""
    remedy: str = ""
    """What to write instead; empty if the message includes it."""

    @property
    def text(self) -> str:
        """The message and the remedy, without the path."""
        remedy = self.remedy[:1].upper() + self.remedy[1:]
        return f"{self.message}. {remedy}" if remedy else self.message

    def __str__(self) -> str:
        """One line: `path: message. Remedy`."""
        line = f"{self.path}: {self.text}" if self.path else self.text
        return " ".join(line.splitlines())


_MOST_LINES = 50
"""Problems in the text of a `SettingsError`."""


class SettingsError(SFTGuideError, ValueError):
    """Wrong settings: `problems` holds each of them, the text has a line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        """One line per problem, of many the first ones."""
        lines = [str(problem) for problem in self.problems[:_MOST_LINES]]
        more = len(self.problems) - len(lines)
        return "\n".join([*lines, *([f"... and {more:,} more"] if more else [])])


class RecipeError(SFTGuideError):
    """A recipe cannot be found, read or copied."""


class TraceError(SFTGuideError):
    """A trace cannot be read."""


class StorageError(SFTGuideError):
    """A run history cannot be opened, read or written."""


class SweepError(SFTGuideError):
    """A sweep cannot start or continue, or one of its trials has no value."""


class MixError(SFTGuideError):
    """Data cannot be found, read or mixed; the last line has the remedy."""


class PlanError(SFTGuideError):
    """A training's memory or batch cannot be planned."""


class EvidenceError(SFTGuideError):
    """A claim does not exist, or a table of results cannot be read."""


def near(word: str, known: Iterable[str], most: int = 2) -> str:
    """The known word at the smallest edit distance, if at most `most`; else empty.

    Swapped neighbours count as one edit. Words of up to four letters allow one edit, as
    two would turn most of them into each other.
    """
    most = min(most, 1 if len(word) <= 4 else most)
    lower = word.lower()
    ranked = sorted((_distance(lower, each.lower(), most), each) for each in set(known))
    return ranked[0][1] if ranked and ranked[0][0] <= most else ""


def _distance(one: str, other: str, most: int) -> int:
    """The edit distance of two words, or `most` + 1 if it is larger."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        if min(row) > most:
            return most + 1
        rows.append(row)
    return rows[-1][-1]


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """A hint such as `did you mean 'patience'?`, or an empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`nearest_hint` after a semicolon, to append to a line, or an empty string."""
    hint = nearest_hint(word, known)
    return f"; {hint}" if hint else ""
