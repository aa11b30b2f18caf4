"""What prepared rows really train: from their token ids and labels alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ._finding import Finding, Weight

MASKED = -100
"""The label of a token that is not trained."""

_MARK = re.compile(r"<\|[\w ]+\|>|\[/?INST\]")


@dataclass
class Examined:
    """Counts over the rows of one dataset, before the host leaves any out."""

    path: str
    rows: int = 0
    tokens: int = 0
    trained: int = 0
    masked_rows: int = 0
    """Rows without one trained token; the host drops them, or learns nothing."""
    long_rows: int = 0
    """Rows longer than `sequence_len`, which the host drops or cuts."""
    long_tokens: int = 0
    """Trained tokens in them."""
    unended: int = 0
    """Rows whose last trained token ends no turn."""
    doubled_starts: int = 0
    """Rows that begin with the beginning twice."""
    duplicates: int = 0
    stale: str | None = None
    """Where the host keeps what it prepared of these data before they changed."""
    broken_marks: dict[str, int] = field(default_factory=dict)
    """Marks of the template that are ordinary text to the tokenizer."""
    sample: list[tuple[str, bool]] = field(default_factory=list)
    """The first usable row in stretches, and whether they are trained."""


def examine(
    path: str,
    rows: Iterable[tuple[Sequence[int], Sequence[int]]],
    *,
    sequence_len: int,
    ends: set[int],
    start: int | None,
    decode: Callable[[Sequence[int]], str],
    is_one_token: Callable[[str], bool],
    stale: str | None = None,
) -> Examined:
    """Count what the rows hold.

    Args:
        path: Of the dataset, for people.
        rows: Token ids and labels of each.
        sequence_len: The longest that is trained on.
        ends: Tokens that end a turn or a text.
        start: The token that begins a text, where there is one.
        decode: Token ids as text, special tokens as they are.
        is_one_token: Whether the tokenizer knows a mark as one token.
        stale: Where the host keeps these data as they were before, if it does.
    """
    found = Examined(path, stale=stale)
    seen: set[int] = set()
    for ids, labels in rows:
        found.rows += 1
        found.tokens += len(ids)
        trained = [i for i, label in zip(ids, labels, strict=True) if label != MASKED]
        found.trained += len(trained)
        found.masked_rows += not trained
        if len(ids) > sequence_len:
            found.long_rows += 1
            found.long_tokens += len(trained)
        found.unended += bool(trained) and trained[-1] not in ends
        found.doubled_starts += start is not None and list(ids[:2]) == [start, start]
        digest = hash(tuple(ids))
        found.duplicates += digest in seen
        seen.add(digest)
        if trained and not found.sample:
            found.sample = list(_stretches(ids, labels, decode))
            text = decode(ids)
            for mark in set(_MARK.findall(text)):
                if mark.startswith("<|") and not is_one_token(mark):
                    found.broken_marks[mark] = text.count(mark)
    return found


def _stretches(
    ids: Sequence[int], labels: Sequence[int], decode: Callable[[Sequence[int]], str]
) -> Iterator[tuple[str, bool]]:
    start = 0
    for at in range(1, len(ids) + 1):
        if at == len(ids) or (labels[at] != MASKED) != (labels[start] != MASKED):
            yield decode(ids[start:at]), labels[start] != MASKED
            start = at


def findings(found: Examined) -> Iterator[Finding]:
    """What is the matter with a dataset."""
    rows = max(1, found.rows)
    if found.stale is not None:
        yield Finding(
            Weight.WRONG,
            found.path,
            None,
            "changed after Axolotl had prepared it: a training takes the old rows",
            f"delete {found.stale}, or run axolotl preprocess again",
        )
    if found.masked_rows:
        most = found.masked_rows > rows / 2
        yield Finding(
            Weight.WRONG if most else Weight.AGAINST,
            found.path,
            None,
            f"{found.masked_rows:,} of {found.rows:,} rows train no token",
            "look at roles_to_train, field_messages and the sample below",
        )
    if found.unended > rows / 2:
        yield Finding(
            Weight.AGAINST,
            found.path,
            None,
            f"in {found.unended:,} of {found.rows:,} rows the end of the turn is not "
            "trained: the model would not learn to stop",
            "train_on_eos: turn, or special_tokens.eos_token as the template has it",
        )
    for mark, count in sorted(found.broken_marks.items()):
        yield Finding(
            Weight.AGAINST,
            found.path,
            mark,
            f"is ordinary text to this tokenizer ({count} times in the sample)",
            "take the model's own chat_template, or add it to special_tokens",
        )
    if found.doubled_starts:
        yield Finding(
            Weight.AGAINST,
            found.path,
            None,
            f"{found.doubled_starts:,} rows begin with the beginning of a text twice",
            "the template writes it, and the tokenizer too; leave it out of one",
        )
    if found.long_rows > rows / 100:
        yield Finding(
            Weight.AGAINST,
            found.path,
            None,
            f"{found.long_rows:,} of {found.rows:,} rows are longer than sequence_len "
            f"and are lost, with {found.long_tokens:,} of {found.trained:,} trained "
            "tokens",
            "a larger sequence_len, or excess_length_strategy: truncate",
        )
    if found.duplicates > rows / 100:
        yield Finding(
            Weight.NOTE,
            found.path,
            None,
            f"{found.duplicates:,} of {found.rows:,} rows stand there before",
            "sftguide.mix leaves them out",
        )
