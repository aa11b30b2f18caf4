"""Axolotl trains the same tokens from a mix as from its sources."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trained_tokens import BASE, TEMPLATE, trained_by_axolotl, trained_text

from axolotl_sftguide.mixing import load_mix, mix, preview

pytestmark = pytest.mark.slow

ASK = {"role": "user", "content": "How tall is the tower?"}
PART = {"role": "user", "content": [{"type": "text", "text": "How tall?"}]}
SAY = {"role": "assistant", "content": "Ninety metres."}
SYSTEM = {"role": "system", "content": "Be brief."}
HUMAN = {"from": "human", "value": "How tall is the tower?"}
GPT = {"from": "gpt", "value": "Ninety metres."}
SHAREGPT = {
    "field_messages": "conversations",
    "message_property_mappings": {"role": "from", "content": "value"},
}
CALL = {"name": "weather", "arguments": {"unit": "C", "city": "Rome"}}
OTHER_CALL = {"name": "search", "arguments": {"query": "x"}}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "d",
            "parameters": {
                "type": "object",
                "properties": {"unit": {"type": "string"}, "city": {"type": "string"}},
            },
        },
    }
]


def chat(*messages: Any, **columns: Any) -> dict[str, Any]:
    return {"messages": list(messages), **columns}


def calls(call: Any, content: Any = "") -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"id": "c", "type": "function", "function": call}],
    }


RESULT = {"role": "tool", "tool_call_id": "c", "content": "20"}

CHATS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]] = {
    "messages": ([chat(ASK, SAY), chat(SYSTEM, ASK, SAY)], {}, {}),
    "many turns": ([chat(ASK, SAY, ASK, SAY), chat(ASK, SAY)], {}, {}),
    "other scripts": (
        [chat(ASK, {**SAY, "content": "\u5854 \u00fc \U0001f3d4"})],
        {},
        {},
    ),
    "system column": ([chat(ASK, SAY, system="Be brief.")], {}, {}),
    "ShareGPT": ([{"conversations": [HUMAN, GPT], "id": "1"}], SHAREGPT, {}),
    "ShareGPT with system": (
        [{"conversations": [{"from": "system", "value": "s"}, HUMAN, GPT]}],
        SHAREGPT,
        {},
    ),
    "SlimOrca": (
        [{"conversations": [{**HUMAN, "weight": 0}, {**GPT, "weight": 1}]}],
        {**SHAREGPT, "message_field_training": "weight"},
        {},
    ),
    "train": (
        [chat(ASK, {**SAY, "train": False}, ASK, {**SAY, "train": True})],
        {"message_field_training": "train"},
        {},
    ),
    "float weights": (
        [chat(ASK, {**SAY, "weight": 0.0}, ASK, {**SAY, "weight": 1.0})],
        {"message_field_training": "weight"},
        {},
    ),
    "another flag": (
        [chat({**ASK, "learn": True}, {**SAY, "learn": False}, ASK, SAY)],
        {"message_field_training": "learn"},
        {"message_field_training": "learn"},
    ),
    "parts": (
        [chat(PART, {**SAY, "content": [{"type": "text", "text": "a"}] * 2})],
        {},
        {},
    ),
    "parts with flags": (
        [
            chat(
                PART,
                {
                    **SAY,
                    "content": [
                        {"type": "text", "text": "a masked hint", "train": False},
                        {"type": "text", "text": " a learned rest", "train": True},
                    ],
                },
            )
        ],
        {},
        {},
    ),
    "training detail": (
        [
            chat(
                ASK,
                {
                    **SAY,
                    "detail": [
                        {"begin_offset": 0, "end_offset": 5, "train": False},
                        {"begin_offset": 6, "end_offset": 13, "train": True},
                    ],
                },
            )
        ],
        {"message_field_training_detail": "detail"},
        {"message_field_training_detail": "detail"},
    ),
    "reasoning_content": ([chat(ASK, {**SAY, "reasoning_content": "hm"})], {}, {}),
    "field_thinking": (
        [chat(ASK, {**SAY, "thought_by_model": "hm"})],
        {"field_thinking": "thought_by_model"},
        {"field_thinking": "thought_by_model"},
    ),
    "tool calls": (
        [chat(ASK, calls(CALL), RESULT, SAY, tools=TOOLS)],
        {},
        {},
    ),
    "tool calls of several tools": (
        [
            chat(ASK, calls(CALL), RESULT, SAY, tools=TOOLS),
            chat(ASK, calls(OTHER_CALL, "Let me look."), RESULT, SAY, tools=TOOLS),
        ],
        {},
        {},
    ),
    "arguments as text": (
        [
            chat(
                ASK,
                calls({**CALL, "arguments": '{"unit":"C", "city":"Rome"}'}),
                RESULT,
                SAY,
                tools=json.dumps(TOOLS),
            )
        ],
        {},
        {},
    ),
    "messages as text": ([{"messages": json.dumps([ASK, SAY])}], {}, {}),
    "another column": (
        [{"dialog_turns": [ASK, SAY]}],
        {"field_messages": "dialog_turns"},
        {"field_messages": "dialog_turns"},
    ),
    "other keys": (
        [chat({"who": "user", "says": "q"}, {"who": "assistant", "says": "a"})],
        {"message_property_mappings": {"role": "who", "content": "says"}},
        {"message_property_mappings": {"role": "who", "content": "says"}},
    ),
    "other roles": (
        [chat({**ASK, "role": "customer"}, {**SAY, "role": "agent"})],
        {"roles": {"user": ["customer"], "assistant": ["agent"]}},
        {"roles": {"user": ["customer"], "assistant": ["agent"]}},
    ),
    "roles_to_train": (
        [chat(SYSTEM, ASK, SAY)],
        {"roles_to_train": ["user", "assistant"]},
        {"roles_to_train": ["user", "assistant"]},
    ),
    "no system message": (
        [chat(SYSTEM, ASK, SAY)],
        {"drop_system_message": True},
        {"drop_system_message": True},
    ),
    "last end of turn": (
        [chat(ASK, SAY, ASK, SAY)],
        {"train_on_eos": "last"},
        {"train_on_eos": "last"},
    ),
    "DPO's chosen side": (
        [{"chosen": [ASK, SAY], "rejected": [ASK, {**SAY, "content": "no"}]}],
        {"field_messages": "chosen"},
        {"field_messages": "chosen", "ignore": ["rejected"]},
    ),
}
"""Rows, Axolotl's settings for them, and those of the mix."""

