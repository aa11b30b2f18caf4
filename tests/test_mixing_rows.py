"""Rows of every form as one conversation, or the reason why they cannot be used."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from axolotl_sftguide.mixing import SourceSettings, scan
from axolotl_sftguide.mixing._faults import FAULTS, FaultCode, RowFault
from axolotl_sftguide.mixing._fingerprint import fingerprint
from axolotl_sftguide.mixing._forms import RowReader, has_plain_settings
from axolotl_sftguide.mixing._pieces import Piece
from axolotl_sftguide.mixing._spool import spool
from axolotl_sftguide.mixing._where import matches


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
    """The conversation, the same by the shorter path and without it."""
    own = SourceSettings(path="x", **settings)
    expected: Any
    try:
        expected = RowReader(own, plain=False).read(row)
    except RowFault as found:
        with pytest.raises(RowFault, match=re.escape(str(found))):
            RowReader(own).read(row)
        raise
    assert RowReader(own).read(row) == expected
    return expected[1]  # type: ignore[no-any-return]


def test_only_settings_that_change_no_row_are_plain() -> None:
    assert has_plain_settings(
        SourceSettings(path="x", share=0.5, where={"a": 1}, max_rows=3)
    )
    assert has_plain_settings(
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
        assert not has_plain_settings(SourceSettings(path="x", **changing))


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
def test_every_form_gives_the_same_conversation(
    row: dict[str, Any], settings: Any
) -> None:
    assert turns(row, **settings) == PLAIN


def test_the_input_is_appended_to_the_question() -> None:
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
def test_a_system_message_from_a_column_comes_first(
    row: dict[str, Any],
) -> None:
    assert turns(row) == [{"role": "system", "content": "Be brief."}, *PLAIN]


def test_unmasked_rows_train_all_messages_but_the_system_message() -> None:
    """InstructLab writes `unmask` into a column or into the metadata."""
    system = {"role": "system", "content": "s"}
    for row in (
        {"messages": [system, *PLAIN], "unmask": True, "id": "7"},
        {"messages": [system, *PLAIN], "metadata": json.dumps({"unmask": True})},
    ):
        assert [turn["train"] for turn in turns(row)] == [False, True, True]
    assert "train" not in turns({"messages": PLAIN, "unmask": False})[0]


def test_the_training_flag_of_a_message_is_kept() -> None:
    row = {"messages": [ASKED, {**SAID, "weight": 0}, ASKED, {**SAID, "train": True}]}
    assert [turn.get("train") for turn in turns(row)] == [None, False, None, True]


def test_a_flag_is_read_from_the_key_that_is_named() -> None:
    said = {**SAID, "weight": 1, "learn": False}
    assert "(learn)" in fault(chat(ASKED, said))
    found = turns(chat(ASKED, said), message_field_training="learn")
    assert found[1]["train"] is False


def test_roles_to_train_become_flags_where_a_turn_has_none() -> None:
    row = chat(says("system"), ASKED, {**SAID, "train": False}, ASKED, SAID)
    found = turns(row, roles_to_train=["human", "assistant"])
    assert [turn["train"] for turn in found] == [False, True, False, True, True]


def test_a_system_turn_is_dropped_if_the_spec_says_so() -> None:
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
            "function": {"name": "add", "arguments": '{"b": 2, "a": 1}'},
        }
    ]
    assert found["messages"][2]["tool_call_id"] == "c1"
    assert json.loads(found["tools"])[0]["function"]["name"] == "add"
    assert found["chat_template_kwargs"] == {"enable_thinking": True}


def test_reasoning_is_kept() -> None:
    thought = {**SAID, "reasoning_content": "two and two"}
    assert turns({"messages": [ASKED, thought]})[1] == thought


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (
            {"text": "x"},
            "a row of raw text is not a conversation; split it into messages, or train "
            "on all of it in Axolotl with type: completion (text)",
        ),
        (
            {"text": "### Human: Why?### Assistant: Why not?"},
            "a row of raw text is not a conversation; split it into messages, or train "
            "on all of it in Axolotl with type: completion (text, whose turns begin "
            "with '### Human:')",
        ),
        (
            {"system": "SYSTEM: Be brief.", "chat": "USER: Why?\n\n\nASSISTANT: So."},
            "a row of raw text is not a conversation; split it into messages, or train "
            "on all of it in Axolotl with type: completion (chat, whose turns begin "
            "with 'USER:')",
        ),
        (
            {"words": "x"},
            "no known dataset form has these columns; name them with field_messages, "
            "or field_instruction and field_output (words)",
        ),
        ({"messages": []}, "the messages are not a list, or the list is empty"),
        ({"messages": "{"}, "a column that should contain JSON text does not parse"),
        (chat("hello"), "a message is not a JSON object (str)"),
        (
            chat({"content": "x"}, SAID),
            "a message has no role (its keys: content)",
        ),
        (chat(says("me"), SAID), "unknown role ('me'; map it with roles)"),
        (chat(SAID, ASKED), "the first message is not from the user"),
        (
            chat(ASKED, ASKED, SAID),
            "two consecutive messages have the same role (user)",
        ),
        (
            chat(ASKED, SAID, ASKED),
            "the last message is not from the assistant",
        ),
        (
            {"turns": ["Write a rhyme.", "Write it again."], "category": "writing"},
            "the texts in `turns` may all be questions, as in MT-Bench; set "
            "field_messages: turns if questions and answers alternate",
        ),
        (
            {"text": "Add two numbers.", "code": "def f(a, b): return a + b"},
            "no known dataset form has these columns; name them with field_messages, "
            "or field_instruction and field_output (code, text)",
        ),
        (
            chat(ASKED, says("system"), SAID),
            "a system message is not the first message",
        ),
        (chat(says("system")), "the first message is not from the user"),
        (chat(ASKED, says("assistant", " \n")), "the answer is empty"),
        (
            chat(ASKED, {"role": "assistant"}),
            "a message has no content (its keys: role; name another with "
            "message_property_mappings)",
        ),
        (chat(ASKED, says("assistant", "a\0b")), "the text contains a NUL character"),
        (chat(ASKED, says("tool"), SAID), "tool message without a preceding tool call"),
        (
            chat(ASKED, says("assistant", 4)),
            "the content of a message is not text (int)",
        ),
        (
            chat(says("user", [1]), SAID),
            "the content of a message is not text (list of int)",
        ),
        (chat(ASKED, {**SAID, "tool_calls": [{}]}), "a tool call has no function name"),
        (
            {"question": "2 + 2 =?"},
            "no known dataset form has these columns; name them with field_messages, "
            "or field_instruction and field_output (question)",
        ),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_has_a_reason(row: dict[str, Any], why: str) -> None:
    assert fault(row) == why


def test_each_fault_code_has_a_different_text() -> None:
    assert set(FAULTS) == set(get_args(FaultCode))
    assert len(set(FAULTS.values())) == len(FAULTS)


def test_a_fault_keeps_its_code_and_detail_when_it_is_pickled() -> None:
    found = pickle.loads(pickle.dumps(RowFault("role-unknown", "'me'")))
    assert (found.code, found.detail) == ("role-unknown", "'me'")
    assert str(found) == "unknown role ('me')"


def test_faults_are_counted_by_code_whatever_their_text(
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


def test_duplicates_have_the_same_fingerprint() -> None:
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
def test_conversations_that_differ_have_different_fingerprints(
    row: dict[str, Any],
) -> None:
    assert fingerprint(conversation(row)) != fingerprint(
        conversation({"messages": PLAIN})
    )


def test_where_accepts_a_value_or_a_list_of_values() -> None:
    row = {"source": "wiki", "level": 2}
    assert matches(row, {})
    assert matches(row, {"source": "wiki"})
    assert matches(row, {"source": ["web", "wiki"], "level": 2})
    assert not matches(row, {"source": "web"})
    assert not matches(row, {"missing": 1})


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_a_file_in_another_encoding_says_so(layout: str, tmp_path: Path) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": "Où est le café ?"},
                {"role": "assistant", "content": f"À droite, {i}."},
            ]
        }
        for i in range(3)
    ]
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = "\n".join(texts) if layout == "lines" else f"[{', '.join(texts)}]"
    (tmp_path / "a.jsonl").write_bytes(text.encode("cp1252"))
    found = list(scan(SourceSettings(path="a.jsonl"), tmp_path))
    assert [str(row.fault) for row in found] == [
        "invalid JSON (not UTF-8; convert the file, such as "
        "iconv -f WINDOWS-1252 -t UTF-8)"
    ] * 3
