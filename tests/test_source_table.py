"""Tokens are recognised in batches as hosts make them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from axolotl_sftguide.monitor.source_table import CodedRows, SourceTable

NAMES = ["maths", "chat", "code"]
PADDING = 0


def coded(samples: list[tuple[list[int], int]]) -> CodedRows:
    return CodedRows(
        ids=np.array([token for ids, _ in samples for token in ids]),
        sources=np.array([source for ids, source in samples for _ in ids]),
        lengths=np.array([len(ids) for ids, _ in samples]),
    )


@pytest.fixture
def samples() -> list[tuple[list[int], int]]:
    """Samples of one to twenty tokens; each starts with a number of its own."""
    draw = random.Random(0)
    return [
        ([1_000 + i, *draw.choices(range(1, 50), k=draw.randint(0, 19))], i % 3)
        for i in range(300)
    ]


def in_batches(rows: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@pytest.fixture
def table(samples: list[tuple[list[int], int]]) -> SourceTable:
    return SourceTable(NAMES, map(coded, in_batches(samples, 70)))


@pytest.mark.parametrize("left", [False, True])
def test_padded_rows(
    table: SourceTable, samples: list[tuple[list[int], int]], left: bool
) -> None:
    for batch in in_batches(samples, 8):
        width = max(len(ids) for ids, _ in batch)
        rows = {"ids": [], "mask": [], "expected": []}  # type: ignore[var-annotated]
        for ids, source in batch:
            gap = width - len(ids)
            for name, own, padding in (
                ("ids", ids, PADDING),
                ("mask", [1] * len(ids), 0),
                ("expected", [source] * len(ids), table.unknown),
            ):
                filled = [padding] * gap
                rows[name].append([*filled, *own] if left else [*own, *filled])
        found = table.sources_of(
            {
                "input_ids": torch.tensor(rows["ids"]),
                "attention_mask": torch.tensor(rows["mask"]),
            }
        )
        assert found.tolist() == rows["expected"]


@pytest.mark.parametrize("shows", ["position_ids", "attention_mask"])
def test_packed_rows(
    table: SourceTable, samples: list[tuple[list[int], int]], shows: str
) -> None:
    row = samples[:40]
    inputs = {"input_ids": torch.tensor([[t for ids, _ in row for t in ids]])}
    if shows == "position_ids":
        numbers = [i for ids, _ in row for i in range(len(ids))]
    else:
        numbers = [i for i, (ids, _) in enumerate(row, start=1) for _ in ids]
    inputs[shows] = torch.tensor([numbers])
    expected = [source for ids, source in row for _ in ids]
    assert table.sources_of(inputs).tolist() == [expected]


def test_a_sample_of_two_sources_has_none_and_the_others_keep_theirs() -> None:
    rows = coded([([5, 6, 7], 0), ([8, 9], 1), ([5, 6, 7], 1), ([8, 9], 1)])
    table = SourceTable(NAMES, [rows])
    assert (table.samples, table.shared) == (2, 1)
    found = table.sources_of({"input_ids": torch.tensor([[5, 6, 7]])})
    assert found.tolist() == [[table.unknown] * 3]
    assert table.sources_of({"input_ids": torch.tensor([[8, 9]])}).tolist() == [[1, 1]]


def test_one_sample_may_have_tokens_of_several_sources() -> None:
    rows = CodedRows(
        np.array([5, 6, 7, 8, 9]), np.array([0, 0, 2, 1, 1]), np.array([3, 2])
    )
    table = SourceTable(NAMES, [rows])
    found = table.sources_of({"input_ids": torch.tensor([[5, 6, 7]])})
    assert found.tolist() == [[0, 0, 2]]


@pytest.mark.parametrize("ids", [[5, 7, 6], [5, 6], [5, 6, 7, 0], [9, 9, 9]])
def test_other_tokens_are_of_no_source(ids: list[int]) -> None:
    table = SourceTable(NAMES, [coded([([5, 6, 7], 0)])])
    found = table.sources_of({"input_ids": torch.tensor([ids])})
    assert found.tolist() == [[table.unknown] * len(ids)]


def test_no_samples_at_all() -> None:
    table = SourceTable([], [])
    assert table.sources_of({"input_ids": torch.tensor([[5]])}).tolist() == [[0]]
