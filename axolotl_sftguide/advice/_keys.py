"""Keys that Axolotl drops, and the values that its schema refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..config.host_values import Fault, field_faults, mapping_faults
from ..config.settings import BLOCK, misspelt_block
from ..config.yaml_edits import Edit
from ..errors import near
from ._finding import Finding, Weight
from ._inert import is_inert, only_speed
from ._plugins import not_loaded, plugin_name
from ._renamed import DATASET_RENAMES, FOREIGN, OF_DATASETS, RENAMED, SAME_VALUE
from ._view import View

WRONG, NOTE = Weight.WRONG, Weight.NOTE

_EMPTY: tuple[Any, ...] = (None, False, "", [], {})
_REFERENCE = "Look for the right name in docs.axolotl.ai/docs/config-reference.html"
_OWN_PLUGIN = "axolotl_sftguide"


def unknown_keys(view: View) -> Iterator[Finding]:
    """Keys at the top level that Axolotl drops."""
    known = {*view.schema.top, *view.schema.plugin_fields(view.plugins), BLOCK}
    foreign = [
        plugin
        for plugin in view.plugins
        if not plugin.startswith(_OWN_PLUGIN)
        and not view.schema.own_plugins([plugin])
        and not not_loaded(view, plugin)
    ]
    misspelt = misspelt_block(view.config)
    for key, value in view.config.items():
        if key in known or key == misspelt or any(value is e for e in _EMPTY[:2]):
            continue
        if isinstance(value, (str, list, dict)) and not value:
            continue
        yield _unknown(view, key, value, known, foreign)


def _unknown(
    view: View, key: str, value: Any, known: set[str], foreign: list[str]
) -> Finding:
    plugin = view.schema.plugin_of.get(key)
    if plugin is not None:
        return Finding(
            WRONG,
            key,
            value,
            f"{key} is a key of the plugin {plugin_name(plugin)}, which is not listed",
            "Axolotl drops it silently",
            f"Add {plugin_name(plugin)} to plugins, or remove {key}",
            id="plugin-not-listed",
        )
    if foreign:
        return Finding(
            NOTE,
            key,
            value,
            f"{key} is not an Axolotl key and may belong to {foreign[0]}",
            "Axolotl drops it silently if that plugin does not define it",
            "Look it up in the plugin's documentation",
            id="foreign-plugin-key",
        )
    new = RENAMED.get(key)
    edits: tuple[Edit, ...] = ()
    if new is not None or key in FOREIGN:
        remedy = FOREIGN.get(key) or f"The name in Axolotl is {new}"
        if key in SAME_VALUE and new not in view.config:
            edits = (Edit("rename", key, new),)
        rule = "renamed-key"
    else:
        new = near(key, known - {"push_dataset_to_hub"})
        remedy = f"did you mean {new!r}?" if new else _REFERENCE
        edits = (Edit("rename", key, new),) if new and new not in view.config else ()
        rule = "unknown-key"
    problem = f"{key} is not an Axolotl key"
    effect = "Axolotl drops it silently"
    return Finding(WRONG, key, value, problem, effect, remedy, id=rule, edits=edits)


def values(view: View) -> Iterator[Finding]:
    """Values that the schema refuses, and keys that it drops inside of blocks."""
    schema = view.schema
    fields = {**schema.top, **schema.plugin_fields(view.plugins)}
    faults: list[Fault] = []
    for key, value in view.config.items():
        if _is_replaced(view, key, value):
            continue
        if key == "datasets":
            faults += _dataset_faults(view, value)
        elif key == "fsdp_config" and isinstance(value, Mapping):
            faults += mapping_faults(schema, "FSDPConfig", view.fsdp, key)
        elif key in fields:
            faults += field_faults(schema, fields[key], value, key)
    for key, field in schema.top.items():
        if field.get("required") and key not in view.config:
            faults.append(Fault("missing", key, None, "is required"))
    for fault in faults:
        finding = _finding(view, fault)
        if finding is not None:
            yield finding


def _is_replaced(view: View, key: str, value: Any) -> bool:
    """Whether Axolotl replaces the value before it reads its type."""
    if key == "fsdp_version":
        return not value and bool(view.fsdp)
    return key in view.schema.attention_flags


def _dataset_faults(view: View, entries: Any) -> Iterator[Fault]:
    """Entries of `datasets`, each by the model that Axolotl reads it with."""
    if isinstance(entries, Mapping):
        message = "must be a list of entries, got one mapping"
        remedy = "Write `- path: ...` below datasets, with a dash"
        yield Fault("refused", "datasets", dict(entries), message, remedy)
        return
    if not isinstance(entries, list):
        yield from field_faults(
            view.schema, view.schema.top["datasets"], entries, "datasets"
        )
        return
    if not entries:
        yield Fault("refused", "datasets", entries, "must not be empty")
    for index, entry in enumerate(entries):
        path = f"datasets.{index}"
        if not isinstance(entry, Mapping):
            message = f"must be a mapping with path and type, got {entry!r}"
            remedy = f"Write `- path: {entry}` and its type"
            yield Fault("refused", path, entry, message, remedy)
            continue
        model = view.schema.dataset_model(view.kind, entry)
        yield from mapping_faults(view.schema, model, entry, path)


def _finding(view: View, fault: Fault) -> Finding | None:
    if fault.kind == "unknown":
        return _nested(view, fault)
    key = fault.path.rpartition(".")[2]
    if fault.kind == "missing":
        return Finding(
            WRONG,
            fault.path,
            None,
            f"{fault.path} is not set",
            "Axolotl refuses the config",
            _EXAMPLES.get(key, f"Set {fault.path}"),
            id="required-key",
        )
    remedy = fault.remedy or _remedy(key, fault.value)
    return Finding(
        WRONG,
        fault.path,
        fault.value,
        f"{fault.path} {fault.message}",
        "Axolotl refuses the config",
        remedy,
        id="bad-value",
    )


_EXAMPLES = {
    "base_model": "Set base_model: OWNER/NAME of a model on the Hub, or a folder",
    "learning_rate": "Set learning_rate: 2.0e-4 for an adapter, 2.0e-5 for all weights",
}


def _remedy(key: str, value: Any) -> str:
    if value is None:
        return f"Set {key}, or remove the empty key"
    if isinstance(value, bool):
        word = "yes" if value else "no"
        return f'YAML reads {word} as {str(value).lower()}; write "{word}" in quotes'
    text = str(value).strip().lower()
    if key == "gradient_checkpointing":  # `unsloth` was one in older versions
        return "Set gradient_checkpointing: true"
    if text.endswith("%") and text[:-1].replace(".", "").isdigit():
        return f"Set {key}: {float(text[:-1]) / 100:g}"
    if text.endswith("k") and text[:-1].isdigit():
        exact = 1024 if key.endswith(("_len", "length")) else 1000
        return f"Set {key}: {int(text[:-1]) * exact}"
    return f"Correct {key}"


def _nested(view: View, fault: Fault) -> Finding | None:
    """A key inside of a block that the block's model does not have."""
    parent, _, key = fault.path.rpartition(".")
    block = parent.partition(".")[0]
    if any(fault.value is e for e in _EMPTY[:2]) or fault.value in ("", [], {}):
        return None
    if is_inert(view, block, key, fault.value):
        return None
    if block == "datasets" and parent.count(".") == 1:
        return _of_dataset(view, fault, key)
    new = near(key, fault.known)
    edits: tuple[Edit, ...] = ()
    if new:
        path = _written(view, block, key, fault.path)
        edits = (Edit("rename", path, new),)
    slower = only_speed(block, key)
    return Finding(
        NOTE if slower else WRONG,
        fault.path,
        fault.value,
        f"{key} is not a key of {parent}",
        "Axolotl drops it silently" + (", which changes speed alone" * slower),
        f"did you mean {new!r}?" if new else f"Keys of {block}: {_some(fault.known)}",
        id="unknown-nested-key",
        edits=edits,
    )


