"""Valid inputs, damaged: their bytes, their lines, and single values in them."""

from __future__ import annotations

import copy
import datetime
import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

ESCAPE = "\x1b[5;41mred\x1b[0m\x1b]0;title\x07"
MARKUP = "[bold red]x[/bold red][/]"
HTML = "</script><img src=x onerror=alert(1)>"
SQL = "'; DROP TABLE runs; --"
OUTSIDE = "../../../outside"
SURROGATE = "a\ud800b"
TURNED = "abc\u202edcba\u2066"

WORDS: tuple[str, ...] = (
    "", " ", "\n", "\t", "\x00", "a\x00b", ESCAPE, MARKUP, HTML, SQL, OUTSIDE,
    SURROGATE, TURNED, "\ufeff", "\u2028", "\x85", "é", "日本", "\U0001f600", "/", ".",
    "..", "~", "/dev/null", "/nowhere/at/all", "C:\\x", "${HOME}", "$(touch pwned)",
    "`id`", "%s%n", "{0.__class__}", "{{7*7}}", "{% for x in y %}", "*", "**", "[",
    "a" * 300, "x" * 5000, "-1", "1e400", "1e-5", "0x10", "0o7", "1_000", "NaN",
    "nan", "Infinity", "inf", "null", "None", "true", "True", "on", "off", "latest",
    "best", "auto", "default", "checkpoint-1", "checkpoint-" + "9" * 40,
    "http://x:y@z:99999/", "sqlite:///x", "hf://datasets/x", "a.b.c", "a,b",
    "key: value", "- x", "#", "&a", "*a", "!!python/name:os.system", "٣", "²", "1²",
    "½", "\u0660\u0661",
)  # fmt: skip
"""Texts that mean something to a terminal, a page, a database, a path or a parser."""

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 255, 10**6, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63,
    -(2**63) - 1, 2**64, 10**30, 10**400, -(10**400), 0.0, -0.0, 0.1, 0.5, 1.5, -0.5,
    1e-320, 5e-324, 1e-30, 1e30, 1e300, 1.7976931348623157e308, math.inf, -math.inf,
    math.nan, True, False,
)  # fmt: skip


