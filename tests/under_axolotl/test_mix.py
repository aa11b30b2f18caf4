"""A mix inside `axolotl train`: no second command, and the order that was made."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from forked import Forked
from hosts import Outcome
from transformers import AutoTokenizer
from two_ranks import PLUGINS, train_on_two_ranks

from axolotl_sftguide.mixing import read_mix, verify


def write(path: Path, words: str, rows: int) -> dict[str, str]:
    with path.open("w") as file:
        for i in range(rows):
            turns = [
                {"role": "user", "content": f"{words} {i}"},
                {"role": "assistant", "content": " ".join([words] * (i % 5 + 1))},
            ]
            file.write(json.dumps({"messages": turns}) + "\n")
    return {"path": str(path)}


@pytest.fixture
def phases(tmp_path: Path) -> list[dict[str, Any]]:
    """Two of them; the second replays a part of the first."""
    one = write(tmp_path / "one.jsonl", "valley", 40)
    two = write(tmp_path / "two.jsonl", "river", 20)
    replayed = (tmp_path / "one.jsonl").read_text().splitlines(keepends=True)[:8]
    with (tmp_path / "two.jsonl").open("a") as file:
        file.writelines(replayed)
    return [{"name": "one", "datasets": [one]}, {"name": "two", "datasets": [two]}]


def mixed_file(outcome: Outcome) -> Path:
    return Path(outcome.trainer.axolotl_cfg.datasets[0]["path"])


def batches(outcome: Outcome) -> Iterator[list[int]]:
    """What the trainer hands to the model, row by row, without padding."""
    for batch in outcome.trainer.get_train_dataloader():
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
            yield ids[mask.bool()].tolist()


@pytest.mark.parametrize("strategy", ["stacked", "phased"])
def test_it_trains_on_the_rows_of_the_mix_in_their_order(
    train_axolotl: Callable[..., Outcome],
    phases: list[dict[str, Any]],
    tmp_path: Path,
    strategy: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    block = {"mix": {"phases": phases, "strategy": strategy}}
    prepared = str(tmp_path / "prepared")
    outcome = train_axolotl(
        datasets=None, sftguide=block, dataset_prepared_path=prepared
    )
    assert outcome.run.status == "finished"
    path = mixed_file(outcome)
    assert path.parent.parent == tmp_path / "prepared" / "mixes"
    assert verify(path.parent) == []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 60  # the replayed ones once
    tokenizer = outcome.trainer.processing_class
    wanted = [
        tokenizer.apply_chat_template(row["messages"], return_dict=False)
        for row in rows
    ]
    seen = list(batches(outcome))
    assert seen == wanted[: len(seen)]
    assert len(seen) > 50
    said = capsys.readouterr().out
    assert f"sftguide: mixed 60 rows in {path.parent}" in said
    train_axolotl(datasets=None, sftguide=block, dataset_prepared_path=prepared)
    assert "reused a mix of 60 rows" in capsys.readouterr().out


def test_what_each_dataset_trains_on_survives(
    train_axolotl: Callable[..., Outcome], phases: list[dict[str, Any]], tmp_path: Path
) -> None:
    phases[0]["datasets"][0]["roles_to_train"] = ["user", "assistant"]
    for phase in phases:
        phase["datasets"][0]["train_on_eos"] = "none"
    outcome = train_axolotl(
        datasets=None,
        sftguide={"mix": {"phases": phases}},
        dataset_prepared_path=str(tmp_path / "prepared"),
    )
    assert outcome.trainer.axolotl_cfg.datasets[0]["train_on_eos"] == "none"
    tokenizer = outcome.trainer.processing_class
    asked = {"one": 0, "two": 0}
    rows = pq.read_table(mixed_file(outcome)).to_pylist()
    data = outcome.trainer.train_dataset
    for row, ids, labels in zip(rows, data["input_ids"], data["labels"], strict=True):
        trained = tokenizer.decode(
            [i for i, label in zip(ids, labels, strict=True) if label != -100]
        )
        assert row["messages"][1]["content"] in trained
        assert tokenizer.eos_token not in trained
        asked[row["phase"]] += row["messages"][0]["content"] in trained
    assert asked == {"one": 40, "two": 0}


def test_of_two_ranks_that_begin_together_one_builds(
    forked: Forked,
    axolotl_config: Callable[..., dict[str, Any]],
    phases: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    config = axolotl_config(
        datasets=None,
        sftguide={"mix": {"phases": phases}},
        plugins=PLUGINS,
        dataset_prepared_path=str(tmp_path / "prepared"),
        max_steps=5,
    )
    told = train_on_two_ranks(forked, config, tmp_path)
    one, two = (rank["mixes"] for rank in told)
    assert sorted(m["built"] for m in one + two) == [False, True]
    assert one[0]["folder"] == two[0]["folder"]
    mixes = tmp_path / "prepared" / "mixes"
    assert [p.name for p in mixes.glob("stacked-*")] == [Path(one[0]["folder"]).name]
    # Together they have seen the beginning of the file: each its part of each batch.
    path = Path(one[0]["folder"]) / "data.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(config["base_model"])
    wanted = [
        tokenizer.apply_chat_template(row["messages"], return_dict=False)
        for row in rows[:40]
    ]
    seen = [ids for rank in told for ids in rank["rows"]]
    assert sorted(seen) == sorted(wanted)


def test_held_out_rows_are_evaluated_on(
    train_axolotl: Callable[..., Outcome], phases: list[dict[str, Any]], tmp_path: Path
) -> None:
    outcome = train_axolotl(
        datasets=None,
        sftguide={"mix": {"phases": phases, "held_out": 0.1}},
        dataset_prepared_path=str(tmp_path / "prepared"),
        eval_strategy="steps",
        eval_steps=6,
    )
    assert len(outcome.trainer.eval_dataset) == 6
    assert outcome.run.scores[0].metric == "eval_loss"


def test_mixing_draws_nothing_from_the_hosts_generators(
    train_axolotl: Callable[..., Outcome],
    phases: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same weights whether the mix is made in this run or was there."""
    from axolotl_sftguide.hosts.axolotl import _mix

    states: list[Any] = []
    point_at = _mix.point_at

    def watched(*args: Any) -> None:
        before = random.getstate(), torch.get_rng_state().tolist()
        point_at(*args)
        states.append((before, (random.getstate(), torch.get_rng_state().tolist())))

    monkeypatch.setattr(_mix, "point_at", watched)
    weights = []
    for name in ("a", "b"):
        outcome = train_axolotl(
            datasets=None,
            sftguide={"mix": {"phases": phases}},
            dataset_prepared_path=str(tmp_path / "prepared"),
            output_dir=str(tmp_path / name),
        )
        weights.append(outcome.weights)
    assert all(before == after for before, after in states)
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_a_command_that_loads_no_data_by_plugins_takes_the_last_mix(
    train_axolotl: Callable[..., Outcome],
    axolotl_config: Callable[..., dict[str, Any]],
    phases: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    """As `axolotl evaluate` loads its data."""
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets

    block = {
        "datasets": None,
        "sftguide": {"mix": {"phases": phases, "held_out": 0.1}},
        "dataset_prepared_path": str(tmp_path / "prepared"),
    }
    path = tmp_path / "evaluate.yml"
    path.write_text(yaml.safe_dump(axolotl_config(**block)))
    with pytest.raises(ValueError, match="not built yet: run `axolotl preprocess`"):
        load_datasets(cfg=load_cfg(str(path)))
    train_axolotl(**block)
    meta = load_datasets(cfg=load_cfg(str(path)))
    assert len(meta.train_dataset) == 54
    assert len(meta.eval_dataset) == 6


def test_datasets_beside_a_mix_are_refused(
    train_axolotl: Callable[..., Outcome], phases: list[dict[str, Any]]
) -> None:
    with pytest.raises(SystemExit, match="replaces `datasets`, and both"):
        train_axolotl(sftguide={"mix": {"phases": phases}})


def test_a_row_that_cannot_be_used_ends_it_with_its_line(
    train_axolotl: Callable[..., Outcome], phases: list[dict[str, Any]], tmp_path: Path
) -> None:
    with (tmp_path / "two.jsonl").open("a") as file:
        file.write("{broken\n")
    with pytest.raises(SystemExit) as caught:
        train_axolotl(
            datasets=None,
            sftguide={"mix": {"phases": phases}},
            dataset_prepared_path=str(tmp_path / "prepared"),
        )
    lines = str(caught.value.code).splitlines()
    assert "two.jsonl: row 29: invalid JSON" in lines[0]
    assert all(line.startswith("sftguide: ") for line in lines)


def test_without_its_dependencies_it_names_the_extra_to_install(
    train_axolotl: Callable[..., Outcome],
    phases: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [n for n in sys.modules if n.startswith("axolotl_sftguide.mixing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(SystemExit, match=r"orjson.*pip install 'axolotl-sftguide\[mix"):
        train_axolotl(datasets=None, sftguide={"mix": {"phases": phases}})


def test_a_wrong_mix_is_refused_with_the_whole_path_of_its_key(
    train_axolotl: Callable[..., Outcome], phases: list[dict[str, Any]]
) -> None:
    phases[1]["datasets"][0]["repeat"] = 2
    with pytest.raises(SystemExit, match=r"sftguide\.mix\.phases\.1\.datasets\.0\.rep"):
        train_axolotl(datasets=None, sftguide={"mix": {"phases": phases}})


def test_a_config_with_a_mix_is_a_spec(
    axolotl_config: Callable[..., dict[str, Any]],
    phases: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.yml"
    config = axolotl_config(datasets=None, sftguide={"mix": {"phases": phases}})
    path.write_text(json.dumps(config))
    assert [phase.name for phase in read_mix(path).phases] == ["one", "two"]
