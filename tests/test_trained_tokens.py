"""Which tokens of rows are trained, from their ids and labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axolotl_sftguide.advice import Examined, Weight, data_findings, examine

WORDS = {0: "<s>", 1: "</s>", 2: "<|user|>", 3: "<|assistant|>", 4: "ask", 5: "say"}
GOOD = ([0, 2, 4, 3, 5, 1], [-100, -100, -100, -100, 5, 1])


def look(*rows: tuple[Sequence[int], Sequence[int]], **changed: Any) -> Examined:
    settings: dict[str, Any] = {
        "sequence_len": 8,
        "ends": {1},
        "start": 0,
        "decode": lambda ids: "".join(WORDS[i] for i in ids),
        "is_one_token": lambda mark: mark in WORDS.values(),
        **changed,
    }
    return examine("d", rows, **settings)


def texts(found: Examined) -> list[str]:
    return [f.text for f in data_findings(found)]


def test_a_good_row_is_counted_and_shown_in_stretches() -> None:
    found = look(GOOD)
    assert (found.rows, found.tokens, found.trained) == (1, 6, 2)
    assert found.sample == [("<s><|user|>ask<|assistant|>", False), ("say</s>", True)]
    assert texts(found) == []


def test_rows_that_train_nothing_are_found_however_good_the_loss_would_look() -> None:
    nothing = (GOOD[0], [-100] * 6)
    finding, *_ = data_findings(look(*[nothing] * 3))
    assert finding.weight == Weight.WRONG
    assert finding.problem == "3 of 3 rows have no trained token (rows 1, 2, 3)"
    others = [([0, 2, 4, 3, 5 - i % 2, 1], GOOD[1]) for i in range(2)]
    first = next(data_findings(look(nothing, *others)))
    assert first.weight == Weight.AGAINST


def test_an_end_that_is_not_trained_is_found() -> None:
    unended = (GOOD[0], [-100, -100, -100, -100, 5, -100])
    (told,) = texts(look(unended))
    assert "the end of the turn is not trained" in told
    assert not texts(look(([*GOOD[0], 4], [*GOOD[1], -100])))  # what follows it is free


def test_rows_that_are_too_long_are_counted_with_their_trained_tokens() -> None:
    found = look(GOOD, ([0, 4, 4, 4, 4, 4, 4, 5, 1], [-100] * 7 + [5, 1]))
    (told,) = texts(found)
    assert "1 of 2 rows are longer than sequence_len (row 2), so they are lost" in told
    assert "with 2 of 4 trained tokens" in told


def test_a_mark_that_is_ordinary_text_is_found() -> None:
    found = look(GOOD, is_one_token=lambda mark: mark == "<|user|>")
    assert found.broken_marks == {"<|assistant|>": 1}
    (told,) = texts(found)
    assert "is ordinary text to this tokenizer (1 times in the sample)" in told


def test_a_doubled_beginning_is_found() -> None:
    found = look(([0, 0, 4, 5, 1], [-100, -100, -100, 5, 1]))
    (told,) = texts(found)
    assert "1 rows start with the BOS token twice" in told
    assert not texts(look(([0, 0, 4, 5, 1], [-100] * 3 + [5, 1]), start=None))


def test_duplicate_rows_are_found() -> None:
    (told,) = texts(look(GOOD, GOOD))
    assert "1 of 2 rows repeat an earlier row" in told


def test_no_rows_are_no_fault_of_the_counting() -> None:
    assert texts(look()) == []