INSTRUCTIONS: dict[str, dict[str, str]] = {
    "alpaca": {"instruction": "Add.", "input": "1 1", "output": "2 is it."},
    "alpaca:chat": {"instruction": "Add.", "input": "", "output": "2 is it."},
    "alpaca_instruct.load": {"instruction": "Add.", "input": "", "output": "2."},
    "alpaca_chat.load_qa": {"question": "1 + 1?", "answer": "2 is it."},
    "alpaca_chat.load_concise": {"instruction": "Add.", "input": "1", "output": "1."},
    "alpaca_chat.load_camel_ai": {"message_1": "1 + 1?", "message_2": "2 is it."},
    "alpaca_w_system.load": {
        "instruction": "Add.",
        "input": "1 1",
        "output": "2.",
        "system": "s",
    },
    "alpaca_w_system.load_open_orca": {
        "system_prompt": "s",
        "question": "1 + 1?",
        "response": "2 is it.",
    },
    "gpteacher": {"instruction": "Add.", "input": "1 1", "response": "2 is it."},
    "oasst": {"INSTRUCTION": "Add.", "RESPONSE": "2 is it."},
    "summarizetldr": {"article": "A long text.", "summary": "A text."},
    "jeopardy": {"question": "1 + 1", "category": "Sums", "answer": "two"},
    "context_qa.load": {"article": "Bern.", "question": "Where?", "answer": "There."},
    "context_qa.load_v2": {
        "context": "Bern.",
        "question": "Where?",
        "answer": "There.",
    },
}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))


