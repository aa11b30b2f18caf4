"""Where a trial keeps its tokenised data.

Axolotl 0.19.0 finds prepared data by a hash of the data sets, whatever their order, and
of how a row is tokenised. The order of the rows is not in it: with one
`dataset_prepared_path`, a trial that reads its data in sequence would read them as the
first trial has shuffled them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..config.settings import BLOCK

PREPARED = "dataset_prepared_path"

_ORDER = (
    "curriculum_sampling",
    "datasets",
    "shuffle_before_merging_datasets",
    "shuffle_merged_datasets",
)
"""Keys that decide the order of prepared rows, and that Axolotl's hash leaves out."""


def prepared_path(config: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """The folder for the prepared data of a trial.

    Args:
        config: The config of the trial.
        keys: The keys that the search space sets.

    Returns:
        The config's own folder; if the space sets keys that decide the order of the
        rows, a folder inside it for each order.
    """
    path: str | None = config.get(PREPARED)
    keys = set(keys)
    # A mix has a folder for each order already.
    if not path or PREPARED in keys or (config.get(BLOCK) or {}).get("mix"):
        return path
    # A sampler that shuffles makes the order of the prepared rows irrelevant.
    seeded = ("seed",) if config.get("curriculum_sampling") else ()
    order = {key: config.get(key) for key in (*_ORDER, *seeded)}
    if not keys & set(order):
        return path
    text = json.dumps(order, sort_keys=True, default=str)
    return str(Path(path) / f"order-{hashlib.sha256(text.encode()).hexdigest()[:8]}")
