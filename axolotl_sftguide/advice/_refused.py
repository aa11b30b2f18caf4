"""What Axolotl's validation refuses, beside the types of single values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..config.yaml_edits import Edit
from ..errors import near
from ._catalogue import REFUSALS
from ._finding import Finding, Weight
from ._refusal import Refusal
from ._refusals_rest import REFUSED_IF_SET, REMOVED
from ._renamed import DATASET_TYPES
from ._view import View

WRONG = Weight.WRONG
_REFUSES = "Axolotl refuses the config"


def combinations(view: View) -> Iterator[Finding]:
    """Keys that do not work together."""
    for rule in REFUSALS:
        try:
            applies = rule.when(view)
        except (AttributeError, TypeError, ValueError):
            continue  # a value of a wrong type, which has a finding of its own
        if applies:
            yield _finding(view, rule)


def _finding(view: View, rule: Refusal) -> Finding:
    key, _, inner = rule.path.partition(".")
    value: Any = view.config.get(key)
    if inner and isinstance(value, Mapping):
        value = value.get(inner, view.fsdp.get(inner) if key == "fsdp_config" else None)
    return Finding(
        WRONG,
        rule.path,
        value,
        rule.problem.format(value=value),
        _REFUSES,
        rule.remedy.format(),
        id=rule.id,
        edits=(Edit("remove", rule.path),) if rule.remove else (),
    )


def removed_keys(view: View) -> Iterator[Finding]:
    """Keys that Axolotl has removed, and refuses with a value."""
    for key, remedy in REMOVED.items():
        value = view.config.get(key)
        asked = value is not None if key in REFUSED_IF_SET else bool(value)
        if key == "save_safetensors":
            asked = value is False
        if asked:
            yield Finding(
                WRONG,
                key,
                value,
                f"{key} was removed from Axolotl",
                _REFUSES,
                remedy,
                id="removed-key",
                edits=(Edit("remove", key),) if remedy.startswith("remove") else (),
            )


def adapters(view: View) -> Iterator[Finding]:
    """Names of adapters that neither Axolotl nor a listed plugin has."""
    adapter = view.get("adapter")
    own = len(view.schema.own_plugins(view.plugins)) == len(view.plugins)
    known = view.schema.adapters(view.plugins)
    if not isinstance(adapter, str) or not adapter or adapter in known:
        return
    if own or view.has_plugin:
        new = near(adapter, known)
        remedy = f"did you mean {new!r}?" if new else "Set adapter: lora or qlora"
        yield Finding(
            WRONG,
            "adapter",
            adapter,
            f"adapter: {adapter} is not one of {', '.join(known)}",
            _REFUSES,
            remedy,
            id="bad-value",
            edits=(Edit("set", "adapter", new),) if new else (),
        )


def rate_is_number(view: View) -> Iterator[Finding]:
    """A learning rate that is text instead of a number."""
    rate = view.get("learning_rate")
    try:
        if isinstance(rate, str) and rate:
            float(rate)
    except ValueError:
        yield Finding(
            WRONG,
            "learning_rate",
            rate,
            f"learning_rate must be a number, got {rate!r}",
            _REFUSES,
            "Write it as 2.0e-4",
            id="bad-value",
        )


def dataset_types(view: View) -> Iterator[Finding]:
    """Dataset types without a strategy in Axolotl."""
    tested = view.get("test_datasets", [])
    tests = [
        (f"test_datasets.{index}", entry)
        for index, entry in enumerate(tested if isinstance(tested, list) else [])
        if isinstance(entry, Mapping)
    ]
    for path, entry in [*view.sources, *tests]:
        kind = entry.get("type")
        of_tests = path.startswith("test_datasets")
        if isinstance(kind, str) and kind:
            yield from _dataset_type(view, f"{path}.type", kind, of_tests)


def _dataset_type(
    view: View, path: str, kind: str, of_tests: bool
) -> Iterator[Finding]:
    if kind.startswith("sharegpt") and not of_tests:
        yield Finding(
            WRONG,
            path,
            kind,
            f"type: {kind} was removed from Axolotl",
            _REFUSES,
            "Set type: chat_template, field_messages: conversations and "
            "message_property_mappings: {role: from, content: value}",
            id="sharegpt",
        )
        return
    known = view.schema.dataset_types(view.kind)
    base = kind.split(":")[0]
    if view.kind in ("grpo", "gdpo") or view.get("skip_prepare_dataset"):
        return  # a module of the user's, or no preparation
    if kind in known or base in view.schema.data["dataset_types"]["handlers"]:
        return
    first = kind.partition(".")[0]
    trainings = (None, "dpo", "kto", "orpo")
    own = {n.partition(".")[0] for k in trainings for n in view.schema.dataset_types(k)}
    if "." in kind and first not in own:
        return  # a module of the user's
    new = DATASET_TYPES.get(base) or near(kind, known)
    fix = kind.replace(":load_", ".load_")
    if fix in known:
        new = fix
    yield Finding(
        WRONG,
        path,
        kind,
        f"Axolotl has no dataset type {kind!r}",
        "the run ends in an error while the data are prepared"
        if view.kind is None
        else "the data are used as they are, or the run ends in an error",
        f"did you mean {new!r}?" if new else "Set type: chat_template or alpaca",
        id="dataset-type",
        edits=(Edit("set", path, new),) if new and base not in DATASET_TYPES else (),
    )


_CLOSED = (
    "optimizer",
    "lr_scheduler",
    "save_strategy",
    "eval_strategy",
    "hub_strategy",
)


def closed_values(view: View) -> Iterator[Finding]:
    """Names that the schema accepts as any text, and the trainer does not."""
    foreign = len(view.schema.own_plugins(view.plugins)) < len(view.plugins)
    for key in _CLOSED:
        value = view.get(key)
        known = view.schema.closed(key)
        if not isinstance(value, str) or not value or value in known:
            continue
        if foreign and not view.has_plugin and key in ("optimizer", "lr_scheduler"):
            continue  # a plugin may add one
        new = near(value, known)
        yield Finding(
            WRONG,
            key,
            value,
            f"{key}: {value} is not one that Axolotl or transformers has",
            "the run ends in an error when the trainer is made",
            f"did you mean {new!r}?" if new else f"Known: {', '.join(known)}",
            id="value-not-in-set",
            edits=(Edit("set", key, new),) if new else (),
        )


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda number: number >= least


def _share(number: float) -> bool:
    return 0 <= number <= 1


_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "micro_batch_size": (_at_least(1), "must be at least 1"),
    "gradient_accumulation_steps": (_at_least(1), "must be at least 1"),
    "eval_batch_size": (_at_least(1), "must be at least 1"),
    "sequence_len": (_at_least(1), "must be at least 1"),
    "num_epochs": (lambda number: number > 0, "must be greater than 0"),
    "learning_rate": (lambda number: number > 0, "must be greater than 0"),
    "warmup_steps": (_at_least(0), "must not be negative"),
    "warmup_ratio": (_share, "must be between 0 and 1"),
    "weight_decay": (_at_least(0), "must not be negative"),
    "lora_r": (_at_least(1), "must be at least 1"),
    "lora_dropout": (_share, "must be between 0 and 1"),
    "val_set_size": (_at_least(0), "must not be negative"),
    "adam_beta1": (lambda number: 0 <= number < 1, "must be at least 0 and below 1"),
    "adam_beta2": (lambda number: 0 <= number < 1, "must be at least 0 and below 1"),
}


def ranges(view: View) -> Iterator[Finding]:
    """Numbers that the schema accepts, and the run cannot use."""
    for key, (holds, rule) in _RANGES.items():
        number = view.number(key)
        if number is None or isinstance(view.get(key), bool) or holds(number):
            continue
        if key == "lora_r" and not view.get("adapter"):
            continue
        if key == "num_epochs" and view.get("max_steps"):
            continue
        yield Finding(
            WRONG,
            key,
            view.get(key),
            f"{key} {rule}, and is {number:g}",
            "the run ends in an error or trains nothing",
            f"Correct {key}",
            id="number-out-of-range",
        )
