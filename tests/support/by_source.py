"""Rows of three sources, and the loss of each source computed without the package."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = {
    "animals": "dog cat bird eats sees".split(),
    "colours": "red blue green likes".split(),
    "sky": "sun moon house tree runs".split(),
}

UNKNOWN = "(in several sources)"


def write_stacked(path: Path, count: int = 120, seed: int = 0) -> Path:
    """Rows of three sources, mixed; no two rows are the same."""
    draw = random.Random(seed)
    lines, seen = [], set()
    while len(lines) < count:
        source = draw.choice(list(SOURCES))
        words = [draw.choice(SOURCES[source]) for _ in range(draw.randint(4, 14))]
        asked = " ".join(words)
        if asked in seen:
            continue
        seen.add(asked)
        messages = [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": " ".join(reversed(words))},
        ]
        lines.append({"messages": messages, "source": source})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@dataclass(frozen=True)
class Row:
    """One row, without padding, and the source of each of its tokens."""

    ids: list[int]
    labels: list[int]
    sources: list[str]


def tokenised(path: Path, tokenizer: Any) -> list[tuple[list[int], str]]:
    """The token ids and the source of each row of a file."""
    found = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        ids = tokenizer.apply_chat_template(row["messages"], return_dict=True)
        found.append((list(ids["input_ids"]), row["source"]))
    return found


def rows_of_parts(
    parts: Iterable[tuple[list[int], list[int]]],
    whole: Iterable[tuple[list[int], str]],
    length: int,
) -> list[Row]:
    """Each sample, or part of one, as a row of its own.

    Args:
        parts: Token ids and labels, as the host trains them.
        whole: Token ids and source of each sample before it was cut.
        length: Samples are cut after each `length` tokens.
    """
    sources: dict[tuple[int, ...], set[str]] = defaultdict(set)
    for ids, name in whole:
        for start in range(0, len(ids), length):
            sources[tuple(ids[start : start + length])].add(name)
    found = []
    for ids, labels in parts:
        names = sources[tuple(ids)]
        name = next(iter(names)) if len(names) == 1 else UNKNOWN
        found.append(Row(list(ids), list(labels), [name] * len(ids)))
    return found


def losses(model: Any, rows: Iterable[Row]) -> tuple[dict[str, float], dict[str, int]]:
    """The mean loss and the trained tokens of each source, one row at a time."""
    import torch

    sums: dict[str, float] = defaultdict(float)
    tokens: dict[str, int] = defaultdict(int)
    model.eval()
    for row in rows:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.ids])).logits[0].double()
        chances = logits.log_softmax(-1)
        for i in range(1, len(row.ids)):
            if row.labels[i] != -100:
                sums[row.sources[i]] -= float(chances[i - 1, row.labels[i]])
                tokens[row.sources[i]] += 1
    return {name: sums[name] / tokens[name] for name in tokens}, dict(tokens)
