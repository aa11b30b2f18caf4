"""The longest rows come in the first two steps, and each row once a pass."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import Forked
from hosts import Outcome
from tiny import uneven_rows, write_rows
from transformers import AutoTokenizer
from two_ranks import PLUGINS, train_on_two_ranks


def datasets(folder: Path) -> list[dict[str, Any]]:
    path = write_rows(folder / "rows.jsonl", uneven_rows(48))
    return [{"path": str(path), "ds_type": "json", "type": "chat_template"}]


def whole(rows: list[list[int]]) -> Counter[tuple[int, ...]]:
    return Counter(map(tuple, rows))


def test_they_do_and_all_others_follow_once(
    train_axolotl: Callable[..., Outcome], tmp_path: Path
) -> None:
    overrides: dict[str, Any] = {
        "datasets": datasets(tmp_path),
        "dataset_prepared_path": str(tmp_path / "prepared"),
        "witness": True,
        "max_steps": 24,
    }
    stock = train_axolotl(output_dir=str(tmp_path / "a"), **overrides)
    first = train_axolotl(
        output_dir=str(tmp_path / "b"), sftguide={"longest_first": True}, **overrides
    )
    lengths = [len(row) for row in first.witness.rows]
    assert len(lengths) == 96
    longest = sorted((len(row) for row in stock.witness.rows[:48]), reverse=True)
    for start in (0, 48):  # in both passes
        assert lengths[start : start + 8] == longest[:8]
        one_pass = first.witness.rows[start : start + 48]
        assert whole(one_pass) == whole(stock.witness.rows[:48])
    assert first.witness.rows[8:48] != first.witness.rows[56:]


def test_packed_rows_keep_their_order_with_a_warning(
    train_axolotl: Callable[..., Outcome],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_axolotl(
        datasets=datasets(tmp_path),
        dataset_prepared_path=str(tmp_path / "prepared"),
        sample_packing=True,
        sequence_len=128,
        max_steps=2,
        sftguide={"longest_first": True},
    )
    said = capsys.readouterr().out
    assert "longest_first has no effect: packed rows all have the same length" in said


def test_two_ranks_share_one_order(
    forked: Forked, axolotl_config: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    config = axolotl_config(
        datasets=datasets(tmp_path),
        dataset_prepared_path=str(tmp_path / "prepared"),
        sftguide={"longest_first": True},
        plugins=PLUGINS,
        max_steps=6,
    )
    one, two = (rank["rows"] for rank in train_on_two_ranks(forked, config, tmp_path))
    assert len(one) == len(two) == 24
    every = [json.loads(line) for line in (tmp_path / "rows.jsonl").open()]
    tokenizer = AutoTokenizer.from_pretrained(config["base_model"])
    assert whole([*one, *two]) == whole(
        [
            tokenizer.apply_chat_template(row["messages"], return_dict=False)
            for row in every
        ]
    )
    # Two steps of 2 x 2 x 2 rows: what is longest, on both ranks together.
    lengths = sorted((len(row) for row in [*one, *two]), reverse=True)
    first = sorted((len(row) for row in [*one[:8], *two[:8]]), reverse=True)
    assert first == lengths[:16]


def test_an_order_is_the_same_for_the_same_seed_and_pass() -> None:
    from axolotl_sftguide.hosts.axolotl.longest_first import LongestFirst

    lengths = [3, 9, 1, 9, 4, 2]
    order = LongestFirst(lengths, 2, seed=1)
    assert list(order)[:2] == [1, 3]
    assert sorted(order) == list(range(6))
    assert list(order) == list(LongestFirst(lengths, 2, seed=1))
    assert list(LongestFirst(lengths, 2, seed=None)) == [1, 3, 0, 2, 4, 5]
    assert list(LongestFirst(lengths, 99, seed=1)) == [1, 3, 4, 0, 5, 2]
    assert len(order) == 6
