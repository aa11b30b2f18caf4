"""The settings of a dataset: each is heeded, or refused with what would be right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axolotl_sftguide import mix
from axolotl_sftguide.config.mix_settings import SourceSettings
from axolotl_sftguide.errors import MixError, SettingsError
from axolotl_sftguide.mixing import Mixed
from axolotl_sftguide.mixing._faults import RowFault, UnreadText
from axolotl_sftguide.mixing._forms import RowReader

ASK = {"role": "user", "content": "Is it deep?"}
SAY = {"role": "assistant", "content": "Nine metres."}


def read(row: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    reader = RowReader(SourceSettings(path="x", **settings))
    return reader.read(row)[1]["messages"]  # type: ignore[no-any-return]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Mixed]:
    def run(*rows: dict[str, Any], **settings: Any) -> Mixed:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "a.jsonl").write_text(text)
        dataset = {"path": "a.jsonl", **settings}
        spec = {"phases": [{"name": "p", "datasets": [dataset]}]}
        return mix(spec, tmp_path / "mixes", base=tmp_path, workers=1)

    return run


class TestNamedColumns:
    @pytest.mark.parametrize(
        ("key", "wrong"),
        [
            ("field_system", "personna"),
            ("field_system", "Persona"),
            ("field_tools", "apis"),
            ("field_input", "rivers"),
            ("field_input", ["river", "rivers"]),
            ("field_messages", "message"),
        ],
    )
    def test_that_no_row_has_are_an_error(
        self, make: Callable[..., Mixed], key: str, wrong: Any
    ) -> None:
        row = {"messages": [ASK, SAY], "persona": "A fish.", "river": "The Aare."}
        with pytest.raises(MixError, match=f"a.jsonl: {key}: no row has the column"):
            make(row, **{key: wrong})

    def test_suggest_the_column_that_was_meant(
        self, make: Callable[..., Mixed]
    ) -> None:
        with pytest.raises(MixError, match="did you mean 'persona'"):
            make({"messages": [ASK, SAY], "persona": "x"}, field_system="personna")

    def test_may_be_missing_in_some_rows(self, make: Callable[..., Mixed]) -> None:
        rows = [{"messages": [ASK, SAY], "persona": "A fish."}, {"messages": [ASK]}]
        rows[1]["messages"] = [{**ASK, "content": "Is it wide?"}, SAY]
        lines = make(*rows, field_system="persona").data.read_text().splitlines()
        assert sorted(len(json.loads(line)["messages"]) for line in lines) == [2, 3]

    def test_of_axolotls_defaults_may_be_missing(
        self, make: Callable[..., Mixed]
    ) -> None:
        row = {"messages": [ASK, SAY]}
        assert make(
            row, field_system="system", field_tools="tools", field_input="input"
        )

    @pytest.mark.parametrize(
        ("row", "settings"),
        [
            ({"messages": [ASK, SAY]}, {}),
            ({"messages": [ASK, SAY, {**ASK, "content": "Sure?"}, SAY]}, {}),
            ({"instruction": ASK["content"], "output": "So."}, {"type": "alpaca"}),
        ],
    )
    def test_of_field_input_are_appended_to_the_first_question(
        self, row: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        found = read({**row, "context": "A lake."}, field_input="context", **settings)
        assert found[0]["content"] == "Is it deep?\n\nA lake."
        assert [m["content"] for m in found[1:]].count("A lake.") == 0


class TestRolesToTrain:
    def test_that_are_misspelt_are_an_error(self, make: Callable[..., Mixed]) -> None:
        with pytest.raises(SettingsError, match="did you mean 'assistant'"):
            make({"messages": [ASK, SAY]}, roles_to_train=["assistent"])

    def test_may_be_the_names_that_the_spec_gives_them(self) -> None:
        row = {"messages": [{**ASK, "role": "me"}, {**SAY, "role": "you"}]}
        names = {"user": ["me"], "assistant": ["you"]}
        for trained in ("you", "assistant", "gpt"):
            found = read(row, roles=names, roles_to_train=[trained])
            assert [message["train"] for message in found] == [False, True]


SYSTEM = {"system": "Be brief."}


class TestSystemColumns:
    def test_beside_another_system_message_are_listed_as_left_out(self) -> None:
        own = {"role": "system", "content": "Be exact."}
        reader = RowReader(SourceSettings(path="x"))
        found = reader.read({**SYSTEM, "messages": [own, ASK, SAY]})[1]["messages"]
        assert found[0] == own  # as in Axolotl
        assert reader.passed == {"system": 1}
        prompt = {**SYSTEM, "prompt": [own, ASK], "completion": [SAY]}
        assert reader.read(prompt)[1]["messages"][0] == own
        assert reader.passed == {"system": 2}

    def test_take_the_place_of_an_empty_system_message(self) -> None:
        empty = {"role": "system", "content": " "}
        found = read({**SYSTEM, "messages": [empty, ASK, SAY]})
        assert found[0]["content"] == "Be brief."

    def test_of_which_there_are_two_are_not_both_read(self) -> None:
        row = {**SYSTEM, "system_prompt": "Be exact.", "messages": [ASK, SAY]}
        with pytest.raises(UnreadText, match="system_prompt"):
            read(row)

    def test_do_not_matter_if_system_messages_are_dropped(self) -> None:
        own = {"role": "system", "content": "Be exact."}
        row = {**SYSTEM, "messages": [own, ASK, SAY]}
        assert read(row, drop_system_message=True) == [ASK, SAY]


@pytest.mark.parametrize(
    "name", ["chat_history", "conversation_history", "Dialogue History"]
)
def test_earlier_turns_in_a_column_of_another_name_are_not_dropped(name: str) -> None:
    for row in ({"messages": [ASK, SAY]}, {"query": "Deep?", "response": "So."}):
        with pytest.raises(UnreadText, match=name):
            read({**row, name: [["Where is it?", "In Bern."]]})


def test_an_answer_in_a_column_beside_the_messages_is_told() -> None:
    row = {"messages": [ASK], "response": SAY["content"]}
    with pytest.raises(RowFault, match="field_instruction: messages and field_output"):
        read(row)
    found = read(row, field_instruction="messages", field_output="response")
    assert found == [ASK, SAY]


def test_a_type_with_a_format_is_refused_with_the_keys_that_say_the_same(
    make: Callable[..., Mixed],
) -> None:
    own = {"field_instruction": "a", "field_output": "b", "format": "{instruction}"}
    with pytest.raises(SettingsError, match="write field_instruction, field_input"):
        make({"a": "Is it deep?", "b": "So."}, type=own)


def test_a_value_of_where_that_no_row_has_is_named(make: Callable[..., Mixed]) -> None:
    rows = [{"messages": [ASK, SAY], "source": "a"}, {"messages": [ASK], "source": "b"}]
    rows[1]["messages"] = [{**ASK, "content": "Is it wide?"}, SAY]
    made = make(*rows, where={"source": ["a", "bb"]})
    assert made.manifest.notes == ["a.jsonl: where.source: no row has 'bb'"]
    assert make(*rows, where={"source": ["a", "b"]}).manifest.notes == []