def trained_from_mix(
    tmp_path: Path, source: Path, settings: dict[str, Any]
) -> list[dict[str, Any]]:
    """Row by row in the order of the source."""
    dataset = {"path": source.name, **settings}
    spec = {
        "phases": [{"name": "p", "datasets": [dataset]}],
        "deduplicate": False,
    }
    made = mix(spec, tmp_path / "mixes", base=tmp_path, workers=1)
    entry = {
        "type": "chat_template",
        **load_mix(made.manifest.settings).host_settings,
        **made.manifest.training_fields,
    }
    if made.data.suffix == ".parquet":
        rows = pq.read_table(made.data).column("row").to_pylist()
    else:
        rows = [json.loads(line)["row"] for line in made.data.read_text().splitlines()]
    found = trained_by_axolotl(made.data, entry, tmp_path / "hf")
    return [
        tokens
        for _, tokens in sorted(zip(rows, found, strict=True), key=lambda r: r[0])
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("form", CHATS)
def test_of_messages_are_the_same(tmp_path: Path, form: str, kind: str) -> None:
    rows, entry, settings = CHATS[form]
    source = tmp_path / f"source.{kind}"
    write(source, rows)
    entry = {"type": "chat_template", **entry}
    wanted = trained_by_axolotl(source, entry, tmp_path / "hf")
    found = trained_from_mix(tmp_path, source, settings)
    assert len(found) == len(rows)
    for one, two in zip(found, wanted, strict=True):
        assert trained_text(one) == trained_text(two) != ""
        assert one["input_ids"] == two["input_ids"]
        assert one["labels"] == two["labels"]


@pytest.mark.parametrize("form", [f for f in CHATS if f != "last end of turn"])
def test_are_those_that_a_preview_marks(tmp_path: Path, form: str) -> None:
    rows, entry, settings = CHATS[form]
    source = tmp_path / "source.jsonl"
    write(source, rows)
    wanted = trained_by_axolotl(
        source, {"type": "chat_template", **entry}, tmp_path / "hf"
    )
    shutil.copytree(BASE, tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").write_text(TEMPLATE)
    dataset = {"path": source.name, **settings}
    (found,) = preview(
        {"phases": [{"name": "p", "datasets": [dataset]}]},
        base=tmp_path,
        rows=9,
        tokenizer="model",
    )
    assert found.problems == []
    assert [own.tokens for own in found.rows] == [len(t["input_ids"]) for t in wanted]
    for own, tokens in zip(found.rows, wanted, strict=True):
        marked = "".join(text for text, trained in own.segments if trained)
        assert "".join(marked.split()).removesuffix("</s>") == "".join(
            trained_text(tokens).split()
        )


def test_of_tools_in_another_column_are_those_of_the_usual_one(tmp_path: Path) -> None:
    """Axolotl 0.19.0 does not hand `field_tools` on, and trains without the tools."""
    usual, source = tmp_path / "usual.jsonl", tmp_path / "source.jsonl"
    turns = ASK, calls(CALL), RESULT, SAY
    write(usual, [chat(*turns, tools=TOOLS)])
    write(source, [chat(*turns, available=TOOLS)])
    wanted = trained_by_axolotl(usual, {"type": "chat_template"}, tmp_path / "hf")
    found = trained_from_mix(tmp_path, source, {"field_tools": "available"})
    assert [one["labels"] for one in found] == [two["labels"] for two in wanted]


@pytest.mark.parametrize("form", INSTRUCTIONS)
def test_of_instructions_are_the_same_answers(tmp_path: Path, form: str) -> None:
    """Axolotl puts other words around the question than a chat template does."""
    source = tmp_path / "source.jsonl"
    write(source, [INSTRUCTIONS[form]])
    (wanted,) = trained_by_axolotl(source, {"type": form}, tmp_path / "hf")
    (found,) = trained_from_mix(tmp_path, source, {"type": form})
    assert trained_text(found) == trained_text(wanted) != ""
