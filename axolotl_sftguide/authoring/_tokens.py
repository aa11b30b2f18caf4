"""Tokens of a text, estimated from its characters."""

from __future__ import annotations

from typing import NamedTuple

SMALL_VOCABULARY = 65_536
"""Up to this size, a vocabulary has few whole words."""

MARKS = 5
"""Tokens of a chat template around a message: its start, role, line breaks, end."""

ROW = (0.7, 1.44)
"""A row's true number of tokens over its estimate, in 95% of rows: maths, code, English
definitions and manuals in six languages, under five tokenizers
(benchmarks/characters_per_token.py)."""

WHOLE = (0.74, 1.29)
"""The same for all rows of a text together, the lowest and the highest."""

_DIGITS = b"0123456789"
_ASCII = bytes(range(128))
_CONTINUED = bytes(range(128, 192))
_WIDE = bytes(
    lead for lead in range(0xE0, 0xF5) if lead != 0xE2
)  # E2 starts dashes, quotes and such


class Characters(NamedTuple):
    """Characters of a text by kind."""

    plain: int = 0
    """ASCII without digits."""
    digits: int = 0
    other: int = 0
    """Accented letters, Greek, Cyrillic, Arabic, punctuation."""
    wide: int = 0
    """Chinese, Japanese, Korean, Indic scripts, emoji."""


LARGE_RATES = Characters(0.26, 1.11, 0.37, 0.77)  # type: ignore[arg-type]
SMALL_RATES = Characters(0.31, 1.21, 0.49, 1.31)  # type: ignore[arg-type]
"""Tokens per character by kind, chosen so that these texts lie around the estimate."""


def characters_of(text: str) -> Characters:
    """Count the characters of a text by kind."""
    content = text.encode("utf-8", "replace")
    digits = len(content) - len(content.translate(None, _DIGITS))
    if text.isascii():
        return Characters(len(content) - digits, digits)
    beyond = content.translate(None, _ASCII)
    leads = beyond.translate(None, _CONTINUED)
    other = len(leads.translate(None, _WIDE))
    plain = len(content) - len(beyond) - digits
    return Characters(plain, digits, other, len(leads) - other)


def rates_of(vocabulary: int) -> Characters:
    """Tokens per character by kind, for a vocabulary of some size."""
    return SMALL_RATES if vocabulary <= SMALL_VOCABULARY else LARGE_RATES


def estimated(characters: Characters, vocabulary: int) -> float:
    """The estimated number of tokens."""
    rates = rates_of(vocabulary)
    return sum(n * rate for n, rate in zip(characters, rates, strict=True))
