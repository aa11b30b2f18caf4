"""A config with Axolotl's defaults where a key is not set."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..config.evaluation import packs_evaluations
from ..config.host_schema import HostSchema, host_schema
from ..config.settings import BLOCK
from ..evidence import is_small
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
        model: The model's `config.json`, if known.
        counted_steps: Optimizer steps that Axolotl counts on the prepared rows.
    """

    config: Mapping[str, Any]
    rows: int | None = None
    ranks: int = 1
    parameters: int | None = None
    model_type: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    counted_steps: int | None = None

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

    def listed(self, key: str) -> list[Any]:
        """The list at a top-level key; one value counts as a list of it."""
        value = self.get(key, [])
        return list(value) if isinstance(value, list) else [value]

    @cached_property
    def schema(self) -> HostSchema:
        """What is known of the host's keys and values."""
        return host_schema()

    def mapping(self, key: str) -> Mapping[str, Any]:
        """The mapping at a top-level key, or an empty one."""
        value = self.get(key)
        return value if isinstance(value, Mapping) else {}

    @property
    def kind(self) -> str | None:
        """The value of `rl`, if it is text."""
        kind = self.get("rl")
        return kind if isinstance(kind, str) else None

    @property
    def plugins(self) -> list[str]:
        """The listed plugins."""
        plugins = self.get("plugins", [])
        plugins = plugins if isinstance(plugins, list) else [plugins]
        return [str(plugin) for plugin in plugins]

    @property
    def attention_flags_on(self) -> list[str]:
        """The older keys that choose an attention and are on."""
        return [flag for flag in self.schema.attention_flags if self.get(flag)]

    @property
    def attention(self) -> str | None:
        """The attention by Axolotl's name, also if an older key chooses it."""
        named = self.get("attn_implementation")
        if named is not None:
            return str(named).split(":")[0].split("@")[0].strip()
        if self.get("gemma4_hybrid_attn_impl"):
            return "flash_attention_2"
        # Axolotl goes through its own list, in which specific backends come first.
        flags = ("xformers_attention", "sage_attention", "flex_attention")
        order = {flag: i for i, flag in enumerate((*flags, "flash_attention"))}
        on = sorted(self.attention_flags_on, key=lambda flag: order.get(flag, 9))
        return self.schema.attention_flags[on[0]] if on else None

    @property
    def eval_strategy(self) -> Any:
        """When to evaluate, also by the key's old name."""
        return self.get("eval_strategy", self.get("evaluation_strategy"))

    @property
    def evaluates(self) -> bool:
        """Whether there are rows to evaluate on."""
        return bool(self.get("val_set_size") or self.get("test_datasets"))

    @property
    def reentrant(self) -> bool:
        """Whether the config asks for reentrant gradient checkpointing."""
        return bool(self.mapping("gradient_checkpointing_kwargs").get("use_reentrant"))

    @cached_property
    def fsdp(self) -> Mapping[str, Any]:
        """The `fsdp_config` block, with keys as Axolotl reads them: without `fsdp_`."""
        return {
            key if key == "fsdp_version" else str(key).removeprefix("fsdp_"): value
            for key, value in self.mapping("fsdp_config").items()
        }

    @property
    def fsdp_is_set(self) -> bool:
        """Whether FSDP is configured."""
        return bool(self.get("fsdp") or self.get("fsdp_config"))

    @property
    def fsdp_version(self) -> str:
        """The version of FSDP: `1` unless the config sets another."""
        block = self.mapping("fsdp_config")
        inside = block.get("fsdp_version") or block.get("version")
        return str(self.get("fsdp_version") or inside or 1)

    @property
    def bits(self) -> int | None:
        """4 or 8 if the weights are quantised."""
        if self.get("load_in_4bit"):
            return 4
        return 8 if self.get("load_in_8bit") else None

    @property
    def context_parallel(self) -> float:
        """Number of GPUs that divide a sequence."""
        size = self.number("context_parallel_size")
        return size or self.number("sequence_parallel_degree", 1) or 1

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
        """Whether the model is far smaller than those studied, by config or name."""
        name = str(self.get("base_model", ""))
        return is_small(self.parameters or parameters_in(name))

    @property
    def packed(self) -> bool:
        """Whether a row holds several samples."""
        return bool(self.get("sample_packing"))

    @property
    def packs_evaluations(self) -> bool:
        """Whether Axolotl packs the rows of an evaluation."""
        return packs_evaluations(self.config) and not self.other_kind

    @cached_property
    def block(self) -> Mapping[str, Any]:
        """The `sftguide:` block, or an empty one."""
        block = self.get(BLOCK)
        return block if isinstance(block, Mapping) else {}

    @property
    def has_plugin(self) -> bool:
        """Whether the config lists this package's plugin."""
        return any("SFTGuidePlugin" in plugin for plugin in self.plugins)

    @property
    def accumulation(self) -> int:
        """Micro batches per step, unless an effective batch size is set."""
        return max(1, int(self.number("gradient_accumulation_steps", 1) or 1))

    @property
    def samples(self) -> int | None:
        """Samples per step over all ranks; None if packing or the data decide."""
        wanted = self.block.get("effective_batch_size")
        if wanted == "auto":
            return choose(self.rows, self.training).samples if self.rows else None
        if isinstance(wanted, int):
            return wanted if wanted > 0 else None
        if self.packed:
            return None
        micro = max(1, int(self.number("micro_batch_size", 1) or 1))
        return micro * self.accumulation * self.ranks

    @property
    def steps(self) -> int | None:
        """Optimizer steps of the run, if known before it starts."""
        most = self.number("max_steps")
        if most and most > 0:
            return int(most)
        if self.counted_steps is not None:
            return self.counted_steps
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


def parameters_in(name: str) -> float | None:
    """The number of parameters that a model's name gives, as in SmolLM2-135M."""
    pattern = r"(?<![A-Z0-9.])(\d+(?:\.\d+)?)([MB])(?![A-Z0-9])"
    found = re.findall(pattern, name.upper())
    sizes = [float(number) * (1e6 if unit == "M" else 1e9) for number, unit in found]
    return sizes[0] if len(sizes) == 1 else None
