"""A configuration as the advice reads it: the host's defaults where nothing stands."""

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
    "pretraining_dataset": "pre-training",
    "reward_model": "a reward model",
    "process_reward_model": "a reward model",
    "diffusion": "a diffusion model",
    "is_multimodal": "a multimodal model",
    "processor_type": "a multimodal model",
}


@dataclass(frozen=True)
class View:
    """A mapping as it was written.

    Args:
        config: Of Axolotl, before its own validation.
        rows: Of the training data after preparation, where they are known.
        ranks: Data-parallel ranks.
        parameters: Of the model, where they are known.
        model_type: Its kind as its `config.json` names it, where that is known.
    """

    config: Mapping[str, Any]
    rows: int | None = None
    ranks: int = 1
    parameters: int | None = None
    model_type: str | None = None

    def get(self, key: str, default: Any = None) -> Any:
        """What stands at a key of the top level."""
        value = self.config.get(key)
        return default if value is None else value

    def number(self, key: str, default: float | None = None) -> float | None:
        """A number at a key; text that says one is one, as for the host."""
        value = self.get(key, default)
        try:
            found = float(value)
        except (TypeError, ValueError):
            return None
        return found if math.isfinite(found) else None

    @property
    def other_kind(self) -> str | None:
        """What it trains that is no SFT of a language model, if it does."""
        return next((name for key, name in _OTHER_KINDS.items() if self.get(key)), None)

    @property
    def training(self) -> str:
        """`full` or `adapter`."""
        return "adapter" if self.get("adapter") else "full"

    @property
    def is_small(self) -> bool:
        """Whether the model is known to be far below the sizes that were studied."""
        return self.parameters is not None and self.parameters < 500_000_000

    @property
    def packed(self) -> bool:
        """Whether rows hold several samples."""
        return bool(self.get("sample_packing"))

    @cached_property
    def block(self) -> Mapping[str, Any]:
        """The `sftguide:` block, or an empty one."""
        block = self.get(BLOCK)
        return block if isinstance(block, Mapping) else {}

    @property
    def has_plugin(self) -> bool:
        """Whether the configuration names this package's plugin."""
        plugins = self.get("plugins", [])
        plugins = [plugins] if isinstance(plugins, str) else plugins
        return any("SFTGuidePlugin" in str(plugin) for plugin in plugins)

    @property
    def accumulation(self) -> int:
        """Micro batches of a step, where no effective batch size says otherwise."""
        return int(self.number("gradient_accumulation_steps", 1) or 1)

    @property
    def samples(self) -> int | None:
        """Samples of a step over all ranks; None where packing or the data decide."""
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
        """Optimizer steps of the run, where they are known before it."""
        most = self.number("max_steps")
        if most and most > 0:
            return int(most)
        if self.rows is None or not self.samples:
            return None
        return math.ceil(self.rows * (self.number("num_epochs", 1) or 1) / self.samples)

    @property
    def sources(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Path and entry of each of `datasets`."""
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
        """The block's mix, where there is one."""
        mix = self.block.get("mix")
        return mix if isinstance(mix, Mapping) else None
