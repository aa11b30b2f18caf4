"""Write what `sftguide check` knows of an Axolotl version, from that version's source.

    python scripts/axolotl_schema.py [--source FOLDER] [--out FOLDER]

Run it where the version is installed, or name a checkout's `src` folder. Keys, types,
ranges and defaults come from the pydantic models; the keys of plugins, dataset types
and closed sets of values, which those models do not list, from the source text.
`make host-schema` runs it; a test compares the file with the installed version.
"""

from __future__ import annotations

import argparse
import ast
import enum
import importlib
import json
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATASETS = (
    "SFTDataset",
    "DPODataset",
    "KTODataset",
    "StepwiseSupervisedDataset",
    "SyntheticDataset",
)
LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
NORMALISED = {
    # Fields whose values a validator replaces before pydantic sees their type.
    "activation_dtype": "quantized_dtype",
    "weight_dtype": "quantized_dtype",
    "attn_implementation": "attention",
    "large_head_attention": "large_head_attention",
}


class Models:
    """Type expressions of pydantic models, each model once."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def add(self, model: Any) -> str:
        """Describe a model, and all models in its fields; its name."""
        name = str(model.__name__)
        if name in self.found:
            return name
        self.found[name] = entry = {"fields": {}}
        extra = model.model_config.get("extra")
        if extra and extra != "ignore":
            entry["extra"] = extra
        for key, field in model.model_fields.items():
            entry["fields"][key] = self.field(key, field)
        return name

    def field(self, key: str, field: Any) -> dict[str, Any]:
        """A field: its type, and what of default, names and limits it has."""
        made: dict[str, Any] = {"type": self.type(field.annotation)}
        if key in NORMALISED:
            made["type"] = ["closed", NORMALISED[key]]
        if field.is_required():
            made["required"] = True
        elif field.default is not None and field.default_factory is None:
            made["default"] = plain(field.default)
        choices = getattr(field.validation_alias, "choices", ())
        names = [field.alias, field.validation_alias, *choices]
        aliases = sorted({n for n in names if isinstance(n, str)} - {key})
        if aliases:
            made["aliases"] = aliases
        limits = limits_of(field.metadata)
        if limits:
            made["limits"] = limits
        if field.deprecated:
            made["deprecated"] = str(field.deprecated)
        return made

    def type(self, annotation: Any) -> Any:
        """An annotation as plain values: a name, or a list that starts with one."""
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if annotation is type(None):
            return "none"
        if origin is typing.Annotated:
            limits = limits_of(args[1:])
            made = self.type(args[0])
            return ["limited", made, limits] if limits else made
        if origin in (typing.Union, types.UnionType):
            return ["union", *map(self.type, args)]
        if origin is typing.Literal:
            return ["literal", *args]
        if origin in (list, set, frozenset, tuple):
            inner = [self.type(arg) for arg in args if arg is not Ellipsis]
            return ["tuple" if origin is tuple else "list", *inner]
        if origin is dict:
            return ["dict", *map(self.type, args)]
        return self.plain_type(annotation)

    def plain_type(self, annotation: Any) -> Any:
        """A type without arguments."""
        if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            return ["literal", *(plain(member.value) for member in annotation)]
        if hasattr(annotation, "model_fields"):
            return ["model", self.add(annotation)]
        if annotation in (int, float, bool, str, list, dict):
            return annotation.__name__
        return "any"


def limits_of(metadata: Any) -> dict[str, Any]:
    """Ranges of numbers and lengths in pydantic's metadata."""
    found = {}
    for entry in metadata:
        for each in (entry, *getattr(entry, "metadata", ())):
            for limit in LIMITS:
                value = getattr(each, limit, None)
                if isinstance(value, int | float | str):
                    found[limit] = value
    return found


def plain(value: Any) -> Any:
    """A value for JSON; an enum's member by its value."""
    if isinstance(value, enum.Enum):
        value = value.value
    simple = isinstance(value, str | int | float | bool | list | dict) or value is None
    return value if simple else str(value)


def plugins(root: Path, models: Models) -> dict[str, Any]:
    """Of each plugin in the package: its keys, and the adapters it adds.

    The modules are not always importable without the plugin's own library; their text
    is read where they are not.
    """
    found = {}
    for folder in sorted((root / "integrations").iterdir()):
        if not folder.is_dir() or not (folder / "__init__.py").exists():
            continue
        text = "\n".join(p.read_text() for p in sorted(folder.rglob("*.py")))
        named = re.findall(r'return "axolotl\.integrations\.[\w.]*?(\w+)"', text)
        args = [
            model
            for name in dict.fromkeys(named)
            if (model := input_args(folder, name, models))
        ]
        found[folder.name] = {
            "models": args,
            "adapters": re.findall(r'AdapterCapabilities\(\s*name="(\w+)"', text),
        }
    return found


def input_args(folder: Path, name: str, models: Models) -> str | None:
    """The name of a plugin's model, as described in `models`."""
    if name.endswith("TrainingArgsMixin"):
        return None  # arguments of the trainer, not keys of the config
    try:
        module = importlib.import_module(f"axolotl.integrations.{folder.name}.args")
        return models.add(getattr(module, name))
    except (ImportError, AttributeError):
        keys = class_fields(folder / "args.py", name)
    if not keys:
        return None
    models.found[name] = {"fields": {key: {"type": "any"} for key in keys}}
    return name


def class_fields(path: Path, name: str) -> list[str]:
    """Names of the annotated fields of a class, from a module's text."""
    if not path.exists():
        return []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return [
                entry.target.id
                for entry in node.body
                if isinstance(entry, ast.AnnAssign)
                and isinstance(entry.target, ast.Name)
            ]
    return []


