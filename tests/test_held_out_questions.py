"""Held-out questions, as they are read from a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.monitor.scoring import load_questions


def test_a_text_may_hold_what_unicode_takes_for_the_end_of_a_line(
    tmp_path: Path,
) -> None:
    turns = [
        {"role": "user", "content": "one\u2028two\x85three"},
        {"role": "assistant", "content": "4\u2029"},
    ]
    path = tmp_path / "q.jsonl"
    line = json.dumps({"messages": turns}, ensure_ascii=False)
    path.write_text(f"{line}\n{line}\n", encoding="utf-8")
    questions = load_questions(path)
    assert len(questions) == 2
    assert questions[0].answer == "4"


def test_a_row_without_an_answer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "x"}]}\n')
    with pytest.raises(SettingsError, match="1"):
        load_questions(path)
