"""A config with Axolotl's defaults where a key is not set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..config.settings import BLOCK
from ..evidence.effective_batch import choose

_OTHER_KINDS = {
    "rl": "preference or reinforcement learning",
    "pretraining_dataset": "pretraining",
    "reward_model": "a reward model",
    "process_reward_model": "a reward model",
    "diffusion": "a diffusion model",
    "is_multimodal": "a multimodal model",
    "processor_type": "a multimodal model",
}


@dataclass(frozen=True)
class View:
    """A config as it was written, and what is known about its model and data.

    Args:
        config: Axolotl's config, before its own validation.
        rows: Number of training rows after preparation, if known.
        ranks: Number of data-parallel ranks.
        parameters: Number of parameters of the model, if known.
        model_type: The `model_type` in the model's `config.json`, if known.
    """

    config: Mapping[str, Any]
    rows: int | None = None
    ranks: int = 1
    parameters: int | None = None
    model_type: str | None = None

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a top-level key; the default if it is missing or null."""
        value = self.config.get(key)
        return default if value is None else value

    def number(self, key: str, default: float | None = None) -> float | None:
        """The number at a key; numeric text counts, as it does for Axolotl."""
        value = self.get(key, default)
        try:
            found = float(value)
        except (TypeError, ValueError):
            return None
        return found if math.isfinite(found) else None

    @property
    def other_kind(self) -> str | None:
        """What the config trains other than SFT of a language model, if anything."""
        return next((name for key, name in _OTHER_KINDS.items() if self.get(key)), None)

    @property
    def training(self) -> str:
        """`full` or `adapter`."""
        return "adapter" if self.get("adapter") else "full"

    @property
    def is_small(self) -> bool:
        """Whether the model is known to be far smaller than those studied."""
        return self.parameters is not None and self.parameters < 500_000_000

    @property
    def packed(self) -> bool:
        """Whether a row holds several samples."""
        return bool(self.get("sample_packing"))

    @cached_property
    def block(self) -> Mapping[str, Any]:
        """The `sftguide:` block, or an empty one."""
        block = self.get(BLOCK)
        return block if isinstance(block, Mapping) else {}

    @property
    def has_plugin(self) -> bool:
        """Whether the config lists this package's plugin."""
        plugins = self.get("plugins", [])
        plugins = [plugins] if isinstance(plugins, str) else plugins
        return any("SFTGuidePlugin" in str(plugin) for plugin in plugins)

    @property
    def accumulation(self) -> int:
        """Micro batches per step, unless an effective batch size is set."""
        return int(self.number("gradient_accumulation_steps", 1) or 1)

    @property
    def samples(self) -> int | None:
        """Samples per step over all ranks; None if packing or the data decide."""
        wanted = self.block.get("effective_batch_size")
        if wanted == "auto":
            return choose(self.rows, self.training).samples if self.rows else None
        if isinstance(wanted, int):
            return wanted
        if self.packed:
            return None
        micro = int(self.number("micro_batch_size", 1) or 1)
        return micro * self.accumulation * self.ranks

    @property
    def steps(self) -> int | None:
        """Optimizer steps of the run, if known before it starts."""
        most = self.number("max_steps")
        if most and most > 0:
            return int(most)
        if self.rows is None or not self.samples:
            return None
        return math.ceil(self.rows * (self.number("num_epochs", 1) or 1) / self.samples)

    @property
    def sources(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Path and entry of each dataset."""
        entries = self.get("datasets", [])
        if not isinstance(entries, list):
            return []
        return [
            (f"datasets.{i}", entry)
            for i, entry in enumerate(entries)
            if isinstance(entry, Mapping)
        ]

    @property
    def mix(self) -> Mapping[str, Any] | None:
        """The `mix:` block, if any."""
        mix = self.block.get("mix")
        return mix if isinstance(mix, Mapping) else None
