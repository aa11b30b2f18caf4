"""Rows of three sources, and the loss of each source computed without the package."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SOURCES = {
    "animals": "dog cat bird eats sees".split(),
    "colours": "red blue green likes".split(),
    "sky": "sun moon house tree runs".split(),
}


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


def source_of(text: str) -> str:
    """The source whose words a text has."""
    (found,) = [
        name
        for name, words in SOURCES.items()
        if any(word in text.replace("<|user|>", " ").split() for word in words)
    ]
    return found


def losses_by_sample(
    model: Any, tokenizer: Any, samples: Iterable[tuple[list[int], list[int]]]
) -> tuple[dict[str, float], dict[str, int]]:
    """The mean loss and the trained tokens of each source, one sample at a time.

    Args:
        model: The model.
        tokenizer: Decodes a sample; its text shows its source.
        samples: Token ids and labels of each sample.
    """
    import torch

    sums: dict[str, float] = defaultdict(float)
    tokens: dict[str, int] = defaultdict(int)
    model.eval()
    with torch.no_grad():
        for ids, labels in samples:
            name = source_of(tokenizer.decode(ids, skip_special_tokens=True))
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].double()
            targets = torch.tensor(labels[1:])
            trained = targets != -100
            if not trained.any():
                continue
            chances = logits.log_softmax(-1)[trained]
            sums[name] -= float(chances.gather(1, targets[trained, None]).sum())
            tokens[name] += int(trained.sum())
    return {n: sums[n] / tokens[n] for n in tokens}, dict(tokens)
