"""The keys that are known by name are those of the installed Axolotl."""

from __future__ import annotations

from pathlib import Path

from axolotl_sftguide.config.host_schema import host_schema


def test_they_are_those_of_the_host() -> None:
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.datasets import SFTDataset

    schema = host_schema()
    assert schema.is_of_installed
    aliases = {f.alias for f in AxolotlInputConfig.model_fields.values()} - {None}
    assert set(schema.top) == set(AxolotlInputConfig.model_fields) | aliases
    assert set(schema.fields("SFTDataset")) == set(SFTDataset.model_fields)


def test_the_keys_of_each_plugin_are_known() -> None:
    import axolotl.integrations as integrations

    folders = {
        path.name
        for path in Path(integrations.__path__[0]).iterdir()
        if (path / "args.py").exists()
    }
    schema = host_schema()
    assert folders == set(schema.data["plugins"])
    with_keys = {schema.plugin_of[key] for key in schema.plugin_of}
    assert with_keys == folders
