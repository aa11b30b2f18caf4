"""Warns before loading a model that probably does not fit on the GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import yaml

from ...errors import PlanError
from ...planning import KNOWN, find_model, plan_memory
from ...recipes import shipped_recipes


def too_large(config: Mapping[str, Any], gpu_bytes: int) -> str | None:
    """The warning for a training that probably does not fit; None if it does.

    Args:
        config: Axolotl's config.
        gpu_bytes: Memory of one GPU in bytes.
    """
    name = str(config.get("base_model"))
    model = find_model(name)
    if model is None:
        return None
    try:
        gpus = int(os.environ.get("WORLD_SIZE", "1"))
        made = plan_memory(config, model, gpu_bytes=gpu_bytes, gpus=gpus)
    except PlanError:
        return None
    if made.fits:
        return None
    estimate = (
        f"this training needs an estimated {made.peak_bytes / 2**30:.1f} GiB, but the "
        f"GPU has {gpu_bytes / 2**30:.1f} GiB"
    )
    if made.largest_micro_batch:
        return f"{estimate}; micro_batch_size: {made.largest_micro_batch} would fit"
    recipe = None if config.get("adapter") else _recipe_that_fits(name, gpu_bytes)
    if recipe is not None:
        return f"{estimate}; a recipe that fits: sftguide recipes copy {recipe}"
    return f"{estimate}; lower sequence_len"


def _recipe_that_fits(base_model: str, gpu_bytes: int) -> str | None:
    """The adapter recipe of the same model, else of the largest model that fits."""
    sizes = {}
    for recipe in shipped_recipes():
        config = yaml.safe_load(recipe.text)
        model = KNOWN.get(config["base_model"])
        if model is None or not config.get("adapter"):
            continue
        made = plan_memory(config, model, gpu_bytes=gpu_bytes)
        if made.fits:
            same = config["base_model"] == base_model
            sizes[recipe.name] = (same, made.architecture.parameters)
    return max(sizes, key=lambda name: sizes[name], default=None)
