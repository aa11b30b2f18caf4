"""`check --data` names the rows that cannot be used, before Axolotl is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from finding_cases import patched

from axolotl_sftguide.cli import main
from axolotl_sftguide.mixing import faulty_rows

GOOD = {
    "messages": [
        {"role": "user", "content": "Name a river."},
        {"role": "assistant", "content": "The Elbe."},
    ]
}


def chats(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "chats.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"messages": [', "chats.jsonl:2: invalid JSON"),
        ([1, 2], "chats.jsonl:2: the row is not a JSON object"),
        (
            {"id": "m1", "messages": []},
            "chats.jsonl:2 (id m1): the messages are not a list",
        ),
        ({"messages": ["hello"]}, "chats.jsonl:2: a message is not a JSON object"),
        ({"messages": [{"content": "x"}]}, "chats.jsonl:2: a message has no role"),
    ],
)
def test_a_row_that_ends_the_preparation_is_named(
    tmp_path: Path, line: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chats(tmp_path, GOOD, line, GOOD)
    entry = "datasets: [{path: chats.jsonl, ds_type: json, type: chat_template}]"
    config = tmp_path / "mine.yml"
    config.write_text(yaml.safe_dump(patched(entry)))
    done = CliRunner().invoke(main, ["check", "--data", "--json", str(config)])
    assert done.exit_code == 0, done.output
    (found,) = [
        f for f in json.loads(done.output)["findings"] if f["id"] == "data-unreadable"
    ]
    assert said in found["problem"]
    assert found["weight"] == "wrong"


@pytest.mark.parametrize("form", ["chat_template", "completion", "alpaca"])
def test_an_empty_file_is_named_before_axolotl_starts(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nothing.jsonl").write_bytes(b"")
    entry = f"datasets: [{{path: nothing.jsonl, ds_type: json, type: {form}}}]"
    config = tmp_path / "mine.yml"
    config.write_text(yaml.safe_dump(patched(entry)))
    done = CliRunner().invoke(main, ["check", "--data", "--json", str(config)])
    assert done.exit_code == 0, done.output
    (found,) = [
        f for f in json.loads(done.output)["findings"] if f["id"] == "data-unreadable"
    ]
    assert (found["path"], found["problem"]) == (
        "nothing.jsonl",
        "nothing.jsonl is empty",
    )
    assert found["weight"] == "wrong"


def test_good_rows_and_other_forms_are_not_accused(tmp_path: Path) -> None:
    path = chats(tmp_path, GOOD, {"text": "a river"})
    turns = {"conversations": [{"from": "human", "value": "a"}]}
    turns["conversations"].append({"from": "gpt", "value": "b"})
    shared = tmp_path / "shared.jsonl"
    shared.write_text(json.dumps(turns) + "\n")
    entries: list[dict[str, Any]] = [
        {"path": str(path), "type": "completion"},
        {"path": str(path), "type": "alpaca"},
        {"path": "nobody/on-the-hub", "type": "chat_template"},
        {
            "path": str(shared),
            "type": "chat_template",
            "field_messages": "conversations",
            "message_property_mappings": {"role": "from", "content": "value"},
        },
    ]
    assert [list(faulty_rows(entry, tmp_path)) for entry in entries] == [[]] * 4


def test_five_rows_are_named_and_the_rest_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chats(tmp_path, *['{"messages": 1'] * 8)
    entry = "datasets: [{path: chats.jsonl, ds_type: json, type: chat_template}]"
    config = tmp_path / "mine.yml"
    config.write_text(yaml.safe_dump(patched(entry)))
    done = CliRunner().invoke(main, ["check", "--data", str(config)])
    assert "8 rows cannot be used" in done.output
    assert "and 3 more" in " ".join(done.output.split())
