"""Forms of public datasets: what a mix makes of them, and what it refuses by name."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from axolotl_sftguide.config.dataset_types import TYPES
from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.mixing import SourceSettings, load_mix
from axolotl_sftguide.mixing._faults import RowFault, UnreadText
from axolotl_sftguide.mixing._forms import RowReader
from axolotl_sftguide.mixing._whole import expanded

ASK = {"role": "user", "content": "How tall is the tower?"}
SAY = {"role": "assistant", "content": "Ninety metres."}
LAST_CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"function": {"name": "end", "arguments": "{}"}}],
}


def read(row: dict[str, Any], arrow: bool = False, **settings: Any) -> dict[str, Any]:
    reader = RowReader(SourceSettings(path="x", **settings), arrow)
    return reader.read(row)[1]


def turns(row: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    return read(row, **settings)["messages"]  # type: ignore[no-any-return]


def said(row: dict[str, Any], **settings: Any) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in turns(row, **settings)]


def fault(row: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(RowFault) as caught:
        read(row, **settings)
    return str(caught.value)


def unread(row: dict[str, Any], **settings: Any) -> tuple[str, ...]:
    with pytest.raises(UnreadText) as caught:
        read(row, **settings)
    return caught.value.names


QUESTION = "Which river is it?"
ANSWER = "The Aare."


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (  # Dolly
            {"instruction": QUESTION, "context": "Bern.", "response": ANSWER},
            [("user", f"{QUESTION}\n\nBern."), ("assistant", ANSWER)],
        ),
        (  # InstructLab
            {"question": QUESTION, "context": "Bern.", "response": ANSWER},
            [("user", f"{QUESTION}\nBern."), ("assistant", ANSWER)],
        ),
        (
            {"prompt": QUESTION, "input": "Bern.", "completion": ANSWER},
            [("user", f"{QUESTION}\n\nBern."), ("assistant", ANSWER)],
        ),
        (  # the first question that has text
            {"prompt": " ", "question": QUESTION, "answer": ANSWER},
            [("user", QUESTION), ("assistant", ANSWER)],
        ),
        (
            {"instruction": "", "input": QUESTION, "output": ANSWER},
            [("user", QUESTION), ("assistant", ANSWER)],
        ),
        (  # OpenOrca
            {"system_prompt": "Short.", "question": QUESTION, "response": ANSWER},
            [("system", "Short."), ("user", QUESTION), ("assistant", ANSWER)],
        ),
        (  # LLaMA-Factory
            {
                "instruction": QUESTION,
                "input": "",
                "output": ANSWER,
                "history": [["Where?", "Bern."]],
            },
            [
                ("user", "Where?"),
                ("assistant", "Bern."),
                ("user", QUESTION),
                ("assistant", ANSWER),
            ],
        ),
        (  # UltraChat
            {"id": "1", "data": ["a", "b", "c", "d"]},
            [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")],
        ),
        (  # XTuner
            {"conversation": [{"system": "s", "input": "a", "output": "b"}]},
            [("system", "s"), ("user", "a"), ("assistant", "b")],
        ),
        (  # WildChat
            {
                "conversation_hash": "x",
                "model": "m",
                "conversation": [
                    {"role": "user", "content": "a", "toxic": False, "language": "e"},
                    {"role": "assistant", "content": "b", "redacted": False},
                ],
                "openai_moderation": [{"categories": {"hate": False}}],
            },
            [("user", "a"), ("assistant", "b")],
        ),
        (
            {"messages": [{**ASK, "content": [{"type": "text", "value": "a"}]}, SAY]},
            [("user", "a"), ("assistant", SAY["content"])],
        ),
        (
            {"messages": [{"role": "user", "text": "a"}, SAY]},
            [("user", "a"), ("assistant", SAY["content"])],
        ),
        (  # a column of no messages, which the conversation contains
            {"prompt": ASK["content"], "prompt_id": "1", "messages": [ASK, SAY]},
            [("user", ASK["content"]), ("assistant", SAY["content"])],
        ),
        (  # ChatGLM-Tuning, and pairs of what was said before and the answer
            {"Context": QUESTION, "Response": ANSWER},
            [("user", QUESTION), ("assistant", ANSWER)],
        ),
        (  # a description of the row in one column
            {"instruction": QUESTION, "output": ANSWER, "meta": {"maker": "someone"}},
            [("user", QUESTION), ("assistant", ANSWER)],
        ),
        (  # an agent's last act, whose result nobody answers
            {"messages": [ASK, LAST_CALL, {"role": "tool", "content": "done"}]},
            [("user", ASK["content"]), ("assistant", ""), ("tool", "done")],
        ),
        (  # Aya and FLAN
            {"inputs": QUESTION, "targets": ANSWER, "annotation_type": "original"},
            [("user", QUESTION), ("assistant", ANSWER)],
        ),
        (  # Alpaca's own `text` is the whole prompt
            {
                "instruction": QUESTION,
                "input": "",
                "output": ANSWER,
                "text": f"### Instruction:\n{QUESTION}\n\n### Response:\n{ANSWER}",
            },
            [("user", QUESTION), ("assistant", ANSWER)],
        ),
    ],
)
def test_a_public_form_is_read_whole(
    row: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert said(row) == expected


def test_reasoning_in_a_column_precedes_the_answer() -> None:
    row = {"Question": QUESTION, "Complex_CoT": "Alps.", "Response": ANSWER}
    assert turns(row)[1]["reasoning_content"] == "Alps."
    assert unread({"messages": [ASK, SAY], "reasoning": "Alps."}) == ("reasoning",)


def test_a_column_that_only_switches_reasoning_is_not_reasoning() -> None:
    row = {"input": [ASK], "output": "a", "reasoning": "on"}
    assert turns(row)[1] == {"role": "assistant", "content": "a"}
    assert read({"messages": [ASK, SAY], "reasoning": "off"})


@pytest.mark.parametrize("key", ["thinking", "reasoning", "reasoning_content"])
def test_reasoning_is_kept_under_any_key_of_a_turn(key: str) -> None:
    assert (
        turns({"messages": [ASK, {**SAY, key: "hm"}]})[1]["reasoning_content"] == "hm"
    )


def test_reasoning_stays_under_the_key_that_some_templates_read_alone() -> None:
    assert turns({"messages": [ASK, {**SAY, "thinking": "hm"}]})[1]["thinking"] == "hm"


@pytest.mark.parametrize("key", ["train", "training", "weight", "loss", "loss_weight"])
@pytest.mark.parametrize("value", [False, 0, 0.0])
def test_a_mask_is_heeded_under_any_key(key: str, value: Any) -> None:
    row = {"messages": [ASK, {**SAY, key: value}, ASK, {**SAY, key: 1.0}]}
    assert [turn.get("train") for turn in turns(row)] == [None, False, None, True]


@pytest.mark.parametrize("value", ["False", "0", [0], float("nan")])
def test_a_flag_of_another_kind_is_a_fault(value: Any) -> None:
    assert "a training flag is neither" in fault(
        {"messages": [ASK, {**SAY, "loss": value}]}
    )
    assert "unmask" in fault({"messages": [ASK, SAY], "unmask": value})


def test_a_negative_weight_is_a_fault_as_its_text_would_be_trained_on() -> None:
    part = {"type": "text", "text": "Ninety miles.", "weight": -1}
    for own in ({**SAY, "weight": -0.5}, {"role": "assistant", "content": [part]}):
        assert "a weight is negative" in fault({"messages": [ASK, own]})


def test_a_weight_that_no_host_knows_is_counted() -> None:
    reader = RowReader(SourceSettings(path="x"))
    messages = reader.read({"messages": [ASK, {**SAY, "weight": 0.5}]})[1]["messages"]
    assert messages[1]["train"] is True
    assert reader.passed == {"weight other than 0 and 1": 1}


def test_flags_that_disagree_are_a_fault() -> None:
    own = {**SAY, "train": True, "weight": 0}
    assert "disagree (train, weight)" in fault({"messages": [ASK, own]})


def test_flags_of_parts_become_ranges_of_characters() -> None:
    parts = [
        {"type": "text", "text": "a hint", "train": False},
        {"type": "text", "text": " and the rest", "weight": 1},
    ]
    own = turns({"messages": [ASK, {**SAY, "content": parts}]})[1]
    assert own["content"] == "a hint and the rest"
    ranges = [
        (d["begin_offset"], d["end_offset"], d["train"]) for d in own["train_detail"]
    ]
    assert ranges == [(0, 5, False), (6, 18, True)]
    assert "reasoning" in fault({"messages": [ASK, {**SAY, "reasoning": parts}]})


def test_earlier_answers_of_a_prompt_are_not_trained() -> None:
    row = {"prompt": [ASK, SAY, ASK], "completion": [SAY]}
    assert [turn.get("train") for turn in turns(row)] == [None, False, None, None]
    assert turns({**row, "system": "s"})[0] == {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ({"question": "q", "A": "Rome", "B": "Paris", "answer": "B"}, ("A", "B")),
        ({"question": "q", "choices": ["Rome", "Paris"], "answer": "B"}, ("choices",)),
        ({"instruction": "a", "question": "b", "answer": "c"}, ("question",)),
        ({"question": "q", "document": "Long.", "answer": "a"}, ("document",)),
        ({"prompt": "q", "completion": "a", "label": True}, ("label",)),
        ({"problem": "p", "solution": "s", "answer": "7x"}, ("solution",)),
        ({"messages": [ASK, SAY], "images": ["a.png"]}, ("images",)),
        ({"messages": [ASK, SAY], "rejected": "no"}, ("rejected",)),
        ({"messages": [ASK, SAY], "context": "Bern lies low."}, ("context",)),
        ({"messages": [{**ASK, "mask": True}, SAY]}, ("mask",)),
        ({"messages": [{**ASK, "hint": "Bern"}, SAY]}, ("hint",)),
        ({"messages": [{**ASK, "value": "another text"}, SAY]}, ("value",)),
    ],
)
def test_text_that_would_be_lost_is_refused_by_name_and_may_be_ignored(
    row: dict[str, Any], names: tuple[str, ...]
) -> None:
    assert unread(row) == names
    read(row, ignore=list(names))


@pytest.mark.parametrize(
    "extra",
    [
        {"id": "7", "source": "wiki", "license": "MIT", "topic": "towns"},
        {"score": 3.5, "checked": True, "images": [], "history": None, "label": "good"},
        {"metadata": {"url": "http://a"}, "doc_id": "x", "original_question": "What?"},
        {"generations": ["one", "another"]},
    ],
)
def test_metadata_beside_messages_is_counted(extra: dict[str, Any]) -> None:
    reader = RowReader(SourceSettings(path="x"))
    reader.read({"messages": [ASK, SAY], **extra})
    known = {k for k, v in extra.items() if v or v is False}
    assert known <= set(reader.passed) | {"images", "history"}


def test_what_is_ignored_is_left_out_even_if_it_is_known() -> None:
    call = {"name": "f", "arguments": {}}
    answer = {**SAY, "reasoning": "hm", "tool_calls": [call], "weight": 0}
    row = {
        "messages": [ASK, answer],
        "tools": [{"name": "f"}],
        "unmask": True,
        "chat_template_kwargs": {"a": 1},
    }
    names = "reasoning tool_calls weight tools unmask chat_template_kwargs".split()
    reader = RowReader(SourceSettings(path="x", ignore=names))
    assert reader.read(row)[1] == {"messages": [ASK, SAY]}
    assert reader.passed == dict.fromkeys(names, 1)


def test_a_column_of_where_still_does_what_it_does() -> None:
    row = {"messages": [ASK, SAY], "unmask": True}
    assert turns(row, where={"unmask": True})[0]["train"] is True


def test_columns_that_where_names_are_known() -> None:
    row = {"prompt": "q", "completion": "a", "label": True, "remark": "ok"}
    assert read(row, where={"label": True, "remark": "ok"})


def test_several_columns_are_appended_where_the_spec_says_so() -> None:
    row = {"question": "q", "A": "Rome", "choices": ["x", "y"], "answer": "a"}
    assert said(row, field_input=["A", "choices"])[0] == ("user", "q\n\nRome\n\nx\ny")


CALL = {"name": "weather", "arguments": {"unit": "C", "city": "Rome"}}
PAIR = {"prompt": "q", "chosen": "good", "rejected": "bad"}


class TestTools:
    def arguments(self, call: Any, **settings: Any) -> str:
        row = {"messages": [ASK, {**SAY, "tool_calls": [call]}]}
        own = turns(row, **settings)[1]["tool_calls"][0]["function"]
        return own["arguments"]  # type: ignore[no-any-return]

    def test_keys_keep_their_order(self) -> None:
        text = '{"unit": "C", "city": "Rome"}'
        assert self.arguments(CALL) == text
        tools = [{"type": "function", "function": {"name": "f", "description": "d"}}]
        row = {"messages": [ASK, SAY], "tools": tools}
        assert read(row)["tools"] == json.dumps(tools)

    @pytest.mark.parametrize(
        "call",
        [
            {"function": {"name": "weather", "parameters": {"unit": "C"}}},
            {"function": "weather", "arguments": {"unit": "C"}},
            {"name": "weather", "arguments": '{"unit": "C"}'},
        ],
    )
    def test_a_call_is_read_in_each_form(self, call: Any) -> None:
        assert self.arguments(call) == '{"unit": "C"}'

    @pytest.mark.parametrize("nothing", [None, "", " ", {}, "null"])
    def test_no_arguments_are_an_empty_object(self, nothing: Any) -> None:
        assert self.arguments({"name": "now", "arguments": nothing}) == "{}"

    @pytest.mark.parametrize("wrong", ["{'a': 1}", "[1]", [1], 7])
    def test_arguments_that_are_no_object_are_a_fault(self, wrong: Any) -> None:
        row = {
            "messages": [
                ASK,
                {**SAY, "tool_calls": [{"name": "f", "arguments": wrong}]},
            ]
        }
        assert "the arguments of a tool call are not a JSON object" in fault(row)

    @pytest.mark.parametrize("wrong", ["[{'name': 1}]", '{"name": "f"}', [7]])
    def test_tools_that_are_no_list_of_objects_are_a_fault(self, wrong: Any) -> None:
        assert "the tools are not a list" in fault(
            {"messages": [ASK, SAY], "tools": wrong}
        )

    def test_nulls_of_arrow_are_not_part_of_the_text(self) -> None:
        call = {"name": "f", "arguments": {"city": "Rome", "day": None}}
        tools = [{"name": "f", "parameters": {"city": {"type": "s", "enum": None}}}]
        row = {"messages": [ASK, {**SAY, "tool_calls": [call]}], "tools": tools}
        found = read(row, arrow=True)
        (call,) = found["messages"][1]["tool_calls"]
        assert "null" not in call["function"]["arguments"] + found["tools"]
        found = read(row)  # in JSON, its author wrote it
        (call,) = found["messages"][1]["tool_calls"]
        text = call["function"]["arguments"] + found["tools"]
        assert text.count("null") == 2

    @pytest.mark.parametrize("content", [None, "Let me look."])
    def test_a_function_call_is_a_tool_call(self, content: str | None) -> None:
        own = {"role": "assistant", "content": content, "function_call": CALL}
        found = turns({"messages": [ASK, own]})[1]
        assert found["tool_calls"][0]["function"]["name"] == "weather"
        assert found["content"] == (content or "")

    def test_a_turn_from_function_call_is_a_tool_call(self) -> None:
        rows = [
            {"from": "human", "value": "Warm?"},
            {"from": "function_call", "value": json.dumps(CALL)},
            {"from": "observation", "value": "20"},
            {"from": "gpt", "value": "Yes."},
        ]
        found = turns({"conversations": rows})
        assert [turn["role"] for turn in found] == [
            "user",
            "assistant",
            "tool",
            "assistant",
        ]
        assert found[1]["tool_calls"][0]["function"]["name"] == "weather"
        rows[1]["value"] = '{"no": "name"}'
        assert "a tool call has no function name" in fault({"conversations": rows})

    def test_answers_that_are_calls_are_tool_calls(self) -> None:
        row = {
            "id": 1,
            "query": "Warm?",
            "tools": json.dumps([{"name": "weather"}]),
            "answers": json.dumps([CALL]),
        }
        found = read(row)
        assert found["messages"][1]["tool_calls"][0]["function"]["name"] == "weather"
        assert json.loads(found["tools"]) == [{"name": "weather"}]

    def test_a_tool_answers_a_call_that_is_written_in_the_text(self) -> None:
        call = {"role": "assistant", "content": '<tool_call>{"name": "f"}</tool_call>'}
        tool = {"role": "tool", "content": "1"}
        assert len(turns({"messages": [ASK, call, tool, SAY]})) == 4

    def test_a_key_of_a_call_that_nobody_knows_is_a_fault(self) -> None:
        call = {**CALL, "result": "20 C"}
        assert "(result)" in fault({"messages": [ASK, {**SAY, "tool_calls": [call]}]})


class TestPairs:
    def test_are_refused_with_the_way_to_train_on_the_chosen_side(self) -> None:
        assert "field_output: chosen" in fault(PAIR)
        whole = {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"a": "b"},
        }
        assert "field_output: chosen" in fault(whole)

    @pytest.mark.parametrize(
        ("row", "settings"),
        [
            (PAIR, {"field_output": "chosen"}),
            (
                {**PAIR, "chosen": [ASK | {"content": "q"}, SAY | {"content": "good"}]},
                {"field_messages": "chosen"},
            ),
            (
                {
                    "conversations": [{"from": "human", "value": "q"}],
                    "chosen": {"from": "gpt", "value": "good"},
                    "rejected": {"from": "gpt", "value": "bad"},
                },
                {"field_output": "chosen"},
            ),
        ],
    )
    def test_give_their_chosen_side_when_asked_for(
        self, row: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        found = said(row, ignore=["rejected"], **settings)
        assert found == [("user", "q"), ("assistant", "good")]


class TestSeveralConversations:
    def test_each_instance_of_a_task_is_one(self) -> None:
        row = {
            "instruction": "Add.",
            "instances": [
                {"input": "1 1", "output": "2"},
                {"input": "", "output": "0"},
            ],
        }
        assert [said(part)[0][1] for part in expanded(row)] == ["Add.\n\n1 1", "Add."]

    def test_each_path_of_a_tree_is_one_and_no_answer_is_trained_twice(self) -> None:
        def node(role: str, text: str, *replies: Any) -> dict[str, Any]:
            return {"role": role, "text": text, "replies": list(replies)}

        more = [
            node("prompter", "c", node("assistant", "d")),
            node("prompter", "e", node("assistant", "f")),
            node("prompter", "unanswered"),
        ]
        tree = node(
            "prompter", "a", node("assistant", "b", *more), node("assistant", "z")
        )
        rows = list(expanded({"message_tree_id": "1", "prompt": tree}))
        found = [turns(row) for row in rows]
        texts = ["".join(turn["content"] for turn in own) for own in found]
        assert texts == ["abcd", "abef", "az"]
        trained = [
            turn["content"]
            for own in found
            for turn in own
            if turn["role"] == "assistant" and turn.get("train", True)
        ]
        assert sorted(trained) == ["b", "d", "f", "z"]


class TestTypes:
    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("alpacca", "did you mean 'alpaca'"),
            ("completion", "trains on the whole text"),
            ("input_output", "marks the trained parts"),
            ("dpo.chatml", "preference pairs"),
            ("nothing.like.it", "is not a type that a mix reads"),
        ],
    )
    def test_that_a_mix_does_not_read_are_refused(self, name: str, why: str) -> None:
        phase = {"name": "p", "datasets": [{"path": "x", "type": name}]}
        with pytest.raises(SettingsError, match=why) as caught:
            load_mix({"phases": [phase]})
        assert "phases.0.datasets.0.type" in str(caught.value)

    def test_read_the_columns_that_axolotl_reads(self) -> None:
        row = {"question": "q", "answer": "a", "response": "r", "system_prompt": "s"}
        orca = "alpaca_w_system.load_open_orca"
        assert said(row, type=orca) == [
            ("system", "s"),
            ("user", "q"),
            ("assistant", "r"),
        ]
        assert said(row, type="alpaca_chat.load_qa")[-1] == ("assistant", "a")
        missing = fault({"prompt": "q", "output": "a"}, type="alpaca")
        assert missing == "the question or the answer column is missing (instruction)"

    @pytest.mark.parametrize("name", [n for n, t in TYPES.items() if t.reads_turns])
    def test_of_messages_do_not_read_questions(self, name: str) -> None:
        assert "no messages" in fault({"instruction": "q", "output": "a"}, type=name)


def test_properties_that_messages_do_not_have_are_refused() -> None:
    own = {"path": "x", "message_property_mappings": {"thoughts": "thinking"}}
    with pytest.raises(SettingsError, match="'thoughts' is not a key of the messages"):
        load_mix({"phases": [{"name": "p", "datasets": [own]}]})


# --- Each value that could be trained on is in the output or named in a fault -------

FORMS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [ASK, SAY]},
    "sharegpt": {
        "conversations": [
            {"from": "human", "value": "q"},
            {"from": "gpt", "value": "a"},
        ]
    },
    "alpaca": {"instruction": "q", "input": "", "output": "a"},
    "prompt": {"prompt": "q", "completion": "a"},
    "chat prompt": {"prompt": [ASK], "completion": [SAY]},
    "question": {"question": "q", "answer": "a"},
    "query": {"query": "q", "response": "a"},
}
COLUMNS = """
    context input history system system_prompt choices options A reasoning thinking
    document passage images videos audios chosen rejected hint remark rationale
    functions solution text
