"""Whether the card will hold the training, before the model is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import yaml

from ...errors import PlanError
from ...planning import KNOWN, find_model, plan_memory
from ...recipes import shipped_recipes


def too_large(config: Mapping[str, Any], gpu_bytes: int) -> str | None:
    """What to say of a training that a card will probably not hold, if anything.

    Args:
        config: Of Axolotl.
        gpu_bytes: Memory of one card.
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
    told = (
        f"by estimate this takes {made.peak_bytes / 2**30:.1f} GiB, and the card has "
        f"{gpu_bytes / 2**30:.1f}"
    )
    if made.largest_micro_batch:
        return f"{told}; micro_batch_size {made.largest_micro_batch} would fit"
    recipe = None if config.get("adapter") else _recipe_that_fits(name, gpu_bytes)
    if recipe is not None:
        return f"{told}; the recipe {recipe} would fit: sftguide recipes copy {recipe}"
    return f"{told}; lower sequence_len"


def _recipe_that_fits(base_model: str, gpu_bytes: int) -> str | None:
    """Of the adapters: the one of the same model, else of the largest that fits."""
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