def dataset_types(root: Path) -> dict[str, list[str]]:
    """Valid values of a dataset's `type`, by kind of training."""
    folder = root / "prompt_strategies"
    kinds = {"sft": [*sorted(strategies(folder, "load")), "messages"]}
    for kind in ("dpo", "kto", "orpo", "ebft", "bradley_terry", "messages"):
        if (folder / kind).is_dir():
            default = "load" if kind in ("bradley_terry", "messages") else "default"
            kinds[kind] = sorted(strategies(folder / kind, default))
    for kind in ("messages", "orpo", "bradley_terry"):  # modules of a folder, by name
        kinds["sft"] += [f"{kind}.{name}" for name in kinds.get(kind, ())]
    wrappers = (root / "utils" / "data" / "wrappers.py").read_text()
    table = re.search(r"DATASET_HANDLERS = \{(.*?)\}", wrappers, re.S)
    kinds["handlers"] = sorted(re.findall(r'"(\w+)":', table[1] if table else ""))
    return kinds


def strategies(folder: Path, default: str) -> Iterator[str]:
    """Names of the strategies in a folder: `module`, and `module.function`."""
    for path in sorted(folder.glob("*.py")):
        if path.stem in ("__init__", "base", "jinja_template_analyzer"):
            continue
        tree = ast.parse(path.read_text())
        names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        names -= {name for name in names if name.startswith("_")}
        names |= {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if default in names:
            yield path.stem
        yield from (f"{path.stem}.{name}" for name in names if name.islower())


def read_keys(root: Path) -> list[str]:
    """Keys that the source reads of a dataset's entry; no model need list them."""
    reads = re.compile(
        r'\b(?:ds_cfg|dataset_config|dataset_cfg|ds_config)(?:\.get\(|\[)"([a-z_]+)"'
    )
    found: set[str] = set()
    for path in root.rglob("*.py"):
        if "schemas" not in path.parts and "deepspeed" not in path.name:
            found |= set(reads.findall(path.read_text(errors="replace")))
    return sorted(found)


def closed_sets(root: Path) -> dict[str, list[str]]:
    """Values that a key may have though its type is any text."""
    from transformers.trainer_utils import (
        HubStrategy,
        IntervalStrategy,
        SaveStrategy,
        SchedulerType,
    )
    from transformers.training_args import OptimizerNames

    enums = importlib.import_module("axolotl.utils.schemas.enums")
    own = [member.value for member in enums.CustomSupportedOptimizers]
    attention = getattr(enums, "CANONICAL_ATTN_IMPLS", ())
    packing = getattr(enums, "ATTN_IMPLS_SUPPORTING_PACKING", ())
    quantized = [member.name for member in enums.TorchAOQuantDType]
    values: dict[str, Any] = {
        "optimizer": [*own, *(member.value for member in OptimizerNames)],
        "lr_scheduler": [
            *(member.value for member in SchedulerType),
            "one_cycle",
            "rex",
        ],
        "save_strategy": [member.value for member in SaveStrategy],
        "eval_strategy": [member.value for member in IntervalStrategy],
        "hub_strategy": [member.value for member in HubStrategy],
        "attention": attention,
        "attention_that_separates": [*packing, *({"sdpa", "eager"} & {*attention})],
        "attention_flags": getattr(enums, "LEGACY_ATTN_FLAG_TO_IMPL", {}),
        "quantized_dtype": [*quantized, "fp8", "float8"],
        "large_head_attention": ["auto", "sdpa", "triton_flash"],
        "compile_options": getattr(enums, "INDUCTOR_COMPILE_OPTIONS_ALLOWLIST", ()),
        "chat_template": [member.value for member in enums.ChatTemplate],
    }
    return {
        key: value if isinstance(value, dict) else sorted(value)
        for key, value in values.items()
    }


def schema(root: Path, version: str) -> dict[str, Any]:
    """Everything about one version."""
    from axolotl.utils.schemas import datasets
    from axolotl.utils.schemas.config import AxolotlInputConfig

    models = Models()
    top = models.add(AxolotlInputConfig)
    for name in DATASETS:
        if hasattr(datasets, name):
            models.add(getattr(datasets, name))
    special = importlib.import_module("axolotl.utils.schemas.model")
    models.add(special.SpecialTokensConfig)
    return {
        "host": "Axolotl",
        "version": version,
        "top": top,
        "plugins": plugins(root, models),
        "models": models.found,
        "dataset_types": dataset_types(root),
        "read_of_datasets": read_keys(root),
        "closed": closed_sets(root),
    }


def text_of(made: dict[str, Any]) -> str:
    """JSON with one line for each field, so that differences can be read."""
    text = json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False)
    text = re.sub(r"\n {5,}", " ", text)
    text = re.sub(r"(?<=[^{\[,])\n {4}(?=[}\]])", " ", text)
    return text + "\n"


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="`src` folder of a checkout")
    parser.add_argument("--version", help="the version of the source, if not installed")
    package = Path(__file__).parent.parent / "axolotl_sftguide"
    parser.add_argument("--out", type=Path, default=package / "config" / "versions")
    options = parser.parse_args()
    if options.source:
        sys.path.insert(0, str(options.source.resolve()))
    import axolotl

    version = options.version or axolotl.__version__
    made = schema(Path(axolotl.__file__).parent, version)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"axolotl-{version}.json"
    target.write_text(text_of(made))
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
