"""TRL trains the same tokens from a mix as from the rows that it was mixed from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from axolotl_sftguide import mix

TEMPLATE = """\
{{ bos_token }}{% if thinking is defined and not thinking %}/no_think{% endif %}\
{% if tools %}{{ tools | tojson }}{% endif %}\
{% for m in messages %}{{ '<|' + m.role + '|>' }}\
{% if m.role == 'assistant' %}{% generation %}\
{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{{ m.content or '' }}\
{% for call in m.tool_calls or [] %}\
{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}\
{{ eos_token }}{% endgeneration %}\
{% else %}{{ m.content }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""
"""A template that shows everything a message may have."""

ASK = {"role": "user", "content": "valley and river"}
SAY = {"role": "assistant", "content": "stone and sand"}
CALL = {
    "id": "1",
    "type": "function",
    "function": {"name": "add", "arguments": {"unit": "metre", "a": 1}},
}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {
            "type": "object",
            "properties": {"unit": {"type": "string"}, "a": {"type": "integer"}},
        },
    },
}


def row(form: str, i: int) -> dict[str, Any]:
    ask, say = dict(ASK), dict(SAY)
    ask["content"] += f" {i}"
    say["content"] += " and sand" * i
    if form == "messages":
        return {"messages": [ask, say, ask, {**say, "content": "meadow"}]}
    if form == "sharegpt":
        turns = [("human", ask), ("gpt", say)]
        return {"conversations": [{"from": f, "value": m["content"]} for f, m in turns]}
    if form == "prompt and completion":
        return {"prompt": [ask, say, ask], "completion": [say]}
    if form == "arguments of the template":
        kwargs = {"thinking": False} if i % 2 else {}
        return {"messages": [ask, say], "chat_template_kwargs": kwargs}
    if form == "reasoning":
        return {"messages": [ask, {**say, "reasoning_content": f"hill {i}"}]}
    called = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    result = {"role": "tool", "content": str(i), "tool_call_id": "1"}
    return {"messages": [ask, called, result, say], "tools": [ADD]}


def prepared(base: Path, data: Any, out: Path, **settings: Any) -> list[dict[str, Any]]:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = TEMPLATE
    trainer = SFTTrainer(
        model=str(base),
        args=SFTConfig(
            output_dir=str(out),
            max_length=None,
            bf16=False,
            use_cpu=True,
            report_to=[],
            **settings,
        ),
        train_dataset=data,
        processing_class=tokenizer,
    )
    return list(trainer.train_dataset)


@pytest.mark.parametrize(
    "form",
    [
        "messages",
        "prompt and completion",
        "arguments of the template",
        "reasoning",
        "tools",
    ],
)
def test_the_tokens_of_each_row_are_those_of_its_source(
    form: str, base: Path, tmp_path: Path
) -> None:
    rows = [row(form, i) for i in range(7)]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(own) + "\n" for own in rows))
    phases = [{"name": "p", "datasets": [{"path": "a.jsonl"}]}]
    made = mix({"phases": phases}, tmp_path / "m", base=tmp_path, workers=1)
    kind, cache = made.manifest.ds_type, str(tmp_path / "cache")
    mixed = load_dataset(
        kind, data_files=str(made.data), split="train", cache_dir=cache
    )
    given = load_dataset("json", data_files=str(source), split="train", cache_dir=cache)
    places = mixed["row"]
    assert sorted(places) == list(range(1, 8))
    by_turn = form == "prompt and completion"
    masked = form != "sharegpt"  # of which TRL trains on the whole text
    found = prepared(base, mixed, tmp_path, assistant_only_loss=masked)
    wanted = prepared(base, given, tmp_path, assistant_only_loss=masked and not by_turn)
    for place, own in zip(places, found, strict=True):
        source_row = wanted[place - 1]
        assert own["input_ids"] == source_row["input_ids"]
        if by_turn:  # of the prompt's earlier answer, TRL ignores the flag
            trained = [label for label in source_row["labels"] if label != -100]
            assert own["labels"][-len(trained) :] == trained
        else:
            assert own["labels"] == source_row["labels"]
        assert sum(label != -100 for label in own["labels"]) > 3
