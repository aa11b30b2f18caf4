"""What can go wrong and be mended by the user.

SFTGuideError            one clear line: the key, the rule, the value, the way out
├── SettingsError        the `sftguide:` block; holds every problem found
├── RecipeError          a recipe that is not there, or would be overwritten
├── TraceError           a trace file that is not one of ours, or is newer
├── StorageError         a run history that cannot be opened or is newer
├── SweepError           a sweep that cannot begin or go on, or one of its trials
└── MixError             data that cannot be found, read or mixed
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class SFTGuideError(Exception):
    """The root of all errors that a user can mend."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of the settings. Code reads its fields; only people read its text."""

    path: str
    """Where the fault is: a dotted key, a file or an option; may be empty."""
    message: str
    """What is wrong there, with the value."""
    remedy: str = ""
    """What the user can do; empty where the message says it."""
    colon: bool = False
    """Whether a colon stands between the path and the message."""

    @property
    def says(self) -> str:
        """The message and the remedy, without the path."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message

    def __str__(self) -> str:
        """The whole problem as one line."""
        joint = ": " if self.colon else " "
        line = f"{self.path}{joint}{self.says}" if self.path else self.says
        return " ".join(line.splitlines())


class SettingsError(SFTGuideError, ValueError):
    """The settings are wrong; `problems` holds each fault, and the text a line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        """The lines of all problems."""
        return "\n".join(map(str, self.problems))


class RecipeError(SFTGuideError):
    """A recipe cannot be found, read or copied."""


class TraceError(SFTGuideError):
    """A trace cannot be read."""


class StorageError(SFTGuideError):
    """A run history cannot be opened, read or written."""


class SweepError(SFTGuideError):
    """A sweep cannot begin or go on, or a trial of it cannot be judged."""


class MixError(SFTGuideError):
    """Data cannot be found, read or mixed; the last line says the way out."""


class PlanError(SFTGuideError):
    """A training's memory cannot be planned; the line says why and the way out."""


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """A hint such as `did you mean 'patience'?`, or an empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint with a semicolon before it, to end a line with, or an empty string."""
    hint = nearest_hint(word, known)
    return f"; {hint}" if hint else ""
