"""WordNet 3.0's definitions, and which of them the base, the phases and the tests get.

Reads the files `data.noun`, `data.verb`, `data.adj` and `data.adv` of a folder, such as
`/usr/share/wordnet` of Debian's package `wordnet-base`. Only the standard library is
used, and of its random module only `random()`: one seed gives the same rows everywhere.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PARTS = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}

# lexnames(5WN) of WordNet 3.0: the number of a file, and the kind of things in it.
KINDS = {
    3: "top", 4: "act", 5: "animal", 6: "artifact", 7: "attribute", 8: "body",
    9: "cognition", 10: "communication", 11: "event", 12: "feeling", 13: "food",
    14: "group", 15: "location", 16: "motive", 17: "object", 18: "person",
    19: "phenomenon", 20: "plant", 21: "possession", 22: "process", 23: "quantity",
    24: "relation", 25: "shape", 26: "state", 27: "substance", 28: "time",
    29: "body", 30: "change", 31: "cognition", 32: "communication",
    33: "competition", 34: "consumption", 35: "contact", 36: "creation",
    37: "emotion", 38: "motion", 39: "perception", 40: "possession", 41: "social",
    42: "stative", 43: "weather",
}  # fmt: skip

MOST_CHARACTERS = 80  # more kinds per token of the text, and no wide batches
HELD_OUT_NOUNS = 4_000  # definitions that the base's text does not contain


@dataclass(frozen=True)
class Entry:
    """A definition, the first word that it defines, and the kind of the word."""

    part: str
    definition: str
    word: str
    kind: str


def read_entries(folder: Path, part: str) -> list[Entry]:
    """The definitions of a part of speech, without the examples that follow them.

    Raises:
        SystemExit: If the folder has no such file.
    """
    path = folder / f"data.{part}"
    if not path.is_file():
        raise SystemExit(
            f"{path}: no such file. Install Debian's package wordnet-base, or name the "
            "`dict` folder of WordNet 3.0 with --wordnet"
        )
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):  # the licence, at the top of each file
            continue
        fields, _, gloss = line.partition(" | ")
        _, number, _, _, word, *_ = fields.split()
        definition = gloss.partition('; "')[0].strip(" ;")
        if not definition or len(definition) > MOST_CHARACTERS:
            continue
        word = word.partition("(")[0].replace("_", " ")
        kind = KINDS.get(int(number), "")
        entries.append(Entry(PARTS[part], definition, word, kind))
    seen: set[str] = set()
    # The same definition twice could be in the text and among the held-out questions.
    return [
        e
        for e in entries
        if not (e.definition in seen or seen.add(e.definition))  # type: ignore[func-returns-value]
    ]


def shuffled(items: Sequence[T], seed: int) -> list[T]:
    """The items in a random order that is the same on every Python."""
    draw = random.Random(seed)
    drawn = [draw.random() for _ in items]
    return [items[i] for i in sorted(range(len(items)), key=drawn.__getitem__)]


def nouns(folder: Path, seed: int) -> tuple[list[Entry], list[Entry]]:
    """The nouns of the base's text, and those that it does not contain."""
    order = shuffled(read_entries(folder, "noun"), seed)
    return order[HELD_OUT_NOUNS:], order[:HELD_OUT_NOUNS]


def asked(entry: Entry) -> str:
    """The beginning of a line of the base's text, which the kind follows."""
    return f"{entry.definition} ->"


def line_of(entry: Entry) -> str:
    """A line of the base's text: definition, kind and word."""
    return f"{asked(entry)} {entry.kind}: {entry.word}"


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
