"""Axolotl finds prepared data whatever the order in which they were to be read."""

from __future__ import annotations

from typing import Any

import pytest

ONE, TWO = {"path": "one.jsonl"}, {"path": "two.jsonl"}


def hash_of(datasets: list[dict[str, str]], **config: Any) -> str:
    from axolotl.utils.data.shared import generate_dataset_hash_from_config
    from axolotl.utils.dict import DictDefault

    cfg = DictDefault({"sequence_len": 64, **config})
    entries = [DictDefault(entry) for entry in datasets]
    return str(generate_dataset_hash_from_config(cfg, entries, "tokenizer"))


@pytest.mark.parametrize(
    "config",
    [
        {"shuffle_merged_datasets": False},
        {"shuffle_before_merging_datasets": True},
        {"curriculum_sampling": True},
        {"seed": 7},
    ],
)
def test_the_hash_of_prepared_data_ignores_what_orders_them(
    config: dict[str, Any],
) -> None:
    # If this fails, a sweep need not keep the orders apart (sweep/_prepared.py).
    assert hash_of([ONE, TWO], **config) == hash_of([ONE, TWO])
    assert hash_of([ONE, TWO], **config) != hash_of([ONE, TWO], sequence_len=128)


def test_the_hash_of_prepared_data_ignores_the_order_of_the_data_sets() -> None:
    assert hash_of([ONE, TWO]) == hash_of([TWO, ONE]) != hash_of([ONE])
