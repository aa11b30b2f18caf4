"""Rows that are no conversation: what they are is said, and none is guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from axolotl_sftguide import mix
from axolotl_sftguide.config.mix_settings import SourceSettings
from axolotl_sftguide.errors import MixError
from axolotl_sftguide.mixing._faults import RowFault, UnreadText
from axolotl_sftguide.mixing._forms import RowReader

ASK = {"role": "user", "content": "How deep is it?"}
SAY = {"role": "assistant", "content": "Nine metres."}
PAIR = {"prompt": "How deep is it?", "completion": "Nine metres."}


def fault(row: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(RowFault) as caught:
        RowReader(SourceSettings(path="x", **settings)).read(row)
    return str(caught.value)


def refused(tmp_path: Path, name: str, content: str) -> str:
    (tmp_path / name).write_text(content)
    spec = {"phases": [{"name": "p", "datasets": [{"path": name}]}]}
    with pytest.raises(MixError) as caught:
        mix(spec, tmp_path / "mixes", base=tmp_path, workers=1)
    return str(caught.value)


@pytest.mark.parametrize("key", ["data", "rows", "conversations", "messages"])
@pytest.mark.parametrize("rows", [[PAIR, PAIR], [{"messages": [ASK, SAY]}]])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("first", [{}, {"version": "1", "info": {"by": "us"}}])
def test_an_object_that_holds_the_rows_is_told_by_its_key(
    tmp_path: Path, key: str, rows: Any, indent: int | None, first: dict[str, Any]
) -> None:
    text = refused(tmp_path, "a.json", json.dumps({**first, key: rows}, indent=indent))
    assert "object" in text
    assert f"`{key}`" in text or f"({key})" in text
    assert len(text.splitlines()) <= 2


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"conversations": [[ASK, SAY], [ASK, SAY]]}, "(conversations)"),
        ({"rows": [{"row_idx": 0, "row": PAIR, "truncated_cells": []}]}, "(rows)"),
        ({"7": PAIR, "8": PAIR, "9": PAIR}, "(7, 8, ...)"),
        ({"Shots": [PAIR], "Instances": [PAIR, PAIR]}, "(Instances)"),
    ],
)
def test_rows_inside_of_a_row_are_told(row: dict[str, Any], key: str) -> None:
    found = fault(row)
    assert found.startswith("the row is a JSON object that holds rows")
    assert found.endswith(key)


@pytest.mark.parametrize(
    "row",
    [
        ASK,
        {"from": "gpt", "value": "Nine metres."},
        {"message_id": "1", "role": "prompter", "text": "How deep?", "lang": "en"},
    ],
)
def test_a_message_in_the_place_of_a_row_is_told(row: dict[str, Any]) -> None:
    assert "the row is one message" in fault(row)


def test_turns_whose_roles_have_another_key_are_told_with_the_way_out() -> None:
    found = fault({"conversations": [{"speaker": "A", "text": "How deep?"}]})
    assert "no role" in found
    assert "speaker, text" in found
    assert "message_property_mappings" in found


@pytest.mark.parametrize(
    "row",
    [
        {"question": ["How deep?", "How wide?"], "answer": ["Nine.", "Two."]},
        {"question": "How deep?", "answer": ["9 m", "nine metres"]},
        {"instruction": "Wash it.", "output": ["Soak.", "Rinse."]},
        {"prompt": ["How deep?", "Nine.", "Sure?"], "completion": "Yes."},
    ],
)
def test_a_list_of_texts_is_neither_a_question_nor_an_answer(
    row: dict[str, Any],
) -> None:
    assert "the content of a message is not text" in fault(row)


class TestLabels:
    @pytest.mark.parametrize("name", ["label", "kto_tag", "Label"])
    @pytest.mark.parametrize("value", [True, False, "True", "false", 0, 1, "0", 1.0])
    def test_of_completions_are_not_dropped(self, name: str, value: Any) -> None:
        with pytest.raises(UnreadText) as caught:
            RowReader(SourceSettings(path="x")).read({**PAIR, name: value})
        assert caught.value.names == (name,)

    @pytest.mark.parametrize("value", [0, 1, "1", "positive", 0.5, None])
    def test_of_classes_are_metadata(self, value: Any) -> None:
        row = {"instruction": "Which one?", "output": "positive", "label": value}
        assert RowReader(SourceSettings(path="x")).read(row)
        chat = {"messages": [ASK, SAY], "label": value}
        assert RowReader(SourceSettings(path="x")).read(chat)

    def test_that_the_answer_says_are_no_fault(self) -> None:
        row = {"prompt": "Is it deep?", "completion": "true", "label": "true"}
        assert RowReader(SourceSettings(path="x")).read(row)


def test_a_question_for_tools_that_need_no_call_has_an_empty_answer() -> None:
    row = {"query": "How deep?", "tools": '[{"name": "f"}]', "answers": "[]"}
    assert fault(row).startswith("the answer is empty")
