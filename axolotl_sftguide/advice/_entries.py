"""Entries of `datasets`: formats, roles and ends of turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any

from ._finding import Finding, Weight
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE

_FIELDS = {
    "format": ("instruction", "input"),
    "no_input_format": ("instruction",),
    "system_format": ("system",),
}
"""Placeholders that Axolotl fills in each format of a user-defined type."""

_ANSWERS = ("answer", "answers", "output", "response", "completion", "target")


_READ_ENTRIES = (
    "chat_template",
    "messages",
    "bradley_terry",
    "stepwise_supervised",
    "_synthetic",
)
"""Types that read the entry they are in, by how they start."""
_OF_TURNS = (
    "field_messages",
    "message_property_mappings",
    "message_field_role",
    "message_field_content",
    "message_field_training",
    "roles",
    "roles_to_train",
    "train_on_eos",
    "train_on_eot",
    "field_tools",
    "field_thinking",
    "split_thinking",
    "drop_system_message",
    "chat_template",
    "chat_template_jinja",
)


def entries(view: View) -> Iterator[Finding]:
    """Findings on single entries."""
    for path, entry in view.sources:
        kind = entry.get("type")
        if isinstance(kind, Mapping):
            yield from _formats(path, kind)
            yield from _swapped(path, kind)
        yield from _swapped(path, entry)
        yield from _parts(path, entry)
        if kind == "chat_template":
            yield from _trained_turns(view, path, entry)
        yield from _unread(view, path, entry)


def _unread(view: View, path: str, entry: Mapping[str, Any]) -> Iterator[Finding]:
    """Keys of conversations in an entry whose type does not read them."""
    kind = entry.get("type")
    if view.kind is not None or view.get("processor_type") or kind is None:
        return
    plain = isinstance(kind, str) and kind in view.schema.dataset_types(None)
    if not isinstance(kind, Mapping) and not plain:
        return
    if isinstance(kind, str) and kind.startswith(_READ_ENTRIES):
        return
    asked = [key for key in _OF_TURNS if entry.get(key)]
    named = kind if isinstance(kind, str) else "{field_...: ...}"
    if asked:
        yield Finding(
            AGAINST,
            f"{path}.{asked[0]}",
            entry.get(asked[0]),
            f"type: {named} does not read {', '.join(asked)}",
            "Axolotl ignores it and reads the columns of that type",
            "Set type: chat_template for conversations, or remove it",
            id="entry-key-unread",
        )


def _formats(path: str, kind: Mapping[str, Any]) -> Iterator[Finding]:
    for key, known in _FIELDS.items():
        text = kind.get(key)
        if not isinstance(text, str):
            continue
        where = f"{path}.type.{key}"
        try:
            named = {
                name for _, name, _, _ in Formatter().parse(text) if name is not None
            }
        except ValueError:
            named = {text}
        strange = sorted(named - set(known))
        fields = " and ".join(f"{{{name}}}" for name in known)
        if strange:
            yield Finding(
                WRONG,
                where,
                text,
                f"Axolotl fills only {fields} in {key}, and it has {{{strange[0]}}}",
                "the run ends in an error while the data are prepared",
                f"Write {fields}, and name the column in field_{known[-1]}",
                id="format-field",
            )
        elif known[0] not in named and key != "system_format":
            yield Finding(
                AGAINST,
                where,
                text,
                f"{key} has no {{{known[0]}}}",
                "the model is trained without the prompt of each row",
                f"Add {{{known[0]}}} to {key}",
                id="format-without-prompt",
            )


def _swapped(path: str, fields: Mapping[str, Any]) -> Iterator[Finding]:
    chosen = str(fields.get("field_chosen", "")).lower()
    rejected = str(fields.get("field_rejected", "")).lower()
    if "reject" in chosen and "chosen" in rejected:
        yield Finding(
            WRONG,
            f"{path}.type.field_chosen" if "type" not in fields else path,
            fields.get("field_chosen"),
            f"field_chosen: {chosen} and field_rejected: {rejected} are swapped",
            "the model learns to give the rejected answers",
            f"Set field_chosen: {rejected} and field_rejected: {chosen}",
            id="pairs-swapped",
        )


def _parts(path: str, entry: Mapping[str, Any]) -> Iterator[Finding]:
    """Rows, or columns of rows, that are left out."""
    field = str(entry.get("field", "")).lower()
    if entry.get("type") == "completion" and field in _ANSWERS:
        yield Finding(
            AGAINST,
            f"{path}.field",
            entry.get("field"),
            f"type: completion trains on the column {entry.get('field')} alone",
            "the model never sees the questions",
            "Set type: {field_instruction: ..., field_output: "
            f"{entry.get('field')}, format: ...}}",
            id="answers-alone",
        )
    shards = entry.get("shards")
    if isinstance(shards, int) and shards > 1 and entry.get("shards_idx") is None:
        yield Finding(
            AGAINST,
            f"{path}.shards",
            shards,
            f"shards: {shards} without shards_idx takes the first of {shards} parts",
            f"the other {shards - 1} are not trained on",
            "Set preprocess_shards to prepare all rows in parts, or remove shards",
            id="first-shard-alone",
        )


def _trained_turns(
    view: View, path: str, entry: Mapping[str, Any]
) -> Iterator[Finding]:
    if any(entry.get(f"message_field_training{end}") for end in ("", "_detail")):
        return  # the rows say what is trained
    roles = entry.get("roles_to_train")
    if roles == [] and not view.get("train_on_inputs"):
        yield Finding(
            WRONG,
            f"{path}.roles_to_train",
            roles,
            "roles_to_train is empty",
            "no turn is trained on",
            "Set roles_to_train: [assistant], or remove it",
            id="roles-none",
        )
    elif isinstance(roles, list) and roles and not _answers(entry, roles):
        plain = set(map(str, roles)) <= {"user", "human", "system"}
        yield Finding(
            AGAINST if plain else NOTE,  # the data may have such a role
            f"{path}.roles_to_train",
            roles,
            f"roles_to_train: {roles} leaves out the role assistant",
            "turns of the assistant are not trained on",
            "Set roles_to_train: [assistant], or remove it",
            id="roles-without-assistant",
        )
    ends = [entry.get("train_on_eos"), entry.get("train_on_eot")]
    if "none" in ends and not any(end in ("all", "turn", "last") for end in ends):
        key = "train_on_eos" if ends[0] == "none" else "train_on_eot"
        if key == "train_on_eot" and not entry.get("train_on_eos"):
            return  # the end of text is still trained
        yield Finding(
            AGAINST,
            f"{path}.{key}",
            "none",
            f"{key}: none trains on no end of a turn",
            "the model does not learn to end its answers",
            f"Set {key}: turn, or remove it",
            id="turn-end-off",
        )


def _answers(entry: Mapping[str, Any], roles: list[Any]) -> bool:
    """Whether the answers' role is among those to train, by the entry's mapping."""
    mapped = entry.get("roles")
    names = {"assistant", "gpt"}
    if isinstance(mapped, Mapping):
        of_assistant = mapped.get("assistant") or []
        names = {"assistant", *map(str, of_assistant)}
        if "assistant" not in mapped:
            return True  # the roles are the data's own
    return bool(names & set(map(str, roles)))
