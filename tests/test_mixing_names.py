"""What a mix does with a column, by its name, however it is written."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from axolotl_sftguide.config.mix_settings import SourceSettings
from axolotl_sftguide.mixing._faults import UnreadText
from axolotl_sftguide.mixing._forms import RowReader
from axolotl_sftguide.mixing._pieces import Piece
from axolotl_sftguide.mixing._refusals import unread_lines
from axolotl_sftguide.mixing._spool import Spooled

ASK = {"role": "user", "content": "How long is the Aare?"}
SAY = {"role": "assistant", "content": "About 290 kilometres."}
CHAT: dict[str, Any] = {"messages": [ASK, SAY]}
PAIR: dict[str, Any] = {"question": ASK["content"], "answer": SAY["content"]}
TOOL = {"name": "length", "description": "of a river", "parameters": {"type": "object"}}
CALL = {"name": "length", "arguments": {"river": "Aare"}}


def read(row: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    reader = RowReader(SourceSettings(path="x", **settings))
    return reader.read(row)[1]["messages"]  # type: ignore[no-any-return]


def unread(row: dict[str, Any], **settings: Any) -> tuple[str, ...]:
    with pytest.raises(UnreadText) as caught:
        read(row, **settings)
    return caught.value.names


@pytest.mark.parametrize("rest", [CHAT, PAIR])
@pytest.mark.parametrize(
    "name",
    ["System Prompt", "systemPrompt", "system-message", "SYSTEM", "sys_prompt"],
)
def test_a_system_message_is_read_however_its_column_is_written(
    name: str, rest: dict[str, Any]
) -> None:
    first = read({name: "Answer in metres.", **rest})[0]
    assert first == {"role": "system", "content": "Answer in metres."}


def test_the_system_message_of_moss_is_not_taken_for_metadata() -> None:
    row = {"meta_instruction": "Be brief.", "prompt": "Why?", "output": "So."}
    assert read(row)[0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize("question", ["Question", "question ", "QUESTION"])
def test_a_question_and_its_context_are_read_however_their_columns_are_written(
    question: str,
) -> None:
    found = read({question: "Why?", " Context": "It rains.", "Answer ": "So."})
    assert [m["content"] for m in found] == ["Why?\nIt rains.", "So."]


@pytest.mark.parametrize("rest", [CHAT, PAIR])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_path", "aare.png"),
        ("img", "aare.png"),
        ("images_1", ["aare.png"]),
        ("audio_filepath", "aare.wav"),
        ("Video URL", "https://example.org/aare.mp4"),
        ("image", {"bytes": b"\x89PNG", "path": None}),
        ("default_system_prompt", "Answer in metres."),
        ("reasoning_trace", "It starts at the glacier."),
        ("thinkingProcess", "It starts at the glacier."),
        ("Thought Process", "It starts at the glacier."),
        ("deepseek_r1_reasoning", "It starts at the glacier."),
        ("rejected_response", "Ten."),
        ("rejected_message", {"role": "assistant", "content": "Ten."}),
    ],
)
def test_what_some_kind_of_training_reads_is_not_dropped(
    name: str, value: Any, rest: dict[str, Any]
) -> None:
    row = {name: value, **rest}
    assert unread(row) == (name,)
    assert read(row, ignore=[name])


@pytest.mark.parametrize(
    "name", ["available_tools", "toolList", "function_definitions", "apis", "api_list"]
)
@pytest.mark.parametrize("as_text", [False, True])
def test_tools_in_a_column_of_another_name_are_not_dropped(
    name: str, as_text: bool
) -> None:
    row = {name: json.dumps([TOOL]) if as_text else [TOOL], **CHAT}
    assert unread(row) == (name,)
    reader = RowReader(SourceSettings(path="x", field_tools=name))
    assert json.loads(reader.read(row)[1]["tools"]) == [TOOL]
    # Hermes writes the tools into the system message.
    system = {"role": "system", "content": f"Tools: {json.dumps(TOOL)}, of type object"}
    assert read({name: [TOOL], "messages": [system, ASK, SAY]})


def test_calls_in_a_column_beside_messages_are_not_dropped() -> None:
    assert unread({"tool_calls": [CALL], **CHAT}) == ("tool_calls",)
    assert unread({"function_call": CALL, **CHAT}) == ("function_call",)


@pytest.mark.parametrize(
    "extra",
    [
        {"tools_used": ["search", "length"], "target_tool": "length"},
        {"image_caption": "A river.", "num_images": 2, "has_image": True},
        {"image_url": "", "images": [], "video": None},
        {"video_id": "dQw4", "image_id": 7},
        {"operating_system": "Linux", "system_fingerprint": "fp_1"},
        {"reasoning_effort": "high effort", "thinking_budget": "many tokens"},
        {"judge_reasoning": "The answer is right."},
    ],
)
def test_names_that_only_resemble_those_of_content_are_no_fault(
    extra: dict[str, Any],
) -> None:
    assert read({**CHAT, **extra}) == [ASK, SAY]


@pytest.mark.parametrize(
    "name", ["userId", "Question ID", "createdAt", "File Name", "problem_is_valid"]
)
def test_metadata_is_known_however_its_column_is_written(name: str) -> None:
    reader = RowReader(SourceSettings(path="x"))
    reader.read({name: "something that is written here", **PAIR})
    assert reader.passed == {name: 1}


def test_of_original_texts_only_questions_and_answers_are_metadata() -> None:
    row = {"instruction": "Correct it.", "output": "He goes home."}
    assert read({"original_question": "How?", **row})
    assert unread({"original_text": "He go home", **row}) == ("original_text",)
    # A part of a word of the answer is not in the answer.
    assert unread({"original_text": "He go", **row}) == ("original_text",)


def test_a_task_beside_its_input_alone_is_an_instruction() -> None:
    row = {"input": "cheese", "output": "fromage"}
    task = {"task_description": "Translate it."}
    assert unread({**task, **row}) == ("task_description",)
    assert unread({"task": "Translate it into French.", **row}) == ("task",)
    assert read({"task": "machine translation", **row})
    assert read({**task, "instruction": "Translate into French.", **row})


def test_the_source_of_a_target_is_text_and_any_other_is_metadata() -> None:
    row = {"instruction": "Translate.", "target": "J'aime le fromage."}
    assert unread({"source": "I like cheese.", **row}) == ("source",)
    assert read({"source": "opus-100", **row})
    assert read({"source": "the letters of a clerk", **PAIR})


def test_a_passage_that_only_the_answer_repeats_would_be_lost() -> None:
    row = {"question": "Who built it?", "answer": "Ann Smith built it."}
    assert unread({"passage": "Ann Smith", **row}) == ("passage",)
    asked = {**row, "question": "Ann Smith had a house. Who built it?"}
    assert read({"passage": "Ann Smith had a house.", **asked})
    assert read({"gold": "Ann Smith", **row})


TRACE = {"reasoning_trace": "It starts at the glacier."}


class TestReasoningInAColumn:
    @pytest.mark.parametrize("rest", [CHAT, PAIR])
    def test_that_field_thinking_names_precedes_the_answer(
        self, rest: dict[str, Any]
    ) -> None:
        found = read({**TRACE, **rest}, field_thinking="reasoning_trace")
        assert found[-1]["reasoning_content"] == "It starts at the glacier."

    def test_of_several_answers_belongs_to_none(self) -> None:
        row = {**TRACE, "messages": [ASK, SAY, ASK, SAY]}
        assert unread(row, field_thinking="reasoning_trace") == ("reasoning_trace",)


@pytest.mark.parametrize(
    ("name", "value", "way"),
    [
        ("reasoning_trace", "Because.", "Set field_thinking: reasoning_trace"),
        ("available_tools", [TOOL], "Set field_tools: available_tools"),
        ("default_system_prompt", "Be.", "Set field_system: default_system_prompt"),
        ("image_path", "a.png", "A mix contains text only"),
    ],
)
def test_the_way_out_is_the_key_that_takes_the_column(
    name: str, value: Any, way: str
) -> None:
    piece = Spooled(
        Piece(0, "x", "json", 0, 0, 1),
        "",
        np.empty((0, 2), np.uint64),
        np.empty(0, np.int64),
    )
    with pytest.raises(UnreadText) as caught:
        read({name: value, **CHAT})
    piece.note(1, caught.value)
    (line,) = unread_lines([piece])
    assert way in line
