"""Rows of every form as one conversation, or the reason why they are none."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from axolotl_sftguide.mixing import SourceSettings
from axolotl_sftguide.mixing._read import Piece
from axolotl_sftguide.mixing._rows import (
    FAULTS,
    FaultCode,
    RowFault,
    fingerprint,
    is_usual,
    passes,
)
from axolotl_sftguide.mixing._rows import conversation as read
from axolotl_sftguide.mixing._spool import spool


def says(role: str, content: Any = "x") -> dict[str, Any]:
    return {"role": role, "content": content}


def chat(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


ASKED = {"role": "user", "content": "2 + 2 =?"}
SAID = {"role": "assistant", "content": "4"}
PLAIN = [ASKED, SAID]


def turns(row: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    return conversation(row, **settings)["messages"]  # type: ignore[no-any-return]


def conversation(row: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """By the way that its settings take it, and by the long way: the same."""
    own = SourceSettings(path="x", **settings)
    long_way: Any
    try:
        long_way = read(row, own, usual=False)
    except RowFault as found:
        with pytest.raises(RowFault, match=re.escape(str(found))):
            read(row, own, usual=is_usual(own))
        raise
    assert read(row, own, usual=is_usual(own)) == long_way
    return long_way[1]  # type: ignore[no-any-return]


def test_only_settings_that_change_no_row_take_the_short_way() -> None:
    assert is_usual(SourceSettings(path="x", share=0.5, where={"a": 1}, max_rows=3))
    assert is_usual(
        SourceSettings(path="x", type="chat_template", split="train", max_tokens=9)
    )
    for changing in (
        {"field_messages": "chat"},
        {"type": "alpaca"},
        {"roles": {"user": ["Q"]}},
        {"field_tools": "functions"},
        {"roles_to_train": ["user"]},
        {"drop_system_message": True},
    ):
        assert not is_usual(SourceSettings(path="x", **changing))


def fault(row: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(RowFault) as caught:
        conversation(row, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        ({"messages": PLAIN}, {}),
        ({"messages": json.dumps(PLAIN)}, {}),
        ({"chat": PLAIN}, {"field_messages": "chat"}),
        (
            {
                "conversations": [
                    {"from": "human", "value": "2 + 2 =?"},
                    {"from": "gpt", "value": "4"},
                ]
            },
            {},
        ),
        ({"instruction": "2 + 2 =?", "input": "", "output": "4"}, {}),
        ({"prompt": "2 + 2 =?", "completion": "4"}, {}),
        ({"prompt": [ASKED], "completion": [SAID]}, {}),
        ({"question": "2 + 2 =?", "answer": "4"}, {}),
        (
            {"q": "2 + 2 =?", "a": "4"},
            {"field_instruction": "q", "field_output": "a"},
        ),
        (
            chat({"who": "user", "says": "2 + 2 =?"}, {"who": "A", "says": "4"}),
            {
                "message_property_mappings": {"role": "who", "content": "says"},
                "roles": {"assistant": ["A"]},
            },
        ),
        (
            chat(says("Q", "2 + 2 =?"), says("A", "4")),
            {"roles": {"user": ["Q"], "assistant": ["A"]}},
        ),
        (
            chat(says("user", [{"type": "text", "text": "2 + 2 =?"}]), SAID),
            {},
        ),
    ],
)  # fmt: skip
def test_every_form_says_the_same(row: dict[str, Any], settings: Any) -> None:
    assert turns(row, **settings) == PLAIN


def test_what_belongs_to_a_question_follows_it() -> None:
    row = {"instruction": "Add.", "input": "2 + 2", "output": "4"}
    assert turns(row)[0]["content"] == "Add.\n\n2 + 2"


@pytest.mark.parametrize(
    "row",
    [
        {"messages": PLAIN, "system": "Be brief."},
        {"question": "2 + 2 =?", "answer": "4", "system": "Be brief."},
        {
            "messages": [{"role": "system", "content": "Be brief."}, *PLAIN],
            "system": "x",
        },
    ],
)
def test_a_system_message_comes_first_from_wherever_it_stands(
    row: dict[str, Any],
) -> None:
    assert turns(row) == [{"role": "system", "content": "Be brief."}, *PLAIN]


def test_unmasked_rows_train_all_turns_but_the_systems() -> None:
    """As InstructLab's records ask, in a column or in their metadata."""
    system = {"role": "system", "content": "s"}
    for row in (
        {"messages": [system, *PLAIN], "unmask": True, "id": "7"},
        {"messages": [system, *PLAIN], "metadata": json.dumps({"unmask": True})},
    ):
        assert [turn["train"] for turn in turns(row)] == [False, True, True]
    assert "train" not in turns({"messages": PLAIN, "unmask": False})[0]


def test_a_turns_own_training_flag_survives() -> None:
    row = {"messages": [ASKED, {**SAID, "weight": 0}, ASKED, {**SAID, "train": True}]}
    assert [turn.get("train") for turn in turns(row)] == [None, False, None, True]


def test_a_flag_is_read_from_the_key_that_is_named() -> None:
    said = {**SAID, "weight": 1, "learn": False}
    assert turns(chat(ASKED, said))[1]["train"] is True
    found = turns(chat(ASKED, said), message_field_training="learn")
    assert found[1]["train"] is False


def test_roles_to_train_become_flags_where_a_turn_has_none() -> None:
    row = chat(says("system"), ASKED, {**SAID, "train": False}, ASKED, SAID)
    found = turns(row, roles_to_train=["human", "assistant"])
    assert [turn["train"] for turn in found] == [False, True, False, True, True]


