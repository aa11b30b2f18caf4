"""What is mixed, and how: the `sftguide.mix` block, or a file of its own."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from .validation import Block

Form = Literal["messages", "sharegpt", "alpaca", "prompt_completion", "question_answer"]
"""How a row holds its conversation."""


OF_THE_WHOLE = (
    "chat_template",
    "chat_template_jinja",
    "train_on_eos",
    "train_on_eot",
    "split_thinking",
)
"""Keys of a dataset that its host heeds, and that no single row can carry."""


class SourceSettings(Block):
    """One dataset: Axolotl's own keys for where it is and what it looks like, and ours.

    Only `path` is required.
    """

    path: str
    """A file, a folder or a glob; or the name of a dataset of the hub."""
    name: str | None = None
    """The configuration of a dataset of the hub."""
    split: str | None = None
    """`train` by default; cut and added up as in `train[:10%]+test`."""
    revision: str | None = None
    """The commit of a dataset of the hub."""
    ds_type: Literal["json", "jsonl", "parquet", "arrow", "csv"] | None = None
    """The kind of file; by default what its name says."""
    data_files: str | list[str] | None = None
    """Files below `path`."""
    type: str | None = None
    """`chat_template`, `alpaca`, ...; by default what the rows look like."""
    field_messages: str | None = None
    """The column of the turns."""
    field_tools: str = "tools"
    """The column of the tools."""
    message_property_mappings: dict[str, str] = Field(default_factory=dict)
    """`role` and `content` by the turns' own keys."""
    roles: dict[str, list[str]] = Field(default_factory=dict)
    """The role of the template by those of the rows."""
    message_field_training: str | None = None
    """The turns' key that says whether they are trained on."""
    roles_to_train: list[str] | None = None
    """Whose turns are trained on; by default the assistant's."""
    drop_system_message: bool = False
    """Leave out the system turn."""
    chat_template: str | None = None
    chat_template_jinja: str | None = None
    train_on_eos: Literal["all", "turn", "last", "none"] | None = None
    train_on_eot: Literal["all", "turn", "last", "none"] | None = None
    split_thinking: bool | None = None
    """These five are for the host and must be the same in all datasets."""
    field_instruction: str | None = None
    """The column of the question, for rows that are no conversation."""
    field_input: str | None = None
    """The column of what belongs to the question."""
    field_output: str | None = None
    """The column of the answer."""
    field_system: str | None = None
    """The column of the system message."""
    where: dict[str, Any] = Field(default_factory=dict)
    """Only rows whose columns have this value, or one of these."""
    max_rows: int | None = Field(None, ge=1)
    """At most so many rows, drawn at random."""
    max_tokens: int | None = Field(None, ge=1)
    """At most so many tokens, in rows drawn at random."""
    share: float | None = Field(None, gt=0, le=1)
    """Of the whole mix; what has none shares the rest by its size."""
    repeats: float = Field(1.0, gt=0)
    """How often each row is wanted; 1.5 is once, and half of them twice."""


class PhaseSettings(Block):
    """Datasets that were meant to be trained on together."""

    name: str = Field(min_length=1)
    """Kept with each of its rows."""
    datasets: list[SourceSettings] = Field(min_length=1)
    """What it is made of."""


class MixSettings(Block):
    """Phases in, one dataset out."""

    phases: list[PhaseSettings] = Field(min_length=1)
    """In the order in which one would train on them."""
    strategy: Literal["stacked", "phased"] = "stacked"
    """All at once, or one after the other."""
    seed: int = Field(42, ge=0)
    """Of the order and of what is drawn."""
    deduplicate: bool = True
    """Keep the first of the rows that say the same, in all phases."""
    shares_by: Literal["rows", "tokens"] = "rows"
    """What shares and repeats are parts of, and what any prefix keeps."""
    tokenizer: str | None = None
    """A model's folder or name, whose chat template says how many tokens a row has."""
    upsample: bool = False
    """Reach the shares by repeating rows; else by leaving some out."""
    exclude: list[str] = Field(default_factory=list)
    """Files whose conversations must not be trained on, such as the evaluation's."""
    held_out: float = Field(0.0, ge=0, lt=1)
    """Share of each phase that is written to a file of its own."""
    replay: float = Field(0.0, ge=0, lt=1)
    """With `phased`: share of each later phase that is drawn from those before."""
    on_error: Literal["fail", "skip"] = "fail"
    """What a row that cannot be used does."""

    @model_validator(mode="after")
    def _agree(self) -> MixSettings:
        names = [phase.name for phase in self.phases]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two phases have the name {twice[0]!r}")
        shares = [s.share for s in self.sources if s.share is not None]
        if math.fsum(shares) > 1 + 1e-9:
            raise ValueError(f"the shares add up to {math.fsum(shares):g}, above 1")
        if shares and len(shares) == len(self.sources) and math.fsum(shares) < 1 - 1e-9:
            raise ValueError(f"the shares add up to {math.fsum(shares):g}, below 1")
        tokens = self.shares_by == "tokens" or any(s.max_tokens for s in self.sources)
        if tokens and self.tokenizer is None:
            raise ValueError("tokenizer is missing: nothing else can count tokens")
        for key in OF_THE_WHOLE:
            values = list(dict.fromkeys(getattr(s, key) for s in self.sources))
            if len(values) > 1:
                raise ValueError(
                    f"{key} is {values[0]!r} in one dataset and {values[1]!r} in "
                    "another, but they become one; give all the same"
                )
        if self.replay and self.strategy != "phased":
            raise ValueError("replay is for strategy: phased")
        if shares and self.strategy == "phased":
            raise ValueError("share is for strategy: stacked; phases keep their sizes")
        return self

    @property
    def sources(self) -> list[SourceSettings]:
        """All datasets, phase after phase."""
        return [source for phase in self.phases for source in phase.datasets]

    @property
    def of_the_whole(self) -> dict[str, str | bool]:
        """What the datasets ask of the host, for the entry of the one they become."""
        asked = {key: getattr(self.sources[0], key) for key in OF_THE_WHOLE}
        return {key: value for key, value in asked.items() if value is not None}
