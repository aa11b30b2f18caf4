"""`sftguide mix --preview`: rows as the model sees them, before anything is built."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from axolotl_sftguide.cli import main
from axolotl_sftguide.errors import MixError
from axolotl_sftguide.mixing import longer_than, preview
from axolotl_sftguide.mixing._lengths import lengths_of

ASK = {"role": "user", "content": "How tall is it?"}
SAY = {"role": "assistant", "content": "Ninety metres."}


def spec(tmp_path: Path, *rows: Any, **settings: Any) -> dict[str, Any]:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "a.jsonl").write_text(text)
    dataset = {"path": "a.jsonl", **settings}
    return {"phases": [{"name": "p", "datasets": [dataset]}]}


def marked(found: Any) -> list[str]:
    (source,) = found
    return [
        "".join(f"[[{text}]]" if trained else text for text, trained in row.segments)
        for row in source.rows
    ]


def test_without_a_tokenizer_the_messages_are_shown_with_their_roles(
    tmp_path: Path,
) -> None:
    call = {"name": "f", "arguments": {"a": 1}}
    rows = [
        {"messages": [ASK, {**SAY, "train": False}, ASK, SAY]},
        {"messages": [ASK, {**SAY, "reasoning": "hm", "tool_calls": [call]}]},
    ]
    assert marked(preview(spec(tmp_path, *rows), base=tmp_path)) == [
        "user: How tall is it?\nassistant: Ninety metres.\n"
        "user: How tall is it?\nassistant: [[Ninety metres.]]\n",
        "user: How tall is it?\nassistant: [[(hm) ]][[Ninety metres.]]"
        '[[ f({"a": 1})]]\n',
    ]


def test_with_a_tokenizer_its_template_is_applied_and_its_tokens_are_counted(
    tmp_path: Path, base: Path
) -> None:
    own = spec(tmp_path, {"messages": [ASK, SAY]})
    found = preview(own, base=tmp_path, tokenizer=str(base))
    assert marked(found) == [
        "<s><|user|>How tall is it?<|assistant|>[[Ninety metres.</s>]]"
    ]
    tokens = found[0].rows[0].tokens
    assert tokens is not None
    assert tokens > 10


def test_rows_that_cannot_be_used_are_named_before_those_that_can(
    tmp_path: Path,
) -> None:
    rows = [{"messages": [ASK]}, {"messages": [ASK, SAY], "label": True}]
    own = spec(tmp_path, *rows, {"messages": [ASK, SAY]})
    (found,) = preview(own, base=tmp_path, rows=3)
    assert [row.row for row in found.rows] == [3]
    assert found.problems == [
        "a.jsonl: row 1: the last message is not from the assistant",
        "a.jsonl: row 2: text that no part of the conversation contains (label)",
    ]


def test_only_rows_that_where_keeps_are_shown(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": str(i), "level": i} for i in range(9)]
    own = spec(tmp_path, *rows, where={"level": 7})
    (found,) = preview(own, base=tmp_path)
    assert [row.row for row in found.rows] == [8]


def test_a_tokenizer_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MixError, match="tokenizer nothing: cannot be loaded"):
        preview(spec(tmp_path, {}), base=tmp_path, tokenizer="nothing")


def test_the_command_prints_it_and_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"messages": [ASK, SAY]}] * 5
    Path("spec.yml").write_text(json.dumps(spec(tmp_path, *rows)))
    words = ["mix", "spec.yml", "--preview", "--preview-rows", "3"]
    done: Any = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert done.output.count("assistant: [[Ninety metres.]]") == 3
    assert "a.jsonl, row 3: messages" in done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "spec.yml"]


class TestLengths:
    @pytest.mark.parametrize("seed", range(5))
    def test_are_those_of_all_rows(self, seed: int) -> None:
        draw = random.Random(seed)
        tokens = [int(draw.lognormvariate(5, 1.5)) + 1 for _ in range(997)]
        found = lengths_of(tokens)
        assert found is not None
        ordered = sorted(tokens)
        assert (found["rows"], found["longest"]) == (997, ordered[-1])
        assert (found["median"], found["p90"]) == (ordered[498], ordered[897])
        assert sum(found["up_to"].values()) == 997
        for limit in (64, 96, 256, 1536, 2048, 10**7):
            longer = sum(length > limit for length in tokens)
            assert longer_than(found, limit) == (longer, True)
        at_most, exact = longer_than(found, 200)
        assert at_most >= sum(length > 200 for length in tokens)
        assert not exact

    def test_of_no_rows_are_none(self) -> None:
        assert lengths_of([]) is None

    def test_of_a_mix_stand_beside_sequence_len(
        self, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        long = {"role": "assistant", "content": "It is very tall. " * 40}
        rows = [{"messages": [ASK, SAY]}, {"messages": [ASK, long]}]
        own = spec(tmp_path, *rows)
        own["tokenizer"] = str(base)
        config = {"sequence_len": 96, "sftguide": {"mix": own}}
        Path("config.yml").write_text(json.dumps(config))
        for words in ([], ["--preview"]):
            done = CliRunner().invoke(main, ["mix", "config.yml", *words])
            assert done.exit_code == 0, done.output
            assert "1 row (50.0%) longer than sequence_len 96" in done.output
        done = CliRunner().invoke(
            main, ["mix", "config.yml", "--preview", "--sequence-len", "1536"]
        )
        assert "0 rows longer than sequence_len 1,536" in done.output
