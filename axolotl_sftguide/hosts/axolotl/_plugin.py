"""The plugin, with a method for each hook of Axolotl that it uses.

Axolotl loads plugins for training, preprocessing, merging and inference, and keeps
them until the process ends. Import and constructor have no side effects, and all hooks
except `get_input_args` do nothing for configs that do not list this plugin.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel

from ...config.axolotl_keys import LORA_EMBEDDING_KERNEL, LORA_KERNELS
from ...config.settings import BLOCK, Settings, load_settings, misspelt_block
from ...config.yaml_file import read_config
from ...console import show_log
from ...errors import SettingsError
from ...runs.marker import MARKER, checkpoint_step, latest_checkpoint, read_marker
from . import _batch, _mix
from ._memory import too_large
from .longest_first import put_longest_first

T = TypeVar("T")

logger = logging.getLogger(__name__)


class SFTGuideArgs(BaseModel):
    """The key that the plugin adds to Axolotl's config."""

    sftguide: Settings | None = None
    """The `sftguide:` block."""


class SFTGuidePlugin(BasePlugin):  # type: ignore[misc]
    """Watches every optimizer step of an Axolotl run and stops hopeless runs.

    A config uses it with the line `plugins: [axolotl_sftguide.SFTGuidePlugin]`, and its
    `sftguide:` block has the settings. Wrong settings end the run before it begins,
    with one line per problem.
    """

    def __init__(self) -> None:
        super().__init__()
        self._terminator: Any = None

    def register(self, cfg: Any) -> None:
        """Refuse a wrong block, and the weights of a run that was stopped.

        Axolotl calls it with the config before its own validation, possibly several
        times. It does not load any data.

        Raises:
            SystemExit: With one line per problem.
        """
        if not self._is_named_by(cfg):
            return
        misspelt = misspelt_block(cfg.keys())
        if misspelt is not None:
            raise SystemExit(
                f"sftguide: {misspelt} is not a key of Axolotl or of this plugin; did "
                f"you mean {BLOCK!r}?"
            )
        show_log()
        settings = _or_exit(settings_of, cfg)
        if settings.mix is not None:
            _mix.stand_in(cfg, settings.mix)
        if settings.effective_batch_size is not None:
            _or_exit(_batch.accumulate_before_data, cfg, settings.effective_batch_size)
        _spare_what_needs_cuda(cfg)
        _refuse_lost_weights(cfg)

    def get_input_args(self) -> str:
        """The import path of the model that Axolotl merges into its config schema."""
        return f"{__name__}.{SFTGuideArgs.__name__}"

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> Any:
        """Build or reuse the mix, and load the data if the batch size depends on them.

        Otherwise it returns None and Axolotl loads the data: Axolotl fails if two
        plugins return datasets.

        Raises:
            SystemExit: With one line per problem.
        """
        if not self._is_named_by(cfg):
            return None
        settings = settings_of(cfg)
        if settings.mix is not None:
            _mix.point_at(cfg, settings.mix)
        wanted = settings.effective_batch_size
        if preprocess or wanted is None or not (cfg.sample_packing or wanted == "auto"):
            return None
        return _or_exit(_batch.accumulate_for_data, cfg, wanted)

    def pre_model_load(self, cfg: Any) -> None:
        """Refuse a bad checkpoint, and warn if the GPU is probably too small."""
        if not self._is_named_by(cfg) or cfg.inference or cfg.merge_lora:
            return
        _refuse_lost_checkpoint(cfg)
        import torch

        if torch.cuda.is_available() and not int(os.environ.get("LOCAL_RANK", "0")):
            total = torch.cuda.get_device_properties(0).total_memory
            warning = too_large(cfg.to_dict(), total)
            if warning is not None:
                logger.warning(warning)

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        """Seed torch before the adapter is initialised, if `seed_adapter` is true.

        Axolotl 0.19.0 initialises the adapter before it seeds anything.
        """
        if self._is_named_by(cfg) and cfg.adapter and settings_of(cfg).seed_adapter:
            import torch

            torch.manual_seed(_seed(cfg))

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        """The callbacks of score (if set), monitor and early termination."""
        if not self._is_named_by(cfg):
            return []
        from ...monitor.samples import row_count
        from ..held_out_score import HeldOutScoreCallback
        from ..log_lines import log_lines_of
        from ..trainer import EarlyTerminationCallback, GradientMonitorCallback

        settings = settings_of(cfg)
        if settings.effective_batch_size is not None:
            _or_exit(_batch.print_batch, cfg, settings.effective_batch_size, trainer)
        self._terminator = EarlyTerminationCallback(
            trainer=trainer,
            settings=settings.early_termination,
            push_terminated=settings.push_terminated,
        )
        monitor = GradientMonitorCallback(
            trainer=trainer,
            settings=settings,
            config=cfg.to_dict(),
            key_fields=_key_fields(cfg),
            sources=_sources(cfg, settings),
        )
        if settings.longest_first:
            obstacle = put_longest_first(trainer)
            if obstacle is not None:
                logger.warning(f"longest_first has no effect: {obstacle}")
        if trainer.is_world_process_zero():
            _log_most_serious(cfg, row_count(trainer.train_dataset))
        score = []
        if settings.score:
            score = [HeldOutScoreCallback(settings.score, trainer=trainer)]
        return [*score, monitor, self._terminator, *log_lines_of(settings, trainer)]

    def post_train(self, cfg: Any, model: Any) -> None:
        """Do not push a stopped run; called before and after the final save."""
        terminator, self._terminator = self._terminator, None
        if terminator is None or not terminator.stopped or not cfg.hub_model_id:
            return
        if not terminator.push_terminated or terminator.parked:
            logger.info(f"not pushed to {cfg.hub_model_id}: the run was stopped")
            cfg.hub_model_id = None

    def _is_named_by(self, cfg: Any) -> bool:
        # Axolotl calls every plugin that the process has ever loaded.
        names = (str(entry).rpartition(".")[2] for entry in cfg.get("plugins") or [])
        return type(self).__name__ in names


