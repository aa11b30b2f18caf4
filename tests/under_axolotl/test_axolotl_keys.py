"""The keys that are known by name are those of the installed Axolotl."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

from axolotl_sftguide.config.axolotl_keys import OF_DATASETS, OF_PLUGINS, TOP_LEVEL
from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.hosts.known_keys import check_keys


def test_they_are_those_of_the_host() -> None:
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.datasets import SFTDataset

    assert set(AxolotlInputConfig.model_fields) <= TOP_LEVEL
    aliases = {f.alias for f in AxolotlInputConfig.model_fields.values()}
    assert set(AxolotlInputConfig.model_fields) | aliases >= TOP_LEVEL
    assert set(SFTDataset.model_fields) == OF_DATASETS


def test_the_keys_of_its_own_plugins_are_among_them() -> None:
    import axolotl.integrations as integrations

    found: set[str] = set()
    for module in pkgutil.iter_modules(integrations.__path__):
        try:
            args = importlib.import_module(f"axolotl.integrations.{module.name}.args")
        except ImportError:
            continue
        for value in vars(args).values():
            if getattr(value, "__module__", "") == args.__name__:
                found |= set(getattr(value, "model_fields", ()))
    assert {"liger_rope", "cut_cross_entropy"} <= found
    assert found & OF_PLUGINS
    assert found >= OF_PLUGINS


def test_the_child_process_imports_nothing_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pydantic.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="learning_ratee: is not a key of Axolotl"):
        check_keys(["learning_ratee"], {})
