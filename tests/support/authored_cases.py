"""Models, data and cards that a config is written for."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tiny import WORDS

from axolotl_sftguide.authoring import (
    Authored,
    DataFacts,
    Request,
    SourceFacts,
    author,
    read_model,
)


@dataclass(frozen=True)
class Case:
    """One combination."""

    name: str
    model: str
    rows: int
    gib: float
    gpus: int = 1
    mean: int = 400
    """Mean tokens per row."""
    form: str = "messages"
    flags: dict[str, Any] = field(default_factory=dict)
    """Of the facts of the data: `with_tools` and such."""
    given: dict[str, Any] = field(default_factory=dict)
    """Of the request."""

    def data(self) -> DataFacts:
        """Facts of data with lengths that vary as those of chats do."""
        draws = np.random.default_rng(7).lognormal(0, 0.8, self.rows)
        tokens = np.maximum(20, draws / draws.mean() * self.mean)
        source = SourceFacts("chats.jsonl", self.rows, forms=Counter([self.form]))
        flags = {k: self.rows for k in self.flags}
        roles = Counter(user=self.rows, assistant=self.rows)
        return DataFacts([source], tokens, float(tokens.sum()) * 0.7, 0, roles, **flags)

    def author(self) -> Authored:
        """The config for it."""
        return _authored(self.name)

    def make(self) -> Authored:
        """Write the config."""
        request = Request(
            self.model,
            ["chats.jsonl"],
            int(self.gib * 2**30),
            gpus=self.gpus,
            name=self.name,
            **self.given,
        )
        return author(request, read_model(self.model, download=False), self.data())


@cache
def _authored(name: str) -> Authored:
    return next(case for case in CASES if case.name == name).make()


TOOLS, THOUGHT, SYSTEM = (
    {"with_tools": True},
    {"with_reasoning": True},
    {"with_system": True},
)
STYLE = {"goal": "style"}

CASES = [
    Case("llama-1b-8g", "meta-llama/Llama-3.2-1B", 300, 8, mean=250, form="sharegpt"),
    Case("llama-3b-24g", "meta-llama/Llama-3.2-3B-Instruct", 2_000, 24, given=STYLE),
    Case("llama-8b-24g", "meta-llama/Llama-3.1-8B", 24_000, 24, flags=SYSTEM),
    Case("llama-8b-80g", "meta-llama/Llama-3.1-8B", 60_000, 80, form="alpaca"),
    Case("llama-8b-8x80g", "meta-llama/Llama-3.1-8B", 300_000, 80, 8),
    Case("llama-70b-8x80g", "meta-llama/Llama-3.3-70B-Instruct", 12_000, 80, 8),
    Case("llama-70b-4x24g", "meta-llama/Llama-3.1-70B", 12_000, 24, 4),
    Case("mistral-7b-16g", "mistralai/Mistral-7B-v0.1", 5_000, 16, form="sharegpt"),
    Case("mistral-7b-8x80g", "mistralai/Mistral-7B-v0.1", 250_000, 80, 8),
    Case("mistral-7b-tuned", "mistralai/Mistral-7B-Instruct-v0.3", 900, 24),
    Case("nemo-12b-tools", "mistralai/Mistral-Nemo-Base-2407", 9_000, 24, flags=TOOLS),
    Case("qwen-0.6b-8g", "Qwen/Qwen3-0.6B-Base", 10_000, 8, mean=200),
    Case("qwen-8b-thoughts", "Qwen/Qwen3-8B-Base", 20_000, 24, 1, 3_000, flags=THOUGHT),
    Case("qwen-8b-4x24g", "Qwen/Qwen3-8B", 100_000, 24, 4, flags=THOUGHT),
    Case("qwen-7b-tools", "Qwen/Qwen2.5-7B-Instruct", 15_000, 24, flags=TOOLS),
    Case(
        "qwen-7b-full",
        "Qwen/Qwen2.5-7B",
        10_000,
        80,
        4,
        given={"training": "full"},
    ),
    Case("granite-8b-24g", "ibm-granite/granite-4.1-8b-base", 24_000, 24, flags=TOOLS),
    Case("gemma-2b-12g", "google/gemma-2-2b", 3_000, 12, flags=SYSTEM),
    Case("gemma-9b-tuned", "google/gemma-2-9b-it", 1_500, 24, given=STYLE),
    Case("gemma-1b", "google/gemma-3-1b-pt", 50_000, 16, mean=150),
    Case("smollm-135m", "HuggingFaceTB/SmolLM2-135M", 20_000, 8, mean=180),
    Case("smollm-1.7b", "HuggingFaceTB/SmolLM2-1.7B-Instruct", 700, 12, mean=900),
    Case("smollm-3b-2x24g", "HuggingFaceTB/SmolLM3-3B-Base", 220_000, 24, 2),
    Case("zero", "Qwen/Qwen3-14B-Base", 8_000, 80, 4, given={"sharding": "zero"}),
    Case(
        "unpacked",
        "Qwen/Qwen3-4B-Base",
        4_000,
        24,
        2,
        given={"packing": False, "training": "lora"},
    ),
]


def write_form(path: Path, form: str, count: int, words: int = 30) -> Path:
    """Rows in one of the forms that people have, each of them different."""
    draw = random.Random(3)

    def text(most: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(2, most)))

    with path.open("w") as file:
        for number in range(count):
            asked, said = f"{text(8)} {number}", text(words)
            user = {"role": "user", "content": asked}
            answer = {"role": "assistant", "content": said}
            call = {"name": "look", "arguments": {"word": said}}
            tool = {"name": "look", "parameters": {"type": "object", "properties": {}}}
            row: dict[str, Any] = {
                "messages": {"messages": [user, answer]},
                "sharegpt": {
                    "conversations": [
                        {"from": "human", "value": asked},
                        {"from": "gpt", "value": said},
                        {"from": "human", "value": text(4)},
                        {"from": "gpt", "value": text(words)},
                    ]
                },
                "alpaca": {"instruction": asked, "input": "", "output": said},
                "reasoning": {
                    "messages": [
                        user,
                        {**answer, "content": f"<think>{text(9)}</think>{said}"},
                    ]
                },
                "tools": {
                    "messages": [
                        user,
                        {
                            "role": "assistant",
                            "content": "",
                            "tool_calls": [{"type": "function", "function": call}],
                        },
                        {"role": "tool", "name": "look", "content": text(3)},
                        answer,
                    ],
                    "tools": [{"type": "function", "function": tool}],
                },
            }[form]
            file.write(json.dumps(row) + "\n")
    return path
