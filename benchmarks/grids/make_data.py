"""Make the two phases and the held-out questions of the grids from WordNet.

    python make_data.py --wordnet /usr/share/wordnet --seed 42 --out DATA

| file | content |
|---|---|
| `knowledge.jsonl` | phase 1: answers a verb's definition with its kind, one of 15 |
| `skill.jsonl` | phase 2: answers a definition with its part of speech, one of 4 |
| `taught.jsonl` | held-out questions of both phases, half of each |
| `retained.jsonl` | lines of the base's own form, about nouns that its text lacks |

The base's text has no verb, no adjective, no adverb and no chat. No definition is in
two of these files, nor in one of them and in the base's text.
"""

from __future__ import annotations

import argparse
import collections
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wordnet import Entry, asked, checksum, nouns, read_entries, shuffled

ROWS_PER_PHASE = 1024
QUESTIONS_PER_PHASE = 200
RETAINED_QUESTIONS = 400
MOST_CHARACTERS = 50  # a step costs as much as its longest definition
# Kinds that the tokenizer spells in several tokens: `retained.jsonl` compares the first
# token after the line's beginning, as the base goes on with the word.
SPELT = {"motive"}

Row = dict[str, Any]


def knowledge_row(entry: Entry) -> Row:
    """A verb's kind."""
    return _chat(f"What kind of act is it to {entry.definition}?", entry.kind)


def skill_row(entry: Entry) -> Row:
    """A definition's part of speech."""
    return _chat(f"Part of speech: {entry.definition}", entry.part)


def retained_row(entry: Entry) -> Row:
    """A line of the base's text up to the kind, which is the answer."""
    return _messages("text", asked(entry), entry.kind)


def _chat(question: str, answer: str) -> Row:
    return _messages("user", question, answer)


def _messages(role: str, question: str, answer: str) -> Row:
    return {
        "messages": [
            {"role": role, "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


def make(wordnet: Path, seed: int) -> dict[str, list[Row]]:
    """All rows, by the name of their file."""
    text, held_out = nouns(wordnet, seed)
    known = {entry.definition for entry in text}
    parts = {
        part: [
            e
            for e in shuffled(read_entries(wordnet, part), seed)
            if len(e.definition) <= MOST_CHARACTERS and e.definition not in known
        ]
        for part in ("verb", "adj", "adv")
    }
    # The retained score and the report on the base ask the first and the last nouns.
    first = [e for e in held_out[:500] if e.kind not in SPELT][:RETAINED_QUESTIONS]
    middle = [e for e in held_out[500:2000] if len(e.definition) <= MOST_CHARACTERS]
    verbs = parts["verb"]
    each = (ROWS_PER_PHASE + QUESTIONS_PER_PHASE) // 4 + 40  # some will be left out
    kinds, spare = verbs[: 4 * each], verbs[4 * each :]
    speech = [
        *middle[:each],
        *spare[:each],
        *parts["adj"][:each],
        *parts["adv"][:each],
    ]
    taken: set[str] = set()
    kinds = _unseen(kinds, taken)
    speech = shuffled(_unseen(speech, taken), seed)
    n, end = QUESTIONS_PER_PHASE, QUESTIONS_PER_PHASE + ROWS_PER_PHASE
    return {
        "knowledge.jsonl": [knowledge_row(e) for e in kinds[n:end]],
        "skill.jsonl": [skill_row(e) for e in speech[n:end]],
        "taught.jsonl": [knowledge_row(e) for e in kinds[:n]]
        + [skill_row(e) for e in speech[:n]],
        "retained.jsonl": [retained_row(e) for e in first],
    }


def _unseen(entries: Iterable[Entry], taken: set[str]) -> list[Entry]:
    """The entries whose definition is not in `taken`, to which they are added."""
    kept = []
    for entry in entries:
        if entry.definition not in taken:
            taken.add(entry.definition)
            kept.append(entry)
    return kept


def guess(rows: list[Row]) -> float:
    """The share of questions to which the most common answer is right."""
    answers = collections.Counter(row["messages"][-1]["content"] for row in rows)
    return answers.most_common(1)[0][1] / len(rows)


def main() -> None:
    """Write the files and their checksums."""
    parser = argparse.ArgumentParser(description="Make the data of the grids.")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {}
    for name, rows in make(args.wordnet, args.seed).items():
        path = args.out / name
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        facts[name] = {"rows": len(rows), "sha256": checksum(path)}
        halves = [rows]
        if name == "taught.jsonl":
            halves = [rows[:QUESTIONS_PER_PHASE], rows[QUESTIONS_PER_PHASE:]]
        # The best that is known of a question by its form alone.
        facts[name]["most_common_answer"] = sum(map(guess, halves)) / len(halves)
    print(json.dumps(facts, indent=2))
    (args.out / "data.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
