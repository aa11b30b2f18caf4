"""The settings of a mix: the `sftguide.mix` block, or a separate YAML file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ..errors import nearest_hint
from .dataset_types import NOT_CONVERSATIONS, TYPES
from .roles import ROLE_NAMES, ROLES, chat_template_role, own_roles
from .validation import Block

Form = Literal["messages", "sharegpt", "alpaca", "prompt_completion", "question_answer"]
"""The form of a dataset row."""

HOST_KEYS = (
    "chat_template",
    "chat_template_jinja",
    "train_on_eos",
    "train_on_eot",
    "split_thinking",
    "template_thinking_key",
)
"""Keys of a dataset that only its host uses. They cannot differ between rows."""


MESSAGE_PROPERTIES = (
    "role",
    "content",
    "reasoning_content",
    "thinking",
    "tool_calls",
    "tool_call_id",
    "name",
)
"""The keys of the messages in a mix that the keys in the rows may be mapped to."""


class SourceSettings(Block):
    """One dataset: Axolotl's keys for its place and form, and the keys of a mix.

    Only `path` is required.
    """

    path: str
    """A file, a folder or a glob; or the name of a dataset on the Hub."""
    name: str | None = None
    """The configuration of a dataset on the Hub."""
    split: str | None = None
    """Default: `train`. Syntax of `datasets`: `train[:10%]+test`."""
    revision: str | None = None
    """The commit of a dataset on the Hub."""
    ds_type: Literal["json", "jsonl", "parquet", "arrow", "csv"] | None = None
    """The kind of file. Default: from its name."""
    data_files: str | list[str] | None = None
    """Files in `path`."""
    type: str | None = None
    """`chat_template`, `alpaca`, ...; by default detected from the columns."""
    ignore: list[str] = Field(default_factory=list)
    """Columns, or keys of messages, with text that is left out on purpose."""
    field_messages: str | None = None
    """The column of the messages."""
    field_tools: str = "tools"
    """The column of the tools."""
    message_property_mappings: dict[str, str] = Field(default_factory=dict)
    """The keys of the messages for `role` and `content`."""
    roles: dict[str, list[str]] = Field(default_factory=dict)
    """For each role of the chat template, the roles in the rows."""
    message_field_training: str | None = None
    """The key of a message that decides whether it is trained on."""
    message_field_training_detail: str | None = None
    """The key of a message that decides which parts of it are trained on."""
    field_thinking: str | None = None
    """The key of a message, or the column, that contains the reasoning."""
    roles_to_train: list[str] | None = None
    """The roles whose messages are trained on. Default: the assistant."""
    drop_system_message: bool = False
    """Remove the system message."""
    chat_template: str | None = None
    chat_template_jinja: str | None = None
    train_on_eos: Literal["all", "turn", "last", "none"] | None = None
    train_on_eot: Literal["all", "turn", "last", "none"] | None = None
    split_thinking: bool | None = None
    template_thinking_key: str | None = None
    """These six are passed to the host and must be the same in all datasets."""
    field_instruction: str | None = None
    """The column of the question, for rows without messages."""
    field_input: str | list[str] | None = None
    """The column, or columns, of text that is appended to the question."""
    field_output: str | None = None
    """The column of the answer."""
    field_system: str | None = None
    """The column of the system message."""
    where: dict[str, Any] = Field(default_factory=dict)
    """Keep only rows whose columns have this value, or one of a list."""
    max_rows: int | None = Field(None, ge=1)
    """Maximum number of rows, drawn at random."""
    max_tokens: int | None = Field(None, ge=1)
    """Maximum number of tokens, in rows drawn at random."""
    share: float | None = Field(None, gt=0, le=1)
    """Share of the mix. Datasets without one divide the rest by their size."""
    repeats: float = Field(1.0, gt=0)
    """How often each row occurs; 1.5 means half of the rows twice, the others once."""

    @field_validator("type")
    @classmethod
    def _type_is_read(cls, value: str | None) -> str | None:
        if value is None or value in TYPES:
            return value
        kind = NOT_CONVERSATIONS.get(value.partition(".")[0])
        if kind is not None:
            raise ValueError(
                f"{value!r} {kind}, and a mix contains conversations; list this "
                "dataset in the Axolotl config, or remove type"
            )
        hint = nearest_hint(value, TYPES) or f"known: {', '.join(TYPES)}"
        raise ValueError(f"{value!r} is not a type that a mix reads; {hint}")

    @field_validator("type", mode="before")
    @classmethod
    def _type_is_not_a_format(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            raise ValueError(
                "a mix reads no formats; write field_instruction, field_input, "
                "field_output and field_system beside path, and remove type"
            )
        return value

    @model_validator(mode="after")
    def _roles_are_known(self) -> SourceSettings:
        own = own_roles(self.roles)
        for role in self.roles_to_train or ():
            if chat_template_role(role, own) not in ROLES:
                known = [*ROLES, *ROLE_NAMES, *own]
                hint = nearest_hint(role, known) or f"known: {', '.join(known)}"
                raise ValueError(f"roles_to_train: {role!r} is not a role; {hint}")
        return self

    @field_validator("message_property_mappings")
    @classmethod
    def _properties_are_written(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in MESSAGE_PROPERTIES:
                hint = nearest_hint(name, MESSAGE_PROPERTIES)
                hint = hint or f"known: {', '.join(MESSAGE_PROPERTIES)}"
                raise ValueError(f"{name!r} is not a key of the messages; {hint}")
        return value


class PhaseSettings(Block):
    """Datasets that belong to one phase of training."""

    name: str = Field(min_length=1)
    """Written into each of its rows."""
    datasets: list[SourceSettings] = Field(min_length=1)
    """The datasets of the phase."""


class MixSettings(Block):
    """A mix: several phases, combined into one dataset."""

    phases: list[PhaseSettings] = Field(min_length=1)
    """The phases, in the order of training."""
    strategy: Literal["stacked", "phased"] = "stacked"
    """`stacked` mixes all phases; `phased` trains one after the other."""
    seed: int = Field(42, ge=0)
    """Seed of the order and of the rows that are drawn."""
    deduplicate: bool = True
    """Keep only the first of duplicate rows, across all phases."""
    near_duplicates: float | None = Field(None, ge=0.6, lt=1)
    """Leave out rows that are this similar to an earlier row, such as 0.8."""
    shares_by: Literal["rows", "tokens"] = "rows"
    """The unit of shares and repeats."""
    tokenizer: str | None = None
    """The folder or name of a model whose chat template counts the tokens."""
    upsample: bool = False
    """Reach the shares by repeating rows instead of leaving some out."""
    exclude: list[str] = Field(default_factory=list)
    """Files whose conversations must not be trained on, such as evaluation data."""
    exclude_by: Literal["conversation", "question", "ngrams"] = "conversation"
    """What must be equal: the whole conversation, its first user message, or `ngrams`:
    some consecutive words of that message, anywhere in a row."""
    exclude_ngram: int = Field(13, ge=5, le=50)
    """With `ngrams`: the number of consecutive words."""
    exclude_overlap: float = Field(0.0, ge=0, le=1)
    """With `ngrams`: a row is left out if it has this share of a message's n-grams, or
    more. At 0, one is enough."""
    held_out: float = Field(0.0, ge=0, lt=1)
    """Share of each dataset that is written to `held-out.jsonl`."""
    replay: float = Field(0.0, ge=0, lt=1)
    """With `phased`: share of each later phase that is replayed from earlier ones."""
    on_error: Literal["fail", "skip"] = "fail"
    """Whether a row that cannot be used ends the mix or is left out."""

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
            raise ValueError("tokenizer is required to count tokens; set it to a model")
        for key in HOST_KEYS:
            values = list(dict.fromkeys(getattr(s, key) for s in self.sources))
            if len(values) > 1:
                raise ValueError(
                    f"{key} is {values[0]!r} in one dataset and {values[1]!r} in "
                    "another; give all datasets the same value"
                )
        if self.near_duplicates is not None and not self.deduplicate:
            raise ValueError("near_duplicates needs deduplicate: true")
        if self.replay and self.strategy != "phased":
            raise ValueError("replay needs strategy: phased")
        if shares and self.strategy == "phased":
            raise ValueError("share needs strategy: stacked; remove share")
        return self

    @property
    def sources(self) -> list[SourceSettings]:
        """All datasets, phase after phase."""
        return [source for phase in self.phases for source in phase.datasets]

    @property
    def host_settings(self) -> dict[str, str | bool]:
        """The keys that are passed to the host, for the entry of the mixed dataset."""
        given = {key: getattr(self.sources[0], key) for key in HOST_KEYS}
        return {key: value for key, value in given.items() if value is not None}