""".split()
KEYS = """
    thinking reasoning reasoning_content name tool_calls function_call weight loss train
    parts mask hint masked value text
""".split()


def marked(draw: random.Random, number: int) -> tuple[Any, list[str]]:
    """A value, and the texts in it that must be found again."""
    marks = [f"mark{number}{chr(97 + i)}" for i in range(2)]
    value: Any = draw.choice(
        [
            marks[0],
            marks,
            [marks],
            {"a": marks[0], "b": [marks[1]]},
            [{"name": marks[0], "arguments": {"k": marks[1]}}],
            {"name": marks[0], "arguments": json.dumps({"k": marks[1]})},
            [{"type": "text", "text": marks[0]}],
        ]
    )
    return value, [mark for mark in marks if mark in json.dumps(value)]


def generated(count: int) -> Iterator[tuple[dict[str, Any], dict[str, list[str]]]]:
    """Rows of every form with extra columns and keys, and the marks under each name."""
    draw = random.Random(5)
    for number in range(count):
        row = json.loads(json.dumps(FORMS[draw.choice(list(FORMS))]))
        marks: dict[str, list[str]] = {}
        for column in draw.sample(COLUMNS, draw.randint(0, 3)):
            if not row.get(column):
                row[column], marks[column] = marked(draw, number)
        lists = [value for value in row.values() if isinstance(value, list)]
        messages = [m for own in lists for m in own if isinstance(m, dict)]
        turns_of = [m for m in messages if "role" in m or "from" in m]
        if turns_of:
            turn = draw.choice(turns_of)
            for key in draw.sample(KEYS, draw.randint(0, 2)):
                if key not in turn:
                    turn[key], marks[key] = marked(draw, number)
        yield row, marks


@pytest.mark.parametrize("count", [3000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_text_of_any_row_is_lost_without_being_named(count: int) -> None:
    read_rows = refused = 0
    for row, marks in generated(count):
        reader = RowReader(SourceSettings(path="x"))
        try:
            found = json.dumps(reader.read(row)[1])
        except RowFault as error:
            unnamed = [] if error.code != "text-unread" else error.detail.split(", ")
            lost = sorted(set(unnamed) - set(marks))
            refused += 1
        else:
            lost = [n for n, own in marks.items() if any(m not in found for m in own)]
            # Beside messages, no kind of training reads these; they are counted.
            has_turns = "messages" in row or "conversations" in row
            unknown = (
                {"A", "hint", "remark", "solution", "text"} if has_turns else set()
            )
            lost = [n for n in lost if not (n in unknown and reader.passed[n])]
            read_rows += 1
        assert not lost, row
    assert min(read_rows, refused) > count / 10


def test_the_index_that_pandas_writes_is_no_text() -> None:
    reader = RowReader(SourceSettings(path="x"))
    row = {"": "0", "Unnamed: 0": "7", "question": "How many?", "answer": "Two."}
    _, found = reader.read(row)
    assert [m["content"] for m in found["messages"]] == ["How many?", "Two."]
    assert reader.passed == {"": 1, "Unnamed: 0": 1}
