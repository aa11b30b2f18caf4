"""The number of tokens of plain texts, by a model's `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import MixError


def text_counter(tokenizer: Path) -> Callable[[Sequence[str]], list[int]]:
    """A function that counts the tokens of texts, without special tokens.

    Args:
        tokenizer: A file `tokenizer.json`.

    Raises:
        MixError: If it cannot be read.
    """
    try:
        from tokenizers import Tokenizer

        loaded = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # the library has no class of its own
        line = str(error).partition("\n")[0]
        raise MixError(f"{tokenizer}: cannot be loaded ({line})") from None

    def count(texts: Sequence[str]) -> list[int]:
        encoded = loaded.encode_batch(list(texts), add_special_tokens=False)
        return [len(each.ids) for each in encoded]

    return count
