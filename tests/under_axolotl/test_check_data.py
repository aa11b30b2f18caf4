"""`sftguide check --data` on real prepared data: which tokens are trained."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hosts import prepare_in_this_process
from tiny import uneven_rows, write_rows

from axolotl_sftguide.cli import main


@pytest.fixture
def check(
    axolotl_config: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """The data's part of the JSON, with the findings on them."""
    prepare_in_this_process()

    def run(
        rows: Path, *, entry: dict[str, Any] | None = None, **overrides: Any
    ) -> Any:
        dataset = {"path": str(rows), "ds_type": "json", "type": "chat_template"}
        config = axolotl_config(datasets=[dataset | (entry or {})], **overrides)
        path = tmp_path / "mine.yml"
        path.write_text(yaml.safe_dump(config))
        done = CliRunner().invoke(main, ["check", str(path), "--data", "--json"])
        assert done.exit_code == 0, done.output
        answer = json.loads(done.stdout)
        texts = [f["says"] for f in answer["findings"] if f["path"] == str(rows)]
        return {"texts": texts, **answer["data"][0]}

    return run


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", uneven_rows(40))


def test_the_answers_and_their_ends_are_trained(
    check: Callable[..., Any], rows: Path
) -> None:
    found = check(rows)
    assert found["rows"] == 40
    assert 0 < found["trained"] < found["tokens"]
    assert found["unended"] == found["masked_rows"] == 0
    trained = [text for text, is_trained in found["sample"] if is_trained]
    said = json.loads(rows.read_text().splitlines()[0])["messages"][1]["content"]
    assert "".join(trained[0].split()).startswith("".join(said.split()))


def test_a_loss_that_looks_fine_on_a_model_that_learns_nothing_is_caught(
    check: Callable[..., Any], rows: Path
) -> None:
    found = check(rows, entry={"roles_to_train": ["system"]})
    assert found["masked_rows"] == 40
    assert any("40 of 40 rows have no trained token" in x for x in found["texts"])


def test_an_end_that_is_not_trained_is_caught(
    check: Callable[..., Any], rows: Path
) -> None:
    found = check(rows, entry={"train_on_eos": "none"})
    assert any("the end of the turn is not trained" in line for line in found["texts"])


def test_a_template_of_another_model_is_caught(
    check: Callable[..., Any], rows: Path
) -> None:
    found = check(rows, chat_template="chatml", entry={"chat_template": "chatml"})
    assert any("is ordinary text to this tokenizer" in line for line in found["texts"])


def test_rows_lost_to_the_sequence_length_are_counted_before_they_are_dropped(
    check: Callable[..., Any], rows: Path
) -> None:
    found = check(rows, sequence_len=16)
    assert found["rows"] == 40
    assert found["long_rows"] > 5
    assert any("are longer than sequence_len" in line for line in found["texts"])


@pytest.mark.slow
def test_data_that_changed_after_they_were_prepared_are_found(
    check: Callable[..., Any],
    rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from axolotl.cli.preprocess import do_cli

    assert not any("changed after" in line for line in check(rows)["texts"])
    with monkeypatch.context() as process:
        process.setattr("sys.argv", ["axolotl"])
        process.setenv("AXOLOTL_IS_PREPROCESS", "1")  # it sets this and leaves it
        do_cli(config=str(tmp_path / "mine.yml"))  # as `axolotl preprocess`
    assert not any("changed after" in line for line in check(rows)["texts"])
    time.sleep(0.02)  # a file system's clock may tick slower than ours
    write_rows(rows, uneven_rows(30))
    found = check(rows)
    assert any("training uses the old rows" in line for line in found["texts"])
    assert Path(found["stale"]).is_dir()


@pytest.mark.parametrize(
    ("template", "lost"), [("mistral_v2v3", 40), ("mistral_v1", 0)]
)
def test_system_messages_that_the_template_leaves_out_are_found(
    template: str, lost: int, check: Callable[..., Any], tmp_path: Path
) -> None:
    lines = uneven_rows(50)
    for row in lines[:40]:
        row["messages"].insert(0, {"role": "system", "content": "red moon"})
    path = write_rows(tmp_path / "system.jsonl", lines)
    found = check(path, chat_template=template, entry={"chat_template": template})
    assert (found["with_system"], found["system_unwritten"]) == (40, lost)
    said = [line for line in found["texts"] if "leaves out the system message" in line]
    assert len(said) == bool(lost)
    assert not lost or "in 40 of 40 rows that have one" in said[0]


def test_duplicate_rows_are_counted(check: Callable[..., Any], tmp_path: Path) -> None:
    lines = uneven_rows(10)
    found = check(write_rows(tmp_path / "twice.jsonl", lines * 2))
    assert found["duplicates"] >= 10


def test_data_that_cannot_be_prepared_are_one_line(
    axolotl_config: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "mine.yml"
    dataset = {"path": str(tmp_path / "gone.jsonl"), "type": "chat_template"}
    path.write_text(yaml.safe_dump(axolotl_config(datasets=[dataset])))
    done = CliRunner().invoke(main, ["check", str(path), "--data"])
    assert done.exit_code == 2
    assert f"Error: {path}: Axolotl cannot prepare the data (" in done.output
    assert "Traceback" not in done.output


def test_a_plan_counts_rows_and_tokens_itself(
    axolotl_config: Callable[..., dict[str, Any]], rows: Path, tmp_path: Path
) -> None:
    dataset = {"path": str(rows), "ds_type": "json", "type": "chat_template"}
    config = axolotl_config(
        datasets=[dataset],
        sample_packing=True,
        sftguide={"effective_batch_size": 16},
        gradient_accumulation_steps=1,
        max_steps=None,
        num_epochs=2,
    )
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump(config))
    done = CliRunner().invoke(main, ["plan", str(path), "--data", "--json"])
    assert done.exit_code == 0, done.output
    batch = json.loads(done.stdout)["batch"]
    assert batch["samples"] == pytest.approx(16, rel=0.5)
    assert batch["steps_an_epoch"] == pytest.approx(40 / batch["samples"], abs=1)
    assert batch["steps"] == 2 * batch["steps_an_epoch"]