def known_keys() -> list[str]:
    """The top-level keys of the installed Axolotl's config.

    Axolotl drops all other keys silently.
    """
    from axolotl.utils.schemas.config import AxolotlInputConfig

    return sorted(AxolotlInputConfig.model_fields)


def settings_of(cfg: Any) -> Settings:
    """The validated settings; Axolotl keeps the block as a plain mapping."""
    block = cfg.get(BLOCK)
    return load_settings(block.to_dict() if hasattr(block, "to_dict") else block)


def _log_most_serious(cfg: Any, rows: int | None, most: int = 3) -> None:
    """Log the most serious findings on the config file, at most `most`."""
    from ...advice import Weight, advise
    from ...config.model_configs import parameters_of

    try:
        written = read_config(cfg.axolotl_config_path)
    except (SettingsError, TypeError):
        return  # the config does not come from a readable file
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    found = advise(
        written,
        rows=rows,
        ranks=ranks,
        parameters=parameters_of(str(cfg.base_model)),
        model_type=cfg.model_config_type,
    )
    for finding in [f for f in found if f.weight < Weight.NOTE][:most]:
        logger.warning(f"{finding.text} ({finding.source})")


def _spare_what_needs_cuda(cfg: Any) -> None:
    """Without CUDA, turn off Triton kernels that Axolotl would turn on and that crash.

    The kernels for 16-bit adapters on attention only also run on a CPU. They stay on,
    as turning them off would change the rounding.
    """
    import torch

    if torch.cuda.is_available() or cfg.get("adapter") not in ("lora", "qlora"):
        return
    targets = cfg.get("lora_target_modules") or []
    targets = [targets] if isinstance(targets, str) else targets
    bits = cfg.get("load_in_4bit") or cfg.get("load_in_8bit")
    mlp = any("gate" in t or "up_" in t or "down" in t for t in map(str, targets))
    if not (bits or mlp or cfg.get("lora_target_linear") or "all-linear" in targets):
        return
    keys = (*LORA_KERNELS, LORA_EMBEDDING_KERNEL)
    unset = [key for key in keys if cfg.get(key) is None]
    cfg.update(dict.fromkeys(unset, False))
    if unset and not int(os.environ.get("LOCAL_RANK", "0")):
        logger.info(f"no CUDA device: turned off {', '.join(unset)}")


def _or_exit(function: Callable[..., T], *words: Any) -> T:
    """Call a function; exit with one line per problem if settings are wrong."""
    try:
        return function(*words)
    except SettingsError as error:
        lines = [f"sftguide: {problem}" for problem in error.problems]
        raise SystemExit("\n".join(lines)) from None


def _sources(cfg: Any, settings: Settings) -> Callable[[Any], Any] | None:
    column = settings.monitor.loss_by_source
    if column is None:
        return None
    from ._sources import source_table

    return lambda trainer: source_table(cfg, trainer.processing_class, column)


def _seed(cfg: Any) -> int:
    return 42 if cfg.seed is None else int(cfg.seed)


def _key_fields(cfg: Any) -> dict[str, Any]:
    seeded = bool(cfg.adapter) and settings_of(cfg).seed_adapter
    return {
        "sequence_len": cfg.sequence_len,
        "packing": bool(cfg.sample_packing),
        "adapter_seed": _seed(cfg) if seeded else None,
    }


def _refuse_lost_weights(cfg: Any) -> None:
    """Refuse training, merging or inference from the weights of a failed run."""
    folders = {cfg.get("base_model"), cfg.get("lora_model_dir")}
    if cfg.get("merge_lora") or cfg.get("inference"):
        folders.add(cfg.get("output_dir"))
    for folder in sorted(str(f) for f in folders if f):
        found = read_marker(folder)
        if found is None:
            continue
        if found.weights_are_lost:
            raise SystemExit(
                f"sftguide: {folder} does not contain a finished model: {found}. Use "
                f"that checkpoint, or delete {Path(folder) / MARKER} to use it anyway"
            )
        logger.warning(f"{folder} does not contain a finished model: {found}")


def _refuse_lost_checkpoint(cfg: Any) -> None:
    checkpoint = cfg.resume_from_checkpoint
    if not checkpoint and cfg.auto_resume_from_checkpoints:
        checkpoint = latest_checkpoint(cfg.output_dir)
    if not checkpoint:
        return
    found = read_marker(Path(str(checkpoint)).parent)
    step = checkpoint_step(checkpoint)
    if found is None or step is None or not found.weights_are_lost:
        return
    if step >= found.bad_since:
        good = found.last_good_checkpoint
        remedy = f"Set resume_from_checkpoint: {good}" if good else "Start a new run"
        raise SystemExit(
            f"sftguide: {checkpoint} was saved after the run went bad: {found}. "
            f"{remedy}"
        )