def _written(view: View, block: str, key: str, path: str) -> str:
    """The path as in the file: keys of `fsdp_config` may have their old prefix."""
    old = f"fsdp_{key}"
    if block == "fsdp_config" and old in view.mapping("fsdp_config"):
        return f"{block}.{old}"
    return path


def _some(known: tuple[str, ...], most: int = 12) -> str:
    listed = ", ".join(known[:most])
    return f"{listed} and {len(known) - most} more" if len(known) > most else listed


def _of_dataset(view: View, fault: Fault, key: str) -> Finding | None:
    others = {
        name
        for model in view.schema.data["models"]
        if model.endswith("Dataset") and model != "PretrainingDataset"
        for name in view.schema.fields(model)
    }
    inside = {  # these are read of a `type` that is a mapping
        name
        for model in view.schema.data["models"]
        if model.startswith("UserDefined")
        for name in view.schema.fields(model)
    }
    read = set(view.schema.data["read_of_datasets"]) - inside
    if key in others or key in read:
        return (
            None
            if _inferred(view, fault, key)
            else _of_other_training(view, fault, key)
        )
    new = near(key, fault.known)
    remedy = OF_DATASETS.get(key) or (f"did you mean {new!r}?" if new else _REFERENCE)
    target = DATASET_RENAMES.get(key) or (None if key in OF_DATASETS else new)
    return Finding(
        WRONG,
        fault.path,
        fault.value,
        f"{key} is not a key of a dataset",
        "Axolotl drops it silently",
        remedy,
        id="unknown-nested-key",
        edits=(Edit("rename", fault.path, target),) if target else (),
    )


def _inferred(view: View, fault: Fault, key: str) -> bool:
    """Whether `ds_type` is what the file's extension says anyway."""
    entry = dict(view.sources).get(fault.path.rpartition(".")[0], {})
    suffix = str(entry.get("path", "")).rpartition(".")[2].removesuffix("l")
    return key == "ds_type" and bool(fault.value == suffix)


def _of_other_training(view: View, fault: Fault, key: str) -> Finding:
    """A key that Axolotl knows, and loses for this kind of training."""
    preference = view.kind in ("dpo", "ipo", "simpo", "kto")
    used = f"rl: {view.kind}" if preference else "this kind of training"
    return Finding(
        WRONG if preference else NOTE,
        fault.path,
        fault.value,
        f"Axolotl {view.schema.version} reads the entries of datasets without {key} "
        f"for {used}",
        "the value is dropped and the default applies",
        "Rename the fields in the data, or use type: {field_...: ...}"
        if preference
        else "Check that the default is what you want",
        id="key-of-other-training",
    )
