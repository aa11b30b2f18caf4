"""How many tokens the characters of a text make: the figures of `authoring/_tokens.py`.

    python benchmarks/characters_per_token.py --tokenizer NAME=tokenizer.json ... \
        --texts NAME=file ...

Each text file is cut into pieces of 1,500 characters. JSON lines are taken row by row,
their values joined. Prints, for each tokenizer and text, the true tokens over the
estimate: of all pieces together, and the middle 95% of the pieces.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from axolotl_sftguide.authoring import characters_of, estimated

PIECE, LEAST, MOST = 1500, 40, 400


def pieces(path: Path) -> list[str]:
    """Rows or pieces of a file, at most `MOST` of them, drawn at random."""
    text = path.read_text(encoding="utf-8", errors="ignore")
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
        found = ["\n".join(map(str, row.values())) for row in rows]
    else:
        found = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
    found = [piece for piece in found if len(piece) > LEAST]
    return random.Random(0).sample(found, min(MOST, len(found)))


def named(words: list[str]) -> dict[str, Path]:
    """`NAME=PATH` as a mapping."""
    return {name: Path(path) for name, _, path in (w.partition("=") for w in words)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", nargs="+", required=True)
    parser.add_argument("--texts", nargs="+", required=True)
    words = parser.parse_args()
    everything: list[float] = []
    for name, path in named(words.tokenizer).items():
        tokenizer = Tokenizer.from_file(str(path))
        size = tokenizer.get_vocab_size()
        for text, file in named(words.texts).items():
            rows = pieces(file)
            guesses = np.array([estimated(characters_of(row), size) for row in rows])
            encoded = tokenizer.encode_batch(rows, add_special_tokens=False)
            true = np.array([len(each.ids) for each in encoded])
            low, high = np.quantile(true / guesses, [0.025, 0.975])
            whole = true.sum() / guesses.sum()
            everything += list(true / guesses)
            print(f"{name:12} {text:12} {whole:.2f} ({low:.2f} to {high:.2f})")
    low, high = np.quantile(everything, [0.025, 0.975])
    print(f"{'all':25} {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
