"""The words of a conversation, and hashes of those that follow one another."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ._columns import Hashes
from ._random import splitmix

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Chinese and Japanese are written without spaces. Each character counts as a word."""

_WORD = re.compile(r"\w+")
_WORD_OR_CHARACTER = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    pattern = _WORD if text.isascii() else _WORD_OR_CHARACTER
    return pattern.findall(text.lower())


def texts_of(conversation: Mapping[str, Any]) -> Iterator[str]:
    """The texts of a conversation but those of the system, which many rows share."""
    for message in conversation["messages"]:
        if message["role"] == "system":
            continue
        if message.get("reasoning_content"):
            yield message["reasoning_content"]
        yield message["content"]
        for call in message.get("tool_calls", ()):
            yield f"{call['function']['name']} {call['function']['arguments']}"


def ngrams_of(texts: Iterator[str], n: int) -> Hashes:
    """The sorted hashes of all sequences of n words, each once.

    A text of fewer words is one sequence, and so equals only a text of the same words.
    """
    found = [_ngrams(words, n) for text in texts if (words := words_of(text))]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)


def _ngrams(words: list[str], n: int) -> Hashes:
    hashes = np.array([_hash(word) for word in words], np.uint64)
    length = min(n, len(words))
    count = len(words) - length + 1
    sums = np.full(count, length, np.uint64)
    with np.errstate(over="ignore"):
        for place in range(length):
            sums = sums * _FACTOR + hashes[place : place + count]
        return splitmix(sums)


@lru_cache(maxsize=2**17)
def _hash(word: str) -> int:
    digest = hashlib.blake2b(word.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