def hostile(rng: Random, depth: int = 0) -> Any:
    """A value that a parser may not expect."""
    kind = rng.randrange(12)
    if kind < 4:
        return rng.choice(NUMBERS)
    if kind < 8:
        return rng.choice(WORDS)
    if kind == 8:
        return rng.choice(
            [None, [], {}, [None], {"": None}, [[]], b"\xff\x00", {1: 2}, {None: 1}]
        )
    if kind == 9:
        return rng.choice([datetime.date(1, 1, 1), datetime.datetime(9999, 12, 31, 23)])
    if kind == 10 and depth < 2:
        return [hostile(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 2:
        n = rng.randrange(4)
        return {rng.choice(WORDS): hostile(rng, depth + 1) for _ in range(n)}
    return rng.choice(WORDS)


def as_json_can(value: Any) -> Any:
    """A value with what JSON cannot write replaced by text."""
    if isinstance(value, dict):
        return {str(k): as_json_can(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json_can(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def tree(value: Any, rng: Random, times: int | None = None) -> Any:
    """A copy of nested lists and mappings with some places changed."""
    value = copy.deepcopy(value)
    for _ in range(times or rng.choice([1, 1, 1, 2, 3, 6])):
        value = _changed(value, rng)
    return value


def _changed(root: Any, rng: Random) -> Any:
    places = list(_places(root))
    if not places:
        return hostile(rng)
    holder, key = rng.choice(places)
    kind = rng.randrange(10)
    if kind < 6:
        holder[key] = _other(holder[key], rng)
    elif kind == 6:
        del holder[key]
    elif kind == 7 and isinstance(holder, dict):
        name = rng.choice(WORDS) if rng.random() < 0.5 else f"{key}{rng.choice('sx_')}"
        holder[name] = holder.pop(key)
    elif kind == 8 and isinstance(holder, dict):
        holder[rng.choice(WORDS)] = hostile(rng)
    else:
        other_holder, other_key = rng.choice(places)
        holder[key] = copy.deepcopy(other_holder[other_key])
    return root


def _other(old: Any, rng: Random) -> Any:
    kind = rng.randrange(8)
    if kind == 0:
        return [old]
    if kind == 1:
        return {"x": old}
    if kind == 2 and type(old) in (int, float) and abs(old) < 2**64:
        return rng.choice([-old, old * 10**6, old + old, repr(old)[:4000]])
    if kind == 3 and isinstance(old, str):
        return old + rng.choice(WORDS)
    if kind == 4:
        return nested(rng.choice([20, 90, 110, 220]))
    return hostile(rng)


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


def _places(value: Any, depth: int = 0) -> Any:
    if depth > 12:
        return
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield value, key
        yield from _places(inner, depth + 1)


_TOKENS: tuple[bytes, ...] = (
    b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", b"\r",
    b"\r\n", b"\n", b"\n\n", b"\t", b'"', b"'", b"\\", b"\\u", b"\\ud800", b"\\u0000",
    b"{", b"}", b"[", b"]", b":", b",", b"null", b"NaN", b"-Infinity", b"1e999", b"-",
    b"0" * 50, b"9" * 400, b"9" * 5000, b"true", b"{}", b"[]", b"[" * 3000,
    b'{"a":' * 3000, b"\x1b[31m", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"/*", b"#",
    b"---\n", b"...\n",
)  # fmt: skip


def data(content: bytes, rng: Random, times: int | None = None) -> bytes:
    """Bytes that were cut off, flipped, doubled, lost or overwritten."""
    for _ in range(times or rng.choice([1, 1, 1, 2, 4, 10])):
        content = _damaged(content, rng)
    return content


def _damaged(content: bytes, rng: Random) -> bytes:
    if not content:
        return rng.choice(_TOKENS)
    at, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    short = min(end, at + rng.randrange(1, 40))
    before, part, after = content[:at], content[at:short], content[short:]
    return rng.choice(_DAMAGES)(before, part, after, rng)


def _flipped(before: bytes, part: bytes, after: bytes, rng: Random) -> bytes:
    flipped = bytearray(before + part + after)
    for _ in range(rng.choice([1, 1, 2, 8])):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _lines_lost(before: bytes, part: bytes, after: bytes, rng: Random) -> bytes:
    lines = (before + part + after).splitlines(keepends=True)
    if rng.random() < 0.3:
        rng.shuffle(lines)
    else:
        lines.pop(rng.randrange(len(lines)))
    return b"".join(lines)


_DAMAGES: tuple[Callable[[bytes, bytes, bytes, Random], bytes], ...] = (
    lambda before, part, after, rng: before,
    lambda before, part, after, rng: part + after,
    lambda before, part, after, rng: before + after,
    lambda before, part, after, rng: before + part * rng.choice([2, 3, 51]) + after,
    lambda before, part, after, rng: before + rng.choice(_TOKENS) + part + after,
    lambda before, part, after, rng: before + rng.choice(_TOKENS) + part + after,
    lambda before, part, after, rng: before + rng.choice(_TOKENS) + after,
    lambda before, part, after, rng: before + rng.randbytes(len(part)) + after,
    lambda before, part, after, rng: _number_changed(before + part + after, rng),
    _flipped,
    _lines_lost,
)


def _number_changed(content: bytes, rng: Random) -> bytes:
    digits = [i for i, byte in enumerate(content) if 48 <= byte <= 57]
    if not digits:
        return content[: len(content) // 2]
    at = rng.choice(digits)
    end = at
    while end < len(content) and content[end : end + 1].isdigit():
        end += 1
    new = rng.choice(
        [b"0", b"-1", b"1e999", b"9" * 25, b"9" * 400, b"NaN", b"null", b'"x"']
    )
    return content[:at] + new + content[end:]


def in_another_encoding(text: str, rng: Random) -> bytes:
    """A text as other programs and systems write it."""
    encoding = rng.choice(
        ["utf-16", "utf-32", "utf-8-sig", "latin-1", "cp1252", "utf-7"]
    )
    return text.encode(encoding, "replace")


def binary(content: bytes, rng: Random) -> bytes:
    """A binary file, damaged also where it holds lengths and offsets."""
    if rng.random() < 0.7 or len(content) < 16:
        return data(content, rng)
    changed = bytearray(content)
    for _ in range(rng.choice([1, 2, 5])):
        at = rng.randrange(max(0, len(changed) - 400), len(changed) - 8)
        if rng.random() < 0.3:
            at = rng.randrange(len(changed) - 8)
        form, size = rng.choice([("<i", 4), ("<q", 8), ("<h", 2), ("<b", 1)])
        low = -(1 << (8 * size - 1))
        number = rng.choice([0, 1, -1, low, -low - 1, rng.randrange(low, -low)])
        struct.pack_into(form, changed, at, number)
    return bytes(changed)
