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

_NO_ANSWERS = {"user", "human", "system"}


def entries(view: View) -> Iterator[Finding]:
    """Findings on single entries."""
    for path, entry in view.sources:
        kind = entry.get("type")
        if isinstance(kind, Mapping):
            yield from _formats(path, kind)
        if kind == "chat_template":
            yield from _trained_turns(view, path, entry)


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


def _trained_turns(
    view: View, path: str, entry: Mapping[str, Any]
) -> Iterator[Finding]:
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
    elif (
        isinstance(roles, list) and roles and set(roles) <= {"user", "human", "system"}
    ):
        yield Finding(
            AGAINST,
            f"{path}.roles_to_train",
            roles,
            f"roles_to_train: {roles} leaves out the assistant",
            "the model is not trained on the answers",
            "Set roles_to_train: [assistant], or remove it",
            id="roles-without-assistant",
        )
    ends = [entry.get("train_on_eos"), entry.get("train_on_eot")]
    if "none" in ends and not set(ends) & {"all", "turn", "last"}:
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
