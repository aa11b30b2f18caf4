"""The rows of a config's datasets as Axolotl tokenises them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...advice import Examined, examine
from . import _mix
from ._plugin import settings_of
from ._steps import PreparedRun
from ._system_messages import system_messages

_FOR_A_CPU = {
    "bf16": False,
    "fp16": False,
    "tf32": False,
    "attn_implementation": "sdpa",
}


@dataclass
class ExaminedRun:
    """What a config's data hold, and the run that Axolotl makes of them."""

    datasets: list[Examined]
    """Counted before Axolotl drops any rows for their length or labels."""
    run: PreparedRun | None = None
    """None for preference training and streamed data, or if it cannot be prepared."""
    error: str = ""
    """Why Axolotl cannot prepare the run."""
    wanted: int | str | None = None
    """The value of `sftguide.effective_batch_size`."""


def examined_run(config: str) -> ExaminedRun:
    """Count which tokens of each dataset are trained, and prepare the run.

    Args:
        config: The path of the YAML file.
    """
    cfg, tokenizer = _loaded(config)
    found = ExaminedRun(list(_examined(cfg, tokenizer)))
    found.wanted = settings_of(cfg).effective_batch_size
    if cfg.rl or cfg.streaming or cfg.pretraining_dataset or cfg.reward_model:
        return found
    try:
        found.run = PreparedRun(cfg, tokenizer)
    except ValueError as error:  # no rows are left, or too few to evaluate
        found.error = " ".join(str(error).split())
    return found


def _loaded(config: str) -> tuple[Any, Any]:
    """Axolotl's config and tokenizer, with what needs a GPU left out without one."""
    import torch
    from axolotl.cli.config import load_cfg
    from axolotl.loaders import load_tokenizer

    from ...config.yaml_file import read_config

    written = read_config(config)
    spare = {} if torch.cuda.is_available() else _FOR_A_CPU
    cfg = load_cfg(config, **{k: v for k, v in spare.items() if written.get(k)})
    settings = settings_of(cfg)
    if settings.mix is not None:
        _mix.point_at(cfg, settings.mix)
    return cfg, load_tokenizer(cfg)


def _examined(cfg: Any, tokenizer: Any) -> Iterator[Examined]:
    from axolotl.utils.data.sft import _load_and_process_single_dataset
    from axolotl.utils.data.shared import (
        datasets_with_name_generator,
        generate_dataset_hash_from_config,
        get_prepared_dataset_path,
    )

    prepared = get_prepared_dataset_path(
        cfg,
        generate_dataset_hash_from_config(cfg, cfg.datasets, tokenizer.name_or_path),
    )
    for entry in datasets_with_name_generator(cfg.datasets):
        rows, _ = _load_and_process_single_dataset(
            dataset_config=entry,
            cfg=cfg,
            tokenizer=tokenizer,
            split="train",
            seed=cfg.seed,
        )
        found = examine(
            str(entry.path),
            ((row["input_ids"], row["labels"]) for row in rows),
            sequence_len=cfg.sequence_len,
            ends=_ends(cfg, tokenizer),
            start=tokenizer.bos_token_id,
            decode=tokenizer.decode,
            is_one_token=lambda mark: len(_ids(tokenizer, mark)) == 1,
            stale=str(prepared) if _is_newer(Path(entry.path), prepared) else None,
        )
        found.with_system, found.system_unwritten = system_messages(
            cfg, entry, tokenizer
        )
        yield found


def _is_newer(data: Path, prepared: Path) -> bool:
    """Whether a local file changed after Axolotl prepared it.

    Axolotl 0.19.0 finds prepared data by names and settings, not by content.
    """
    made = [file.stat().st_mtime for file in prepared.glob("*")]
    files = [data] if data.is_file() else data.rglob("*") if data.is_dir() else []
    return bool(made) and any(f.stat().st_mtime > max(made) for f in files)


def _ids(tokenizer: Any, text: str) -> Any:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _ends(cfg: Any, tokenizer: Any) -> set[int]:
    marks = ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|end_of_text|>"]
    known = tokenizer.get_vocab()
    found = {known[mark] for mark in [*marks, *(cfg.eot_tokens or [])] if mark in known}
    return found | {tokenizer.eos_token_id}
