"""The Axolotl plugin (the only file that imports axolotl).

Axolotl loads plugins for training, preprocessing, merging and inference alike, and
keeps them for the life of the process. Nothing here happens at import or in the
constructor, and every hook but the reading of the block is for configurations that
name this plugin.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel

from .console import say
from .errors import MixError, SettingsError
from .last_made import note_last_made, read_last_made
from .mix_settings import MixSettings
from .settings import BLOCK, Settings, load_settings, misspelt_block
from .terminated import MARKER, checkpoint_step, latest_checkpoint, read_marker

MIX = f"{BLOCK}.mix (not made yet: run `axolotl preprocess` on this config first)"
"""Stands for the dataset until it is made; the host names what it cannot load."""


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

        Changes nothing and may be called any number of times. It is given the
        configuration before Axolotl's own validation.

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
        settings = _settings_or_exit(cfg)
        if settings.mix is not None:
            _stand_in_for_the_mix(cfg, settings.mix)
        _refuse_lost_weights(cfg)

    def get_input_args(self) -> str:
        """The block's model, which Axolotl mixes into its own."""
        return f"{__name__}.{SFTGuideArgs.__name__}"

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> None:
        """Make the mix that the block asks for, or find it; the host loads it.

        Raises:
            SystemExit: With one line for each fault.
        """
        settings = _settings(cfg).mix if self._is_named_by(cfg) else None
        if settings is not None:
            _point_at_the_mix(cfg, settings)

    def pre_model_load(self, cfg: Any) -> None:
        """Refuse to resume from a checkpoint that was taken after a run went bad."""
        if self._is_named_by(cfg) and not cfg.inference and not cfg.merge_lora:
            _refuse_lost_checkpoint(cfg)

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        """Seed what the adapter is made from, where `seed_adapter` asks for it.

        Axolotl 0.19.0 makes the adapter before anything is seeded.
        """
        if self._is_named_by(cfg) and cfg.adapter and _settings(cfg).seed_adapter:
            import torch

            torch.manual_seed(_seed(cfg))

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        """The monitor, the rules, and the score where one is asked for."""
        if not self._is_named_by(cfg):
            return []
        from .callbacks import (
            EarlyTerminationCallback,
            GradientMonitorCallback,
            HeldOutScoreCallback,
        )

        settings = _settings(cfg)
        self._terminator = EarlyTerminationCallback(
            settings=settings.early_termination,
            push_terminated=settings.push_terminated,
        )
        monitor = GradientMonitorCallback(
            settings=settings, config=cfg.to_dict(), key_fields=_key_fields(cfg)
        )
        score = [HeldOutScoreCallback(settings.score)] if settings.score else []
        return [*score, monitor, self._terminator]

    def post_train(self, cfg: Any, model: Any) -> None:
        """Keep a stopped run off the hub; called before and after the final save."""
        terminator, self._terminator = self._terminator, None
        if terminator is None or not terminator.stopped or not cfg.hub_model_id:
            return
        if not terminator.push_terminated:
            say(f"not pushed to {cfg.hub_model_id}: the run was stopped")
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


def _settings(cfg: Any) -> Settings:
    """The settings from the plain mapping that Axolotl's validation leaves."""
    block = cfg.get(BLOCK)
    return load_settings(block.to_dict() if hasattr(block, "to_dict") else block)


def _settings_or_exit(cfg: Any) -> Settings:
    try:
        return _settings(cfg)
    except SettingsError as error:
        lines = [f"sftguide: {problem}" for problem in error.problems]
        raise SystemExit("\n".join(lines)) from None


def _seed(cfg: Any) -> int:
    return 42 if cfg.seed is None else int(cfg.seed)


def _key_fields(cfg: Any) -> dict[str, Any]:
    seeded = bool(cfg.adapter) and _settings(cfg).seed_adapter
    return {
        "sequence_len": cfg.sequence_len,
        "packing": bool(cfg.sample_packing),
        "adapter_seed": _seed(cfg) if seeded else None,
    }


def _stand_in_for_the_mix(cfg: Any, settings: MixSettings) -> None:
    """What the host's own checks want to see; made when the host loads its data.

    `axolotl evaluate` asks no plugin for data: it gets what was made last of these
    settings, and else a path that says what to do.
    """
    datasets = cfg.get("datasets")
    if datasets and not _is_a_mix(cfg, datasets[0]):
        raise SystemExit(
            f"sftguide: {BLOCK}.mix takes the place of `datasets`, and both are there; "
            "move the datasets into a phase of the mix, or remove it"
        )
    made = read_last_made(_mixes(cfg), settings)
    data, aside = made if made is not None else (MIX, MIX)
    entry = {"ds_type": "json", "type": "chat_template", **settings.of_the_whole}
    cfg["datasets"] = [{"path": data, **entry}]
    if settings.held_out and not cfg.get("test_datasets"):
        cfg["test_datasets"] = [{"path": aside, "split": "train", **entry}]


def _point_at_the_mix(cfg: Any, settings: MixSettings) -> None:
    from .mixing import mix

    try:
        mixed = mix(settings, _mixes(cfg))
    except MixError as error:
        raise SystemExit(
            "\n".join(f"sftguide: {line}" for line in str(error).splitlines())
        ) from None
    for entries, path in (
        (cfg.datasets, mixed.data),
        (cfg.test_datasets, mixed.held_out),
    ):
        if entries and _is_a_mix(cfg, entries[0]):
            entries[0]["path"] = str(path)
            if mixed.manifest.trains_by_turn:
                entries[0]["message_field_training"] = "train"
    # The host would shuffle what the mix has put in order.
    for key, value in (
        ("shuffle_merged_datasets", False),
        ("curriculum_sampling", True),
        ("sample_packing_sequentially", True),
    ):
        cfg[key] = value
    if not int(os.environ.get("LOCAL_RANK", "0")):
        note_last_made(_mixes(cfg), settings, mixed.folder.name)
        rows = sum(part.rows for part in mixed.manifest.parts)
        how = "mixed" if mixed.built else "found the mix of"
        say(f"{how} {rows} rows in {mixed.folder} (manifest.json says of what)")


def _mixes(cfg: Any) -> Path:
    return Path(cfg.get("dataset_prepared_path") or "last_run_prepared") / "mixes"


def _is_a_mix(cfg: Any, entry: Any) -> bool:
    path = str(entry.get("path"))
    return path == MIX or Path(path).parent.parent == _mixes(cfg)


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
        say(f"warning: {folder} does not hold a finished model: {found}")


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
