"""The plugin: what it does at which of the host's hooks.

Axolotl loads plugins for training, preprocessing, merging and inference alike, and
keeps them for the life of the process. Nothing here happens at import or in the
constructor, and every hook but the reading of the block is for configurations that
name this plugin.
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
    """What the plugin adds to Axolotl's configuration."""

    sftguide: Settings | None = None
    """The plugin's block."""


class SFTGuidePlugin(BasePlugin):  # type: ignore[misc]
    """Watches every optimizer step of an Axolotl run and stops hopeless runs.

    ```yaml
    plugins: [axolotl_sftguide.SFTGuidePlugin]
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self._terminator: Any = None

    def register(self, cfg: Any) -> None:
        """Refuse a wrong block, and the weights of a run that was stopped.

        Reads and writes no data, and may be called any number of times. It is given
        the configuration before Axolotl's own validation.

        Raises:
            SystemExit: With one line for each fault.
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
        """The block's model, which Axolotl mixes into its own."""
        return f"{__name__}.{SFTGuideArgs.__name__}"

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> Any:
        """Make the mix that the block asks for, or find it; the host loads it.

        Only where an effective batch size has to know the data are they loaded here
        and returned: two plugins that return some are an error of the host.

        Raises:
            SystemExit: With one line for each fault.
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
        """Refuse a checkpoint of a run gone bad; warn where the card is too small."""
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
        """Seed what the adapter is made from, where `seed_adapter` asks for it.

        Axolotl 0.19.0 makes the adapter before anything is seeded.
        """
        if self._is_named_by(cfg) and cfg.adapter and settings_of(cfg).seed_adapter:
            import torch

            torch.manual_seed(_seed(cfg))

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        """The monitor, the rules, and the score where one is asked for."""
        if not self._is_named_by(cfg):
            return []
        from ..held_out_score import HeldOutScoreCallback
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
        )
        if settings.longest_first:
            obstacle = put_longest_first(trainer)
            if obstacle is not None:
                logger.warning(f"longest_first has no effect: {obstacle}")
        if trainer.is_world_process_zero():
            _tell_what_weighs_most(cfg, len(trainer.train_dataset))
        score = []
        if settings.score:
            score = [HeldOutScoreCallback(settings.score, trainer=trainer)]
        return [*score, monitor, self._terminator]

    def post_train(self, cfg: Any, model: Any) -> None:
        """Keep a stopped run off the hub; called before and after the final save."""
        terminator, self._terminator = self._terminator, None
        if terminator is None or not terminator.stopped or not cfg.hub_model_id:
            return
        if not terminator.push_terminated:
            logger.info(f"not pushed to {cfg.hub_model_id}: the run was stopped")
            cfg.hub_model_id = None

    def _is_named_by(self, cfg: Any) -> bool:
        # Axolotl calls every plugin that the process has ever loaded.
        names = (str(entry).rpartition(".")[2] for entry in cfg.get("plugins") or [])
        return type(self).__name__ in names


def known_keys() -> list[str]:
    """The top-level keys of the installed Axolotl's configuration.

    Axolotl drops any other without a word.
    """
    from axolotl.utils.schemas.config import AxolotlInputConfig

    return sorted(AxolotlInputConfig.model_fields)


def settings_of(cfg: Any) -> Settings:
    """The settings from the plain mapping that Axolotl's validation leaves."""
    block = cfg.get(BLOCK)
    return load_settings(block.to_dict() if hasattr(block, "to_dict") else block)


def _tell_what_weighs_most(cfg: Any, rows: int, most: int = 3) -> None:
    """The weightiest findings on the configuration as it was written."""
    from ...advice import Weight, advise
    from ...config.model_configs import parameters_of

    try:
        written = read_config(cfg.axolotl_config_path)
    except (SettingsError, TypeError):
        return  # it did not come from a file
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
    """Leave Triton kernels off that the host would turn on, and that crash on a CPU.

    Those of adapters on attention alone, in 16 bits, run there: they stay, for they
    round in their own way.
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
    """What a function returns; its complaints end the process, a line each."""
    try:
        return function(*words)
    except SettingsError as error:
        lines = [f"sftguide: {problem}" for problem in error.problems]
        raise SystemExit("\n".join(lines)) from None


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
    """No training, merge or inference from weights that were stopped for cause."""
    folders = {cfg.get("base_model"), cfg.get("lora_model_dir")}
    if cfg.get("merge_lora") or cfg.get("inference"):
        folders.add(cfg.get("output_dir"))
    for folder in sorted(str(f) for f in folders if f):
        found = read_marker(folder)
        if found is None:
            continue
        if found.weights_are_lost:
            raise SystemExit(
                f"sftguide: {folder} does not hold a finished model: {found}. Use that "
                f"checkpoint, or delete {Path(folder) / MARKER} if you must"
            )
        logger.warning(f"{folder} does not hold a finished model: {found}")


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
        way_out = f"resume_from_checkpoint: {good}" if good else "start anew"
        raise SystemExit(
            f"sftguide: {checkpoint} was taken when the run was bad already: {found}. "
            f"Way out: {way_out}"
        )
