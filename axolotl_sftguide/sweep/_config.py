"""The complete config of one trial."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.rule_settings import EarlyTerminationSettings
from ..config.settings import BLOCK, load_settings
from ..errors import SweepError
from ..stopping.judge import actions_of
from ._prepared import PREPARED, prepared_path
from ._space import SearchSpace
from ._trial import Trial

PLUGIN = "axolotl_sftguide.SFTGuidePlugin"


_FOLDER = re.compile(r"[^\W_][\w .@+=-]{0,99}(/[^\W_][\w .@+=-]{0,99}){0,5}")


def output_folder_of(study: str) -> Path:
    """The folder of a study's trials: `outputs/STUDY`.

    Raises:
        SweepError: If the name is no path below `outputs`.
    """
    if not _FOLDER.fullmatch(study):
        raise SweepError(
            f"study {study[:80]!r}: cannot be the name of a folder in outputs; give "
            "--output-dir, or --study with a name of letters, digits and -_.@+="
        )
    return Path("outputs") / study


def config_of(
    trial: Trial,
    study: str,
    metric: str,
    recipe: Mapping[str, Any],
    space: SearchSpace,
) -> dict[str, Any]:
    """The recipe with the values of a trial, its folder, and the plugin.

    The rules judge by the metric that trials are compared by, unless the recipe says
    otherwise.
    """
    config = space.apply(recipe, trial.values)
    block = dict(config.get(BLOCK) or {})
    rules = dict(block.get("early_termination") or {})
    rules.setdefault("action", "stop")
    rules.setdefault("metric", metric)
    # The URL may hold a password, so it is passed in the environment.
    block.pop("storage", None)
    block.update(study=study, name=trial.name, early_termination=rules)
    plugins = list(config.get("plugins") or [])
    if not any(str(entry).endswith("SFTGuidePlugin") for entry in plugins):
        plugins.append(PLUGIN)
    config.update(plugins=plugins, output_dir=str(trial.folder))
    prepared = prepared_path(config, space.keys)
    if prepared is not None:
        config[PREPARED] = prepared
    config[BLOCK] = block
    load_settings(block)
    return config


def rules_of(config: Mapping[str, Any]) -> EarlyTerminationSettings:
    """The settings of the rules in the config of a trial."""
    return load_settings(config.get(BLOCK)).early_termination


def parks(config: Mapping[str, Any]) -> bool:
    """Whether the sweep parks what this rule would stop."""
    rules = rules_of(config)
    stops = actions_of(rules)["prediction"] == "stop"
    return stops and rules.prediction.parking is not None
