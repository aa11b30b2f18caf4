"""Which tokens of the prepared rows are trained, by their ids and labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ._finding import Finding, Weight

MASKED = -100
"""The label of a token that is not trained on."""

NAMED = 5
"""How many rows a finding names."""

_SPECIAL = re.compile(r"<\|[\w ]+\|>|\[/?INST\]")


@dataclass
class Examined:
    """Counts over the rows of one dataset, before Axolotl drops any."""

    path: str
    rows: int = 0
    tokens: int = 0
    trained: int = 0
    masked_rows: int = 0
    """Rows without a trained token."""
    long_rows: int = 0
    """Rows longer than `sequence_len`, which Axolotl drops or truncates."""
    long_tokens: int = 0
    """Trained tokens in those rows."""
    unended: int = 0
    """Rows whose last trained token does not end a turn."""
    doubled_starts: int = 0
    """Rows that start with the BOS token twice."""
    duplicates: int = 0
    with_system: int = 0
    """Rows with a system message, in a sample."""
    system_unwritten: int = 0
    """Of these, rows whose text has none of it."""
    first_masked: list[int] = field(default_factory=list)
    """The first rows without a trained token, counted from 1."""
    first_long: list[int] = field(default_factory=list)
    """The first rows longer than `sequence_len`, counted from 1."""
    stale: str | None = None
    """Folder in which Axolotl keeps an older version of these data, prepared."""
    broken_marks: dict[str, int] = field(default_factory=dict)
    """Special tokens of the template that the tokenizer splits, with their counts."""
    sample: list[tuple[str, bool]] = field(default_factory=list)
    """The first row with trained tokens: its text in pieces, trained or not."""


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
    """Count rows and tokens of a dataset, and what may be wrong with them.

    Args:
        path: The dataset's name in messages.
        rows: Token ids and labels of each row.
        sequence_len: The config's `sequence_len`.
        ends: Tokens that end a turn or a text.
        start: The BOS token, if the tokenizer has one.
        decode: Turns token ids into text, special tokens included.
        is_one_token: Whether the tokenizer encodes a text as a single token.
        stale: Folder with an older version of these data, prepared, if any.
    """
    found = Examined(path, stale=stale)
    seen: set[int] = set()
    for ids, labels in rows:
        found.rows += 1
        found.tokens += len(ids)
        trained = [i for i, label in zip(ids, labels, strict=True) if label != MASKED]
        found.trained += len(trained)
        found.masked_rows += not trained
        if not trained and len(found.first_masked) < NAMED:
            found.first_masked.append(found.rows)
        if len(ids) > sequence_len:
            found.long_rows += 1
            if len(found.first_long) < NAMED:
                found.first_long.append(found.rows)
            found.long_tokens += len(trained)
        found.unended += bool(trained) and trained[-1] not in ends
        found.doubled_starts += start is not None and list(ids[:2]) == [start, start]
        digest = hash(tuple(ids))
        found.duplicates += digest in seen
        seen.add(digest)
        if trained and not found.sample:
            found.sample = list(_pieces(ids, labels, decode))
            text = decode(ids)
            for mark in set(_SPECIAL.findall(text)):
                if mark.startswith("<|") and not is_one_token(mark):
                    found.broken_marks[mark] = text.count(mark)
    return found


def _pieces(
    ids: Sequence[int], labels: Sequence[int], decode: Callable[[Sequence[int]], str]
) -> Iterator[tuple[str, bool]]:
    start = 0
    for at in range(1, len(ids) + 1):
        if at == len(ids) or (labels[at] != MASKED) != (labels[start] != MASKED):
            yield decode(ids[start:at]), labels[start] != MASKED
            start = at


def _named(rows: Sequence[int], count: int) -> str:
    """Row numbers in a sentence: `rows 3, 17 and 4 more`."""
    listed = ", ".join(map(str, rows))
    rest = f" and {count - len(rows):,} more" if count > len(rows) else ""
    return f"row{'s' * (count > 1)} {listed}{rest}"


def unreadable_rows(path: str, places: Sequence[str], fatal: bool) -> Finding:
    """The finding on rows that cannot be read, or are no conversation to train on.

    Args:
        path: The dataset's name.
        places: For each row its place and what is wrong with it.
        fatal: Whether the host cannot prepare the dataset because of them.
    """
    listed = "; ".join(places[:NAMED])
    rest = f"; and {len(places) - NAMED:,} more" if len(places) > NAMED else ""
    count = f"{len(places):,} row{'s' * (len(places) != 1)}"
    return Finding(
        Weight.WRONG if fatal else Weight.AGAINST,
        path,
        None,
        f"{count} cannot be used: {listed}{rest}"
        if fatal
        else f"{count} have no answer at the end: {listed}{rest}",
        "Axolotl ends while it prepares the data"
        if fatal
        else "their last turn trains nothing",
        "Correct them, or use sftguide.mix with on_error: skip",
        id="data-unreadable" if fatal else "data-odd-rows",
    )


def empty_file(path: str) -> Finding:
    """The finding on a file of a dataset without a byte."""
    return Finding(
        Weight.WRONG,
        path,
        None,
        f"{path} is empty",
        "Axolotl ends while it prepares the data",
        "Name the file with the rows",
        id="data-unreadable",
    )


def data_findings(found: Examined) -> Iterator[Finding]:
    """Findings on a dataset, from its counts."""
    rows = max(1, found.rows)
    if found.stale is not None:
        yield Finding(
            Weight.WRONG,
            found.path,
            None,
            "The data changed after Axolotl prepared them",
            "training uses the old rows",
            f"Delete {found.stale}, or run axolotl preprocess again",
            id="data-stale",
        )
    if found.masked_rows:
        most = found.masked_rows > rows / 2
        yield Finding(
            Weight.WRONG if most else Weight.AGAINST,
            found.path,
            None,
            f"{found.masked_rows:,} of {found.rows:,} rows have no trained token "
            f"({_named(found.first_masked, found.masked_rows)})",
            "the model learns nothing from them",
            "Check roles_to_train, field_messages and the sample row",
            id="data-untrained",
        )
    if found.unended > rows / 2:
        yield Finding(
            Weight.AGAINST,
            found.path,
            None,
            f"In {found.unended:,} of {found.rows:,} rows the end of the turn is not "
            "trained",
            "the model does not learn to stop",
            "Set eot_tokens: a list with the token that ends a turn in the template",
            id="data-unended",
        )
    for mark, count in sorted(found.broken_marks.items()):
        yield Finding(
            Weight.AGAINST,
            found.path,
            mark,
            f"{mark} is ordinary text to this tokenizer ({count} times in the sample)",
            "the model sees several tokens instead of a special one",
            "Use the model's own chat_template, or add it to special_tokens",
            id="data-plain-marks",
        )
    if found.system_unwritten > found.with_system / 2:
        yield Finding(
            Weight.AGAINST,
            found.path,
            None,
            f"The chat template leaves out the system message, in "
            f"{found.system_unwritten} of {found.with_system} rows that have one",
            "the model is trained without it",
            "Set a chat_template that writes it, or put it into the first user message",
            id="data-system-unwritten",
        )
    if found.doubled_starts:
        yield Finding(
            Weight.AGAINST,
            found.path,
            None,
            f"{found.doubled_starts:,} rows start with the BOS token twice",
            "they differ from the prompts that the model gets at inference",
            "Both chat template and tokenizer add it: remove it from one of them",
            id="data-double-start",
        )
    if found.long_rows > rows / 100:
        yield Finding(
            Weight.AGAINST,
            found.path,
            None,
            f"{found.long_rows:,} of {found.rows:,} rows are longer than sequence_len "
            f"({_named(found.first_long, found.long_rows)})",
            f"they are lost, with {found.long_tokens:,} of {found.trained:,} trained "
            "tokens",
            "Raise sequence_len, or set excess_length_strategy: truncate",
            id="data-too-long",
        )
    if found.duplicates > rows / 100:
        yield Finding(
            Weight.NOTE,
            found.path,
            None,
            f"{found.duplicates:,} of {found.rows:,} rows repeat an earlier row",
            "the model sees them more than once per epoch",
            "Use sftguide.mix, which removes duplicates",
            id="data-repeated",
        )


def with_unprepared(findings: list[Finding], error: str) -> list[Finding]:
    """The findings, and one if Axolotl cannot start a run on the data.

    Args:
        findings: The other findings; one on rows that are not trained explains it.
        error: What Axolotl says.
    """
    if any(f.id in ("data-untrained", "data-too-long") for f in findings):
        return findings
    small = "too small for sample_packing" in error
    found = Finding(
        Weight.WRONG,
        "eval_sample_packing" if small else "datasets",
        None,
        "The rows for evaluation do not fill one packed row"
        if small
        else f"Axolotl cannot prepare the data: {error[:200]}",
        "the run ends in an error after the data are prepared",
        "Set eval_sample_packing: false" if small else "Correct the data",
        id="data-unprepared",
    )
    return sorted([found, *findings], key=lambda f: (f.weight, f.cost))
