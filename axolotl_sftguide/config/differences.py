"""What the configurations of several runs differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NO_HYPERPARAMETERS = frozenset(
    (
        "output_dir",
        "axolotl_config_path",
        "dataset_prepared_path",
        "resume_from_checkpoint",
        "auto_resume_from_checkpoints",
        "sftguide.study",
        "sftguide.name",
        "sftguide.storage",
        # A sweep sets it.
        "sftguide.early_termination.metric",
        # Axolotl derives these from the batch, the data and the machine.
        "batch_size",
        "eval_batch_size",
        "device_map",
        "total_num_tokens",
        "total_supervised_tokens",
    )
)
"""Keys that differ between runs but are not hyperparameters."""


NO_SETTING = frozenset(
    (
        "seed",
        "data_seed",
        "name",
        "run_name",
        "hub_model_id",
        "logging_dir",
        "resume_from_checkpoint",
        "auto_resume_from_checkpoints",
    )
)
"""The last part of the keys in which repeats of a setting may differ."""


def setting_of(config: Mapping[str, Any]) -> str:
    """The same text for configurations that differ in seeds and names only.

    A run that was resumed has the setting of the run that it continues.
    """
    kept = {
        key: repr(value)
        for key, value in flatten(config).items()
        if _is_hyperparameter(key)
        and key.rpartition(".")[2] not in NO_SETTING
        and not key.startswith(("wandb_", "mlflow_", "comet_"))
    }
    return repr(sorted(kept.items()))


def varied_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The dotted keys whose values are not the same in all configurations.

    A list counts as one value. Keys that only say where a run writes, and keys that
    Axolotl derives from others, are left out.
    """
    flat = [flatten(config) for config in configs]
    keys = dict.fromkeys(key for one in flat for key in one)
    return [
        key
        for key in keys
        if _is_hyperparameter(key) and len({repr(one.get(key)) for one in flat}) > 1
    ]


def _is_hyperparameter(key: str) -> bool:
    # What is measured changes nothing in a run.
    return key not in _NO_HYPERPARAMETERS and not key.startswith("sftguide.monitor.")


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values by dotted key; an empty mapping is a value."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found.update(flatten(value, f"{dotted}."))
        else:
            found[dotted] = value
    return found
