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
from difflib import get_close_matches


class SFTGuideError(Exception):
    """The root of all errors that a user can mend."""


class SettingsError(SFTGuideError, ValueError):
    """The settings are wrong; `problems` holds one line for each fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint such as `; did you mean 'patience'?`, or an empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
