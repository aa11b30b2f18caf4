"""The values of `type` that a mix reads, each with the columns that Axolotl takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetType:
    """The columns of one type of dataset.

    The empty strings are columns that the type does not have. A format names columns
    in braces and replaces the plain text of the question or the answer.
    """

    question: str = ""
    answer: str = ""
    input: str = ""
    system: str = ""
    question_format: str = ""
    answer_format: str = ""

    @property
    def reads_turns(self) -> bool:
        """Whether its rows contain messages."""
        return not self.question


_CHAT = DatasetType()
_ALPACA = DatasetType("instruction", "output", "input")
_ALPACA_SYSTEM = DatasetType("instruction", "output", "input", "system")
_OPEN_ORCA = DatasetType("question", "response", system="system_prompt")

TYPES: Mapping[str, DatasetType] = {
    "chat_template": _CHAT,
    "chat_template.default": _CHAT,
    "sharegpt": _CHAT,
    "alpaca": _ALPACA,
    "alpaca:chat": _ALPACA,
    "alpaca:instruct": _ALPACA,
    "alpaca:chatml": _ALPACA,
    "alpaca_chat": _ALPACA,
    "alpaca_chat.load": _ALPACA,
    "alpaca_chat.load_concise": _ALPACA,
    "alpaca_chat.load_no_prompt": _ALPACA,
    "alpaca_chat.load_qa": DatasetType("question", "answer"),
    "alpaca_chat.load_camel_ai": DatasetType("message_1", "message_2"),
    "alpaca_instruct": _ALPACA,
    "alpaca_instruct.load": _ALPACA,
    "alpaca_instruct.load_no_prompt": _ALPACA,
    "alpaca_w_system": _ALPACA_SYSTEM,
    "alpaca_w_system.load": _ALPACA_SYSTEM,
    "alpaca_w_system.load_chat": _ALPACA_SYSTEM,
    "alpaca_w_system.load_instruct": _ALPACA_SYSTEM,
    "alpaca_w_system.load_open_orca": _OPEN_ORCA,
    "alpaca_w_system.load_open_orca_chatml": _OPEN_ORCA,
    "gpteacher": DatasetType("instruction", "response", "input"),
    "oasst": DatasetType("INSTRUCTION", "RESPONSE"),
    "summarizetldr": DatasetType("article", "summary"),
    "jeopardy": DatasetType(
        "question",
        "answer",
        question_format="{question}\n\n{category}",
        answer_format="what is {answer}",
    ),
    "context_qa": DatasetType(
        "question", "answer", question_format="{article}\n===\n{question}"
    ),
    "context_qa.load": DatasetType(
        "question", "answer", question_format="{article}\n===\n{question}"
    ),
    "context_qa.load_v2": DatasetType(
        "question",
        "answer",
        question_format="Context: {context}\nQuestion: {question}\n",
        answer_format="Answer: {answer}",
    ),
}
"""By the value of `type`. `sharegpt` is the former name of `chat_template`."""

NOT_CONVERSATIONS: Mapping[str, str] = {
    "completion": "trains on the whole text",
    "pretrain": "trains on the whole text",
    "input_output": "marks the trained parts of a raw text",
    "bradley_terry": "is for reward models",
    "stepwise_supervised": "is for reward models",
    "dpo": "is for preference pairs",
    "kto": "is for labelled answers",
    "orpo": "is for preference pairs",
    "chatml": "is for preference pairs",
    "llama3": "is for preference pairs",
}
"""Types of Axolotl that no conversation can express, by the first part of the name."""