def test_a_system_turn_is_dropped_where_that_is_asked_for() -> None:
    row = chat(says("system"), *PLAIN)
    assert turns(row, drop_system_message=True) == PLAIN
    assert turns({"system": "s", **chat(*PLAIN)}, drop_system_message=True) == PLAIN
    assert fault(chat(), drop_system_message=True)


def test_tool_calls_keep_their_arguments_as_json_text() -> None:
    call = {"id": "c1", "function": {"name": "add", "arguments": {"b": 2, "a": 1}}}
    row = {
        "messages": [
            ASKED,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "4", "tool_call_id": "c1", "name": "add"},
            SAID,
        ],
        "tools": [{"type": "function", "function": {"name": "add"}}],
        "chat_template_kwargs": {"enable_thinking": True},
    }
    found = conversation(row)
    assert found["messages"][1]["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
        }
    ]
    assert found["messages"][2]["tool_call_id"] == "c1"
    assert json.loads(found["tools"])[0]["function"]["name"] == "add"
    assert found["chat_template_kwargs"] == {"enable_thinking": True}


def test_reasoning_survives() -> None:
    thought = {**SAID, "reasoning_content": "two and two"}
    assert turns({"messages": [ASKED, thought]})[1] == thought


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text": "x"}, "no form is known for its columns (text)"),
        ({"messages": []}, "the turns are no list, or an empty one"),
        ({"messages": "{"}, "a column that should hold JSON does not"),
        (chat("hello"), "a turn is no mapping (str)"),
        (chat({"content": "x"}, SAID), "a turn has no role"),
        (chat(says("me"), SAID), "no template knows the role of a turn ('me')"),
        (chat(SAID, ASKED), "the first turn is not the user's"),
        (chat(ASKED, ASKED, SAID), "two turns of one role follow one another (user)"),
        (chat(ASKED), "the last turn is not the assistant's"),
        (chat(ASKED, says("system"), SAID), "a system turn is not the first"),
        (chat(says("system")), "the first turn is not the user's"),
        (chat(ASKED, says("assistant", " \n")), "the answer is empty"),
        (chat(ASKED, {"role": "assistant"}), "the answer is empty"),
        (chat(ASKED, says("assistant", "a\0b")), "a NUL stands in the text"),
        (chat(ASKED, says("tool"), SAID), "a tool answers that nobody has called"),
        (chat(ASKED, says("assistant", 4)), "the content of a turn is no text (int)"),
        (chat(says("user", [1]), SAID), "the content of a turn is no text (list)"),
        (chat(ASKED, {**SAID, "tool_calls": [{}]}), "a tool call names no function"),
        ({"question": "2 + 2 =?"}, "no form is known for its columns (question)"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_says_why(row: dict[str, Any], why: str) -> None:
    assert fault(row) == why


def test_each_kind_of_fault_has_one_text_of_its_own() -> None:
    assert set(FAULTS) == set(get_args(FaultCode))
    assert len(set(FAULTS.values())) == len(FAULTS)


def test_a_fault_is_its_code_and_its_detail_also_in_another_process() -> None:
    found = pickle.loads(pickle.dumps(RowFault("role-unknown", "'me'")))
    assert (found.code, found.detail) == ("role-unknown", "'me'")
    assert str(found) == "no template knows the role of a turn ('me')"


def test_a_count_of_faults_does_not_hang_on_their_wording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [chat(says("a (b"), SAID), chat(says("c"), SAID), chat(ASKED), {"x (y)": 1}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken")
    piece = Piece(0, str(path), "json", 0, 0, 1)

    def counted() -> dict[FaultCode, int]:
        settings = SourceSettings(path=str(path))
        return dict(spool(piece, settings, "p", "a.jsonl", str(tmp_path)).faults)

    expected = {
        "role-unknown": 2,
        "ends-without-answer": 1,
        "columns-unknown": 1,
        "not-json": 1,
    }
    assert counted() == expected
    for code in FAULTS:
        monkeypatch.setitem(FAULTS, code, "all (the same): text")  # type: ignore[arg-type]
    assert counted() == expected


def test_conversations_that_say_the_same_have_the_same_fingerprint() -> None:
    one = fingerprint(conversation({"messages": PLAIN}))
    assert len(one) == 16
    spaced = [{**ASKED, "content": " 2 +\n2  =?"}, SAID]
    for row in (
        {"messages": spaced},
        {"messages": PLAIN, "id": "7", "metadata": {"a": 1}},
        {"messages": PLAIN, "unmask": True},
        {"question": "2 + 2 =?", "answer": "4"},
    ):
        assert fingerprint(conversation(row)) == one


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASKED, {**SAID, "content": "5"}]},
        {"messages": [{**ASKED, "content": "2 + 2 =? 4"}, SAID]},
        {"messages": PLAIN, "system": "s"},
        {"messages": PLAIN, "tools": [{"name": "add"}]},
        {"messages": [ASKED, {**SAID, "reasoning_content": "hm"}]},
        {"messages": PLAIN * 2},
    ],
)
def test_conversations_that_do_not_have_another(row: dict[str, Any]) -> None:
    assert fingerprint(conversation(row)) != fingerprint(
        conversation({"messages": PLAIN})
    )


def test_where_wants_a_value_or_one_of_some() -> None:
    row = {"source": "wiki", "level": 2}
    assert passes(row, {})
    assert passes(row, {"source": "wiki"})
    assert passes(row, {"source": ["web", "wiki"], "level": 2})
    assert not passes(row, {"source": "web"})
    assert not passes(row, {"missing": 1})
