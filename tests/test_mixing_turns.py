"""The parts and the calls of a message: each is read, or named in a fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from axolotl_sftguide.config.mix_settings import SourceSettings
from axolotl_sftguide.mixing._faults import RowFault, UnreadText
from axolotl_sftguide.mixing._forms import RowReader

ASK = {"role": "user", "content": "How warm is it in Bern?"}
SAY = {"role": "assistant", "content": "20 degrees."}
RESULT = {"role": "tool", "content": "20"}
CALL = {"name": "weather", "arguments": {"city": "Bern"}}
OTHER = {"name": "weather", "arguments": {"city": "Thun"}}


def read(*messages: Any, arrow: bool = False, **settings: Any) -> list[dict[str, Any]]:
    reader = RowReader(SourceSettings(path="x", **settings), arrow)
    found = reader.read({"messages": list(messages)})[1]
    return found["messages"]  # type: ignore[no-any-return]


def unread(*messages: Any, **settings: Any) -> tuple[str, ...]:
    with pytest.raises(UnreadText) as caught:
        read(*messages, **settings)
    return caught.value.names


def cities(message: dict[str, Any]) -> list[str]:
    calls = message.get("tool_calls", ())
    return [json.loads(call["function"]["arguments"])["city"] for call in calls]


class TestParts:
    @pytest.mark.parametrize("key", ["train", "training", "weight", "loss"])
    def test_are_masked_under_any_key_of_a_flag(self, key: str) -> None:
        parts = [{"type": "text", "text": "hint", key: False}, {"text": " rest"}]
        detail = read(ASK, {**SAY, "content": parts})[1]["train_detail"]
        assert [part["train"] for part in detail] == [False, True]

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("mask", True),
            ("image_url", {"url": "a.png"}),
            ("image", "a.png"),
            ("thinking", "It is summer."),
        ],
    )
    def test_with_another_key_beside_their_text_are_a_fault(
        self, key: str, value: Any
    ) -> None:
        own = {**ASK, "content": [{"type": "text", "text": "How warm?", key: value}]}
        assert unread(own, SAY) == (key,)
        assert read(own, SAY, ignore=[key])[0]["content"] == "How warm?"

    def test_may_say_what_no_training_reads(self) -> None:
        part = {"type": "text", "text": "How warm?", "image_url": None}
        cached = {"type": "text", "text": " Now?", "cache_control": {"type": "x"}}
        own = {**ASK, "content": [part, cached]}
        assert read(own, SAY)[0]["content"] == "How warm? Now?"

    def test_give_their_text_from_the_key_that_has_some(self) -> None:
        own = {**ASK, "content": [{"type": "text", "text": "", "value": "How warm?"}]}
        assert read(own, SAY)[0]["content"] == "How warm?"
        own["content"][0]["text"] = "How cold?"  # type: ignore[index]
        assert unread(own, SAY) == ("value",)


class TestCalls:
    @pytest.mark.parametrize(
        "nothing",
        [
            {"function_call": {"name": None, "arguments": None}},
            {"function_call": {"name": "", "arguments": ""}},
            {"tool_calls": [{"id": None, "type": None, "function": None}]},
            {
                "tool_calls": [
                    {"type": "function", "function": {"name": None, "arguments": None}}
                ]
            },
        ],
    )
    def test_of_nulls_alone_are_no_calls(self, nothing: dict[str, Any]) -> None:
        assert read(ASK, {**SAY, **nothing}) == [ASK, SAY]

    def test_under_both_keys_must_be_the_same(self) -> None:
        own = {**SAY, "tool_calls": [CALL], "function_call": OTHER}
        assert unread(ASK, own, RESULT, SAY) == ("function_call",)
        own["function_call"] = CALL
        assert cities(read(ASK, own, RESULT, SAY)[1]) == ["Bern"]

    def test_at_once_are_one_message_as_in_ms_swift(self) -> None:
        calls = [{"role": "tool_call", "content": json.dumps(c)} for c in (CALL, OTHER)]
        found = read(ASK, SAY, *calls, RESULT, RESULT, SAY)
        roles = [message["role"] for message in found]
        assert roles == ["user", "assistant", "tool", "tool", "assistant"]
        assert found[1]["content"] == SAY["content"]
        assert cities(found[1]) == ["Bern", "Thun"]

    def test_with_a_flag_of_their_own_are_not_merged(self) -> None:
        call = {"role": "tool_call", "content": json.dumps(CALL)}
        with pytest.raises(RowFault, match="same role"):
            read(ASK, call, {**call, "loss": False}, RESULT, SAY)

    @pytest.mark.parametrize("role", ["tool call", "Tool-Call", "function call"])
    def test_may_be_an_object_and_their_role_written_in_any_way(
        self, role: str
    ) -> None:
        result = {"role": "tool response", "content": "20"}
        found = read(ASK, {"role": role, "content": CALL}, result, SAY)
        assert cities(found[1]) == ["Bern"]
        assert found[2]["role"] == "tool"

    def test_of_xlam_have_no_nulls_of_arrow(self) -> None:
        calls = [{"name": "weather", "arguments": {"city": "Bern", "day": None}}]
        reader = RowReader(SourceSettings(path="x"), from_arrow=True)
        found = reader.read({"query": "Warm?", "answers": calls})[1]["messages"]
        arguments = found[1]["tool_calls"][0]["function"]["arguments"]
        assert arguments == '{"city": "Bern"}'

    def test_of_harmony_are_not_taken_for_text(self) -> None:
        call = {**SAY, "content": "{}", "recipient": "functions.weather"}
        assert unread(ASK, call, RESULT, SAY) == ("recipient",)
        assert unread(ASK, {**SAY, "channel": "analysis"}) == ("channel",)
        final = {**SAY, "channel": "final", "recipient": "all"}
        assert read(ASK, final) == [ASK, SAY]


def test_the_results_of_llama_tools_are_tool_messages() -> None:
    found = read(ASK, SAY, {"role": "ipython", "content": "20"}, SAY)
    assert found[2] == RESULT


@pytest.mark.parametrize(
    "extra",
    [
        {"id": "1", "finish_reason": "stop", "usage": {"output_tokens": 5}},
        {"type": "message", "stop_reason": "end_turn", "token_ids": [1, 2]},
        {"turn_number": 2, "is_error": False, "latency": 0.4, "content_type": "text"},
    ],
)
def test_what_a_server_says_of_its_answer_is_no_fault(extra: dict[str, Any]) -> None:
    assert read(ASK, {**SAY, **extra}) == [ASK, SAY]


def test_a_type_of_another_kind_of_message_is_a_fault() -> None:
    assert unread(ASK, {**SAY, "type": "function_call"}) == ("type",)


def test_details_of_the_reasoning_may_repeat_it() -> None:
    detail = [{"type": "reasoning.text", "text": "It is summer.", "index": 0}]
    own = {**SAY, "reasoning": "It is summer.", "reasoning_details": detail}
    assert read(ASK, own)[1]["reasoning_content"] == "It is summer."
    assert unread(ASK, {**own, "reasoning": "It is warm."}) == ("reasoning_details",)


def test_the_roles_of_cohere_are_known() -> None:
    found = read({**ASK, "role": "User"}, {**SAY, "role": "Chatbot"})
    assert found == [ASK, SAY]


@pytest.mark.parametrize("column", ["messages", "conversations"])
@pytest.mark.parametrize("keys", [("role", "content"), ("from", "value")])
def test_turns_in_lists_of_roles_and_texts_are_read(
    column: str, keys: tuple[str, str]
) -> None:
    role, text = keys
    row = {role: ["user", "assistant"], text: [ASK["content"], SAY["content"]]}
    reader = RowReader(SourceSettings(path="x"))
    assert reader.read({column: row})[1]["messages"] == [ASK, SAY]
    row[text].append("One more.")
    with pytest.raises(RowFault):
        reader.read({column: row})
