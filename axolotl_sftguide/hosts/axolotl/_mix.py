"""Replaces a config's datasets by a mix."""

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

MIX = f"{BLOCK}.mix (not built yet: run `axolotl preprocess` on this config first)"
"""The dataset's path until the mix is built; Axolotl's error for it shows this text."""


def stand_in(cfg: Any, settings: MixSettings) -> None:
    """Set `datasets` for Axolotl's validation; the mix is built when data are loaded.

    `axolotl evaluate` does not call plugins for data: it uses the most recent mix of
    these settings, or else fails on a path that explains what to run.
    """
    datasets = cfg.get("datasets")
    if datasets and not _is_a_mix(cfg, datasets[0]):
        raise SystemExit(
            f"sftguide: {BLOCK}.mix replaces `datasets`, and both are set; "
            "move the datasets into a phase of the mix, or remove it"
        )
    made = read_last_made(_mixes(cfg), settings)
    data, held_out = made if made is not None else (MIX, MIX)
    kind = "parquet" if data.endswith(".parquet") else "json"
    entry = {"ds_type": kind, "type": "chat_template", **settings.host_settings}
    cfg["datasets"] = [{"path": data, **entry}]
    if settings.held_out and not cfg.get("test_datasets"):
        cfg["test_datasets"] = [{"path": held_out, "split": "train", **entry}]


def point_at(cfg: Any, settings: MixSettings) -> None:
    """Build or reuse the mix, and make Axolotl load it in its order.

    Raises:
        SystemExit: With one line per problem.
    """
    try:
        from ...mixing import mix
    except ImportError as error:
        raise SystemExit(
            f"sftguide: {BLOCK}.mix cannot be built ({error}); pip install "
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
            entries[0]["ds_type"] = mixed.manifest.ds_type
            for key, field in mixed.manifest.training_fields.items():
                entries[0][key] = field
    # Axolotl would shuffle the ordered rows.
    for key, value in (
        ("shuffle_merged_datasets", False),
        ("curriculum_sampling", True),
        ("sample_packing_sequentially", True),
    ):
        cfg[key] = value
    if not int(os.environ.get("LOCAL_RANK", "0")):
        note_last_made(_mixes(cfg), settings, mixed.folder.name)
        rows = sum(part.rows for part in mixed.manifest.parts)
        how = "mixed" if mixed.built else "reused a mix of"
        logger.info(f"{how} {rows} rows in {mixed.folder} (see manifest.json)")


def _mixes(cfg: Any) -> Path:
    return Path(cfg.get("dataset_prepared_path") or "last_run_prepared") / "mixes"


def _is_a_mix(cfg: Any, entry: Any) -> bool:
    path = str(entry.get("path"))
    return path == MIX or Path(path).parent.parent == _mixes(cfg)
