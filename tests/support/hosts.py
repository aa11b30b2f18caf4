"""Real hosts in this process: Axolotl and TRL, and what a training left behind."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axolotl_sftguide.runs.history import Run, RunHistory
from axolotl_sftguide.runs.traces import Trace, find_traces, read_trace


@dataclass
class Outcome:
    """What a training left behind."""

    output_dir: Path
    trainer: Any
    witness: Any

    @property
    def logs(self) -> list[dict[str, float]]:
        """The host's training logs, without its last summary."""
        return [log for log in self.trainer.state.log_history if "loss" in log]

    @property
    def weights(self) -> dict[str, Any]:
        """The final weights, by name."""
        return {k: v.clone() for k, v in self.trainer.model.state_dict().items()}

    @property
    def trace(self) -> Trace:
        """The only trace of the output folder."""
        (path,) = find_traces(self.output_dir)
        return read_trace(path)

    @property
    def run(self) -> Run:
        """Its entry in the run history."""
        return RunHistory().get(self.trace.run["id"])


def leave_together() -> None:
    """What torch asks of ranks that end, lest one's threads are cut off."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def spare_the_collector() -> None:
    """Exempt what is loaded from garbage collection.

    The hosts collect garbage several times per training. With their modules among it,
    that takes longer than a tiny model trains.
    """
    gc.collect()
    gc.freeze()


def prepare_in_this_process() -> None:
    """Keep Axolotl from starting a process to save its rows, which takes seconds."""
    from datasets import Dataset

    save = Dataset.save_to_disk
    if save.__module__ == __name__:
        return

    def save_here(self: Any, path: Any, num_proc: Any = None, **words: Any) -> None:
        save(self, path, **words)

    Dataset.save_to_disk = save_here


def run_axolotl(path: Path, **overrides: Any) -> Outcome:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets
    from axolotl.integrations.base import PluginManager
    from axolotl.train import train

    prepare_in_this_process()
    spare_the_collector()
    PluginManager.get_instance().plugins.clear()  # as in a process of its own
    cfg = load_cfg(str(path))
    cfg.update(overrides)
    meta = PluginManager.get_instance().load_datasets(cfg, preprocess=False)
    _, _, trainer = train(cfg=cfg, dataset_meta=meta or load_datasets(cfg=cfg))
    witness = None
    if "witness_plugin.WitnessPlugin" in cfg.plugins:
        from witness_plugin import WitnessPlugin

        witness = WitnessPlugin.last
    return Outcome(Path(cfg.output_dir), trainer, witness)


def make_sft_trainer(
    base: Path,
    data: Path,
    folder: Path,
    *callbacks: Any,
    lora: Path | None = None,
    witness: bool = False,
    **overrides: Any,
) -> tuple[Any, Any]:
    import torch
    from datasets import load_dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer
    from witness import Witness

    spare_the_collector()
    torch.manual_seed(42)
    model = AutoModelForCausalLM.from_pretrained(base)
    if lora is not None:
        model = PeftModel.from_pretrained(model, lora, is_trainable=True)
    kind = "parquet" if data.suffix == ".parquet" else "json"
    rows_ = load_dataset(
        kind, data_files=str(data), split="train", cache_dir=str(data.parent / "hf")
    )
    settings = {
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "max_steps": 12,
        "max_length": 64,
        "learning_rate": 0.003,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "bf16": False,
        "use_cpu": True,
        "seed": 42,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": [],
        "gradient_checkpointing": False,
        "assistant_only_loss": True,
        **overrides,
    }
    seen = Witness() if witness else None
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**settings),
        train_dataset=rows_,
        eval_dataset=rows_.select(range(8)) if "eval_strategy" in overrides else None,
        processing_class=AutoTokenizer.from_pretrained(base),
        callbacks=[*callbacks, *([seen] if seen else [])],
    )
    return trainer, seen
