"""Facts of the data: rows, forms, lengths, duplicates, and what would be trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.mix_settings import SourceSettings
from ..errors import MixError
from ._tokens import MARKS, ROW, WHOLE, characters_of, estimated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAMPLE = 4000
"""Rows whose tokens are counted if the tokenizer is available."""

Count = Callable[[Sequence[str]], list[int]]


@dataclass
class SourceFacts:
    """What one file, folder or dataset holds."""

    path: str
    rows: int = 0
    """Rows that can be used, duplicates included."""
    repeated: int = 0
    """Rows that repeat an earlier row of any source."""
    forms: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    """Rows that cannot be used, by reason."""
    first_fault: str = ""

    @property
    def unusable(self) -> int:
        """Rows that cannot be used."""
        return self.faults.total()


@dataclass
class DataFacts:
    """The facts of all sources together; `rows` does not count duplicates."""

    sources: list[SourceFacts]
    tokens: NDArray[np.float64]
    """The length of each row."""
    trained: float
    """Tokens of the answers, over all rows."""
    counted: int
    """Rows whose tokens were counted; 0 if all are estimated from characters."""
    roles: Counter[str]
    """Messages by role."""
    with_system: int = 0
    with_tools: int = 0
    with_reasoning: int = 0
    """Rows with reasoning in a field of its own."""
    with_think: int = 0
    """Rows with `<think>` in the text of an answer."""
    turns: int = 0
    """Rows with more than one answer."""

    @property
    def rows(self) -> int:
        """Rows without duplicates."""
        return len(self.tokens)

    @property
    def mean(self) -> float:
        """Mean tokens per row."""
        return float(self.tokens.mean())

    @property
    def is_counted(self) -> bool:
        """Whether the lengths follow from counted tokens."""
        return self.counted > 0

    @property
    def row_factor(self) -> tuple[float, float]:
        """The interval of a row's length, as factors of it."""
        return (0.9, 1.1) if self.is_counted else ROW

    @property
    def whole_factor(self) -> tuple[float, float]:
        """The interval of the mean length, as factors of it."""
        return (0.98, 1.02) if self.is_counted else WHOLE

    def quantile(self, share: float) -> float:
        """The length that a share of the rows does not exceed."""
        import numpy as np

        return float(np.quantile(self.tokens, share, method="higher"))

    def longer_than(self, limit: float) -> int:
        """Rows longer than a limit."""
        return int((self.tokens > limit).sum())

    @property
    def reasons(self) -> bool:
        """Whether most rows have reasoning."""
        return self.with_reasoning + self.with_think > self.rows / 2


class _Reader:
    """Adds up the facts row by row."""

    def __init__(self, vocabulary: int) -> None:
        from ..mixing import fingerprint

        self._fingerprint = fingerprint
        self._vocabulary = vocabulary
        self._seen: set[bytes] = set()
        self._every = 1
        self.tokens: list[float] = []
        self.trained = 0.0
        self.sampled: list[tuple[int, str]] = []
        """Rows for the count, spread evenly over all."""
        self.counts: Counter[str] = Counter()
        self.roles: Counter[str] = Counter()

    def add(self, conversation: Mapping[str, Any]) -> bool:
        """Add a row; False if it repeats an earlier one."""
        digest = self._fingerprint(conversation)
        if digest in self._seen:
            return False
        self._seen.add(digest)
        messages = conversation["messages"]
        texts = [_text(message) for message in messages]
        tools = str(conversation.get("tools") or "")
        marks = MARKS * len(messages)
        sizes = [estimated(characters_of(t), self._vocabulary) for t in (*texts, tools)]
        place = len(self.tokens)
        self.tokens.append(sum(sizes) + marks)
        answers = [
            size
            for size, message in zip(sizes, messages, strict=False)
            if message.get("train", message["role"] == "assistant")
        ]
        self.trained += sum(answers) + len(answers)
        self._note(conversation, tools)
        if place % self._every == 0:
            self.sampled.append((place, "\n".join((*texts, tools))))
            if len(self.sampled) > _SAMPLE:
                self._every *= 2
                self.sampled = self.sampled[::2]
        return True

    def _note(self, conversation: Mapping[str, Any], tools: str) -> None:
        messages = conversation["messages"]
        self.roles.update(message["role"] for message in messages)
        answers = [m for m in messages if m["role"] == "assistant"]
        self.counts["system"] += messages[0]["role"] == "system"
        self.counts["tools"] += bool(tools) or any(
            m["role"] == "tool" or m.get("tool_calls") for m in messages
        )
        self.counts["reasoning"] += any(m.get("reasoning_content") for m in answers)
        self.counts["think"] += any("<think>" in m["content"] for m in answers)
        self.counts["turns"] += len(answers) > 1


def _text(message: Mapping[str, Any]) -> str:
    parts = [str(message["content"]), str(message.get("reasoning_content") or "")]
    parts += [
        f"{call['function']['name']} {call['function']['arguments']}"
        for call in message.get("tool_calls") or ()
    ]
    return "\n".join(part for part in parts if part)


def read_data(
    paths: Sequence[str],
    *,
    vocabulary: int,
    count: Count | None = None,
    root: Path | None = None,
) -> DataFacts:
    """Read all rows of the sources.

    Args:
        paths: Files, folders, or names of datasets on the Hub.
        vocabulary: Size of the model's vocabulary, for the estimate of lengths.
        count: Counts the tokens of texts, if the tokenizer is available.
        root: The folder that relative paths start from; by default the working folder.

    Raises:
        MixError: If a source cannot be read, or has no row that can be used.
    """
    from ..mixing import scan

    reader = _Reader(vocabulary)
    sources = []
    for path in paths:
        own = SourceFacts(path)
        for row in scan(SourceSettings(path=path), (root or Path.cwd()).resolve()):
            if row.conversation is None:
                own.faults[str(row.fault)] += 1
                own.first_fault = own.first_fault or f"{row.place}: {row.fault}"
                continue
            own.rows += 1
            own.forms[row.form] += 1
            own.repeated += not reader.add(row.conversation)
        if not own.rows:
            why = own.first_fault or "it is empty"
            raise MixError(f"--data {path}: no row can be used ({why})")
        sources.append(own)
    tokens, trained, counted = _scaled(reader, count)
    counts = reader.counts
    return DataFacts(
        sources,
        tokens,
        trained,
        counted,
        reader.roles,
        with_system=counts["system"],
        with_tools=counts["tools"],
        with_reasoning=counts["reasoning"],
        with_think=counts["think"],
        turns=counts["turns"],
    )


def _scaled(
    reader: _Reader, count: Count | None
) -> tuple[NDArray[np.float64], float, int]:
    """The lengths and the trained tokens, corrected by those that are counted."""
    import numpy as np

    tokens = np.array(reader.tokens)
    if count is None:
        return tokens, reader.trained, 0
    places = [place for place, _ in reader.sampled]
    counted = np.array(count([text for _, text in reader.sampled]), float)
    scale = max(counted.sum(), 1) / max(tokens[places].sum(), 1)
    whole = len(places) == len(tokens)
    marks = MARKS * sum(reader.roles.values()) / len(tokens)
    scaled = tokens * scale + marks
    scaled[places] = counted + marks
    if whole:
        scaled = counted + marks
    return scaled, reader.trained * scale, len(places)
