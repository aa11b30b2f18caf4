"""What tells one training's data from another's."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from datasets import Dataset, Features, IterableDataset, List, Value

from axolotl_sftguide.monitor import identity
from axolotl_sftguide.monitor.identity import data_identity

ROWS = {"input_ids": [[1, 2], [3], [4, 5, 6]], "labels": [[-100, 2], [3], [4, 5, 6]]}


def digest(**columns: Any) -> Any:
    return data_identity(Dataset.from_dict(columns))["digest"]


def test_the_order_of_the_rows_and_other_columns_do_not_matter() -> None:
    turned = {name: rows[::-1] for name, rows in ROWS.items()}
    assert digest(**ROWS) == digest(**turned) == digest(**ROWS, more=["a", "b", "c"])


def test_slices_and_shuffles_are_seen_as_what_they_are() -> None:
    whole = Dataset.from_dict(ROWS)
    assert data_identity(whole.shuffle(seed=3)) == data_identity(whole)
    assert data_identity(whole.select([0, 1, 2])) == data_identity(whole)
    two = {name: rows[1:] for name, rows in ROWS.items()}
    assert data_identity(whole.select([1, 2]))["digest"] == digest(**two)


@pytest.mark.parametrize(
    "other",
    [
        {"input_ids": [[1, 2], [3], [4, 5, 7]], "labels": ROWS["labels"]},
        {"input_ids": ROWS["input_ids"], "labels": ROWS["input_ids"]},
        {"input_ids": [[1], [2, 3], [4, 5, 6]], "labels": ROWS["labels"]},
        {name: [*rows, rows[0]] for name, rows in ROWS.items()},
    ],
)
def test_another_token_label_row_or_division_does(other: Any) -> None:
    assert digest(**ROWS) != digest(**other)


@pytest.mark.parametrize(
    "column",
    [[], [1, 2], [[[1], [2]]], [["a"]], ["text"]],
    ids=["no rows", "numbers", "nested", "lists of text", "text"],
)
def test_data_of_another_shape_have_no_digest_and_raise_nothing(column: Any) -> None:
    found = data_identity(Dataset.from_dict({"input_ids": column}))
    assert found == {"rows": len(column), "digest": None}


@pytest.mark.parametrize("rows", [3, 2500])
def test_lists_of_one_fixed_length_are_read_like_others(rows: int) -> None:
    ids = [[i, i + 1] for i in range(rows)]
    fixed = Dataset.from_dict(
        {"input_ids": ids},
        features=Features({"input_ids": List(Value("int64"), length=2)}),
    )
    assert data_identity(fixed)["digest"] == digest(input_ids=ids)
    assert data_identity(fixed.select(range(1, rows)))["digest"] == digest(
        input_ids=ids[1:]
    )


def test_large_data_are_told_apart_by_their_rows_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identity, "_MOST_ROWS_DIGESTED", 2000)
    monkeypatch.setattr(identity, "_MOST_ROWS_SAMPLED", 2000)
    one, other = ([[i % 7, i] for i in range(k, 9000 + k)] for k in (0, 1))
    assert digest(input_ids=one) == digest(input_ids=one) != digest(input_ids=other)


def test_a_stream_has_neither_rows_nor_digest() -> None:
    stream = IterableDataset.from_generator(lambda: iter([{"input_ids": [1]}]))
    assert data_identity(stream) == {"rows": None, "digest": None}
    assert data_identity(None) == {"rows": None, "digest": None}


class TestLargeData:
    """Rows of many lengths, beyond the number of rows that are all read."""

    @pytest.fixture(autouse=True)
    def small_limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(identity, "_MOST_ROWS_DIGESTED", 2000)
        monkeypatch.setattr(identity, "_MOST_ROWS_SAMPLED", 2000, raising=False)
        monkeypatch.setattr(identity, "_BLOCK_ROWS", 100)

    def rows(self, number: int = 6000) -> Dataset:
        ids = [[i] * (1 + i % 50) for i in range(number)]
        return Dataset.from_dict({"input_ids": ids})

    def test_are_the_same_in_another_order_and_in_another_process(self) -> None:
        whole = self.rows()
        found = data_identity(whole)
        assert data_identity(whole.shuffle(seed=3)) == found
        assert data_identity(whole.shuffle(seed=3).flatten_indices()) == found
        assert found["rows"] == 6000
        code = (
            "from datasets import Dataset\n"
            "from axolotl_sftguide.monitor import identity\n"
            "identity._MOST_ROWS_DIGESTED = identity._MOST_ROWS_SAMPLED = 2000\n"
            "ids = [[i] * (1 + i % 50) for i in reversed(range(6000))]\n"
            "data = Dataset.from_dict({'input_ids': ids})\n"
            "print(identity.data_identity(data)['digest'])\n"
        )
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == found["digest"]

    def test_a_part_is_not_the_whole(self) -> None:
        whole = self.rows(6100)
        parts = [whole.select(range(k, 6000 + k)) for k in (0, 50, 77)]
        found = [data_identity(part)["digest"] for part in parts]
        assert len(set(found)) == 3

    def test_one_longer_row_is_seen(self) -> None:
        ids = self.rows()["input_ids"][:]
        before = digest(input_ids=ids)
        ids[17] = [*ids[17], 1]
        assert digest(input_ids=ids) != before

    def test_other_tokens_of_the_same_lengths_are_seen(self) -> None:
        ids = self.rows()["input_ids"][:]
        assert digest(input_ids=ids) != digest(
            input_ids=[[i + 1 for i in row] for row in ids]
        )

    def test_rows_of_one_length_are_told_apart(self) -> None:
        one, other = ([[i, k] for i in range(6000)] for k in (0, 1))
        assert digest(input_ids=one) == digest(input_ids=one) != digest(input_ids=other)
