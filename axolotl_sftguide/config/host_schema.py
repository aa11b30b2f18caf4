"""Axolotl's keys, types and values, of the installed version or the newest known.

`scripts/axolotl_schema.py` writes one file per version from that version's source.
Importing Axolotl itself takes seconds and loads torch; reading the file takes 1 ms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from .installed import installed_version

_FOLDER = Path(__file__).parent / "versions"

PREFERENCE = ("dpo", "ipo", "simpo")
"""Values of `rl` with pairs of a chosen and a rejected answer."""


@dataclass(frozen=True)
class HostSchema:
    """What is known of one version of Axolotl."""

    data: Mapping[str, Any]
    installed: str | None
    """The installed version; None without Axolotl."""

    @property
    def version(self) -> str:
        """The version that this is about."""
        return str(self.data["version"])

    @property
    def is_of_installed(self) -> bool:
        """Whether it is about the installed version."""
        return self.installed == self.version

    def fields(self, model: str) -> Mapping[str, Any]:
        """The fields of a model by name."""
        found: Mapping[str, Any] = self.data["models"][model]["fields"]
        return found

    def extra(self, model: str) -> str:
        """What a model does with unknown keys: `ignore`, `forbid` or `allow`."""
        return str(self.data["models"][model].get("extra", "ignore"))

    @cached_property
    def top(self) -> dict[str, Any]:
        """The fields at the top level, also by their other names."""
        return with_aliases(self.fields(self.data["top"]))

    def closed(self, name: str) -> tuple[str, ...]:
        """The values of a closed set."""
        return tuple(self.data["closed"].get(name, ()))

    @property
    def attention_flags(self) -> Mapping[str, str]:
        """Old keys that choose an attention, and the value that replaces each."""
        flags: Mapping[str, str] = self.data["closed"]["attention_flags"]
        return flags

    @cached_property
    def plugin_of(self) -> dict[str, str]:
        """The plugin that defines a key, for all plugins that come with Axolotl."""
        return {
            key: name
            for name, plugin in self.data["plugins"].items()
            for model in plugin["models"]
            for key in with_aliases(self.fields(model))
        }

    def plugin_fields(self, plugins: Iterable[str]) -> dict[str, Any]:
        """The fields that listed plugins of Axolotl add to the top level."""
        found: dict[str, Any] = {}
        for name in self.own_plugins(plugins):
            for model in self.data["plugins"][name]["models"]:
                found.update(with_aliases(self.fields(model)))
        return found

    def own_plugins(self, plugins: Iterable[str]) -> list[str]:
        """Those of the listed plugins that come with Axolotl, by the folder's name."""
        # Axolotl also looks for `liger.LigerPlugin` in its own folder.
        own = re.compile(r"(?:axolotl\.integrations\.)?(\w+)\.\w")
        named = [own.match(str(plugin)) for plugin in plugins]
        known = self.data["plugins"]
        return [match[1] for match in named if match and match[1] in known]

    def adapters(self, plugins: Iterable[str]) -> tuple[str, ...]:
        """Valid values of `adapter`."""
        added = [self.data["plugins"][p]["adapters"] for p in self.own_plugins(plugins)]
        return (
            "lora",
            "qlora",
            "llama-adapter",
            *(name for each in added for name in each),
        )

    def dataset_model(self, kind: str | None, entry: Mapping[str, Any]) -> str:
        """The model by which Axolotl reads an entry of `datasets`.

        Args:
            kind: The value of `rl`.
            entry: The entry.
        """
        if kind in PREFERENCE:
            return "DPODataset"
        if kind == "kto":
            return "KTODataset"
        synthetic = entry.get("type") == "_synthetic"
        return "SyntheticDataset" if synthetic else "SFTDataset"

    def dataset_types(self, kind: str | None) -> tuple[str, ...]:
        """Values of a dataset's `type` that Axolotl has a strategy for."""
        types = self.data["dataset_types"]
        if kind in PREFERENCE:
            return tuple(types["dpo"])
        if kind in ("kto", "orpo", "ebft"):
            return tuple(types[kind])
        return (*types["sft"], *types["handlers"])


def with_aliases(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their own name and by each other name."""
    found = dict(fields)
    for field in fields.values():
        found.update(dict.fromkeys(field.get("aliases", ()), field))
    return found


def known_versions() -> list[str]:
    """The versions with a file, oldest first."""
    names = [path.stem.partition("-")[2] for path in _FOLDER.glob("axolotl-*.json")]
    return sorted(names, key=lambda v: [int(part) for part in re.findall(r"\d+", v)])


@lru_cache(maxsize=4)
def host_schema(wanted: str | None = None) -> HostSchema:
    """The schema of a version: the installed one if it is known, else the newest known.

    Args:
        wanted: A version, instead of the installed one.
    """
    installed = installed_version("axolotl")
    known = known_versions()
    chosen = wanted or (installed if installed in known else known[-1])
    text = (_FOLDER / f"axolotl-{chosen}.json").read_text(encoding="utf-8")
    return HostSchema(json.loads(text), installed)
