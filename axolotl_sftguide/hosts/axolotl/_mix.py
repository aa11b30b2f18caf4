"""A mix in the place of a config's datasets."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from ...config.mix_settings import MixSettings
from ...config.settings import BLOCK
from ...errors import MixError
from ...mixing.last_made import note_last_made, read_last_made

logger = logging.getLogger(__name__)

MIX = f"{BLOCK}.mix (not made yet: run `axolotl preprocess` on this config first)"
"""Stands for the dataset until it is made; the host names what it cannot load."""


def stand_in(cfg: Any, settings: MixSettings) -> None:
    """What the host's own checks want to see; made when the host loads its data.

    `axolotl evaluate` asks no plugin for data: it gets what was made last of these
    settings, and else a path that says what to do.
    """
    datasets = cfg.get("datasets")
    if datasets and not _is_a_mix(cfg, datasets[0]):
        raise SystemExit(
            f"sftguide: {BLOCK}.mix takes the place of `datasets`, and both are there; "
            "move the datasets into a phase of the mix, or remove it"
        )
    made = read_last_made(_mixes(cfg), settings)
    data, aside = made if made is not None else (MIX, MIX)
    entry = {"ds_type": "json", "type": "chat_template", **settings.host_settings}
    cfg["datasets"] = [{"path": data, **entry}]
    if settings.held_out and not cfg.get("test_datasets"):
        cfg["test_datasets"] = [{"path": aside, "split": "train", **entry}]


def point_at(cfg: Any, settings: MixSettings) -> None:
    """Make the mix, or find it, and have the host load it in its order.

    Raises:
        SystemExit: With one line for each fault.
    """
    try:
        from ...mixing import mix
    except ImportError as error:
        raise SystemExit(
            f"sftguide: {BLOCK}.mix cannot be made because {error}; pip install "
            "'axolotl-sftguide[mix]'"
        ) from None
    try:
        mixed = mix(settings, _mixes(cfg))
    except MixError as error:
        raise SystemExit(
            "\n".join(f"sftguide: {line}" for line in str(error).splitlines())
        ) from None
    for entries, path in (
        (cfg.datasets, mixed.data),
        (cfg.test_datasets, mixed.held_out),
    ):
        if entries and _is_a_mix(cfg, entries[0]):
            entries[0]["path"] = str(path)
            if mixed.manifest.trains_by_turn:
                entries[0]["message_field_training"] = "train"
    # The host would shuffle what the mix has put in order.
    for key, value in (
        ("shuffle_merged_datasets", False),
        ("curriculum_sampling", True),
        ("sample_packing_sequentially", True),
    ):
        cfg[key] = value
    if not int(os.environ.get("LOCAL_RANK", "0")):
        note_last_made(_mixes(cfg), settings, mixed.folder.name)
        rows = sum(part.rows for part in mixed.manifest.parts)
        how = "mixed" if mixed.built else "found the mix of"
        logger.info(f"{how} {rows} rows in {mixed.folder} (manifest.json says of what)")


def _mixes(cfg: Any) -> Path:
    return Path(cfg.get("dataset_prepared_path") or "last_run_prepared") / "mixes"


def _is_a_mix(cfg: Any, entry: Any) -> bool:
    path = str(entry.get("path"))
    return path == MIX or Path(path).parent.parent == _mixes(cfg)
