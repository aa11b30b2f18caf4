"""A config as Axolotl has it after loading: with defaults, without unknown keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .host_schema import HostSchema, host_schema, with_aliases


def as_loaded(
    config: Mapping[str, Any], schema: HostSchema | None = None
) -> dict[str, Any]:
    """The top level of a config with Axolotl's defaults, and without keys it drops.

    A default is for a missing key: an empty one stays empty, as for Axolotl. Keys of a
    plugin count only where it is listed, and then with the plugin's defaults.

    Args:
        config: The config, as read from YAML.
        schema: What is known of Axolotl; by default of the installed version.
    """
    schema = schema or host_schema()
    plugins = config.get("plugins") or []
    plugins = plugins if isinstance(plugins, list) else [plugins]
    fields = {**schema.fields(schema.data["top"])}
    for name in schema.own_plugins(plugins):
        for model in schema.data["plugins"][name]["models"]:
            fields.update(schema.fields(model))
    loaded = {k: f["default"] for k, f in fields.items() if "default" in f}
    names = {other: key for key, f in fields.items() for other in f.get("aliases", ())}
    known = with_aliases(fields)
    for key, value in config.items():
        if key in known:
            loaded[names.get(key, key)] = value
    flags = [flag for flag in schema.attention_flags if loaded.get(flag)]
    if flags and not loaded.get("attn_implementation"):
        loaded["attn_implementation"] = schema.attention_flags[flags[0]]
    return loaded
