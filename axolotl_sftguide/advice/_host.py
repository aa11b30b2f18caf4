"""What Axolotl 0.19.0 does with a configuration, and does not say."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.axolotl_keys import LORA_KERNELS, OF_DATASETS, OF_PLUGINS, TOP_LEVEL
from ..config.settings import BLOCK, load_settings, misspelt_block
from ..errors import SettingsError, nearest_hint
from ._finding import Finding, Weight
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE

_FOREIGN = ("axolotl.integrations", "axolotl_sftguide")


def unknown_keys(view: View) -> Iterator[Finding]:
    """Keys that nobody reads."""
    known = TOP_LEVEL | OF_PLUGINS | {BLOCK}
    plugins = view.get("plugins", [])
    foreign = [p for p in plugins if isinstance(p, str) and not p.startswith(_FOREIGN)]
    misspelt = misspelt_block(view.config)
    for key in view.config:
        if key in known or key == misspelt:
            continue
        if foreign:
            yield Finding(
                NOTE,
                key,
                view.config[key],
                f"is no key of Axolotl; it may be one of {foreign[0]}",
                "look it up there: unknown keys are dropped without a word",
            )
            continue
        hint = nearest_hint(key, known)
        yield Finding(
            WRONG,
            key,
            view.config[key],
            "is not a key of Axolotl, which drops it without a word",
            hint.capitalize() or "remove it",
        )
    for path, entry in view.sources:
        for key in entry:
            if key not in OF_DATASETS:
                hint = nearest_hint(key, OF_DATASETS)
                yield Finding(
                    WRONG,
                    f"{path}.{key}",
                    entry[key],
                    "is not a key of a dataset; Axolotl drops it without a word",
                    "shares and repeats are for sftguide.mix"
                    if key in ("weight", "share", "repeats", "ratio")
                    else hint.capitalize() or "remove it",
                )


def own_block(view: View) -> Iterator[Finding]:
    """The plugin's block: wrong, misspelt, or without its plugin."""
    misspelt = misspelt_block(view.config)
    if misspelt is not None:
        yield Finding(
            WRONG,
            misspelt,
            None,
            "is not a key, and is dropped without a word",
            f"did you mean {BLOCK!r}?",
        )
    try:
        load_settings(view.get(BLOCK))
    except SettingsError as error:
        for problem in error.problems:
            yield Finding(
                WRONG, problem.path, None, problem.says, "the run would be refused"
            )
    if view.get(BLOCK) and not view.has_plugin:
        yield Finding(
            WRONG,
            BLOCK,
            None,
            "is dropped without a word: its plugin is not listed",
            "plugins: [axolotl_sftguide.SFTGuidePlugin]",
        )
    if view.mix is not None and view.get("datasets"):
        yield Finding(
            WRONG,
            f"{BLOCK}.mix",
            None,
            "takes the place of `datasets`, and both are there",
            "move the datasets into a phase of the mix",
        )


def batches(view: View) -> Iterator[Finding]:
    """What a step holds."""
    steps = view.config.get("gradient_accumulation_steps")
    wanted = view.block.get("effective_batch_size")
    if view.get("batch_size") and steps is None:
        yield Finding(
            WRONG,
            "batch_size",
            view.get("batch_size"),
            "is ignored without gradient_accumulation_steps: a step holds "
            f"micro_batch_size {view.get('micro_batch_size', 1)} a rank",
            "write gradient_accumulation_steps, or sftguide.effective_batch_size",
        )
    if wanted is not None and steps not in (None, 1):
        yield Finding(
            WRONG,
            "gradient_accumulation_steps",
            steps,
            "is derived from sftguide.effective_batch_size, and given as well",
            "remove one of them",
        )
    if view.packed and wanted is None and steps is not None:
        yield Finding(
            NOTE,
            "sample_packing",
            True,
            "makes a row of several samples, so that a step holds several times "
            "micro_batch_size x gradient_accumulation_steps of them",
            "say what you mean in samples: sftguide.effective_batch_size",
        )
    accumulates = view.accumulation > 1 or wanted is not None
    if accumulates and not view.block.get("exact_accumulation"):
        yield Finding(
            NOTE,
            "gradient_accumulation_steps",
            steps,
            "averages the micro batches' means, so that a token of a short answer "
            "weighs more, and another division is another run",
            "sftguide.exact_accumulation: true",
        )


def schedules(view: View) -> Iterator[Finding]:
    """Warm-up that is not what was written."""
    ratio, steps = view.number("warmup_ratio"), view.steps
    if view.get("warmup_steps") == 1:
        yield Finding(
            NOTE, "warmup_steps", 1, "is taken as 2", "warmup_steps: 0 is none"
        )
    if ratio and steps and 0 < ratio * steps < 1:
        yield Finding(
            AGAINST,
            "warmup_ratio",
            ratio,
            f"of {steps} steps rounds to none",
            "write warmup_steps",
        )
    if view.config.get("warmup_ratio") is None and (
        view.config.get("warmup_steps") is None
    ):
        yield Finding(
            NOTE,
            "warmup_steps",
            None,
            "is not there: Axolotl warms up for 3% of the steps, at most 100",
            "write warmup_steps: 0, or how many you want",
        )


def reproducibility(view: View) -> Iterator[Finding]:
    """What makes the same file another run."""
    if view.config.get("seed") is None:
        yield Finding(
            AGAINST,
            "seed",
            None,
            "is not there: the data are shuffled anew at each preparation",
            "seed: 42, or any other",
        )
    if view.training == "adapter" and not view.block.get("seed_adapter"):
        yield Finding(
            NOTE,
            "adapter",
            view.get("adapter"),
            "is made before anything is seeded: each start has another one",
            "sftguide.seed_adapter: true",
        )


def data(view: View) -> Iterator[Finding]:
    """What happens to the datasets."""
    if view.get("val_set_size") and view.config.get("shuffle_merged_datasets") is False:
        yield Finding(
            AGAINST,
            "val_set_size",
            view.get("val_set_size"),
            "takes the end of the data, which are not shuffled: it evaluates on the "
            "last of them alone",
            "test_datasets, or sftguide.mix with held_out",
        )


def kernels(view: View) -> Iterator[Finding]:
    """Triton kernels of adapters on a configuration for the CPU."""
    for_cpu = view.config.get("bf16") is False and not view.get("fp16")
    wide = view.get("load_in_4bit") or view.get("lora_target_linear")
    unset = [key for key in LORA_KERNELS if view.config.get(key) is None]
    if (
        view.training == "adapter"
        and for_cpu
        and wide
        and unset
        and not view.has_plugin
    ):
        yield Finding(
            AGAINST,
            unset[0],
            None,
            "is turned on where it is not set, and crashes without CUDA",
            f"{', '.join(f'{key}: false' for key in unset)}, or this package's plugin, "
            "which leaves them off there",
        )


_WITHOUT_FUSED_LOSS = ("granite", "granitemoe")
"""Kinds whose scaled logits Liger 0.8 refuses to fuse with the loss."""


def fused_loss(view: View) -> Iterator[Finding]:
    """Liger's fused loss on a kind of model that it is not made for."""
    key = "liger_fused_linear_cross_entropy"
    if view.get(key) and view.model_type in _WITHOUT_FUSED_LOSS:
        yield Finding(
            WRONG,
            key,
            True,
            f"ends the training when a {view.model_type} model is loaded: Liger has "
            "no fused loss for scaled logits",
            "chunked_cross_entropy: true instead",
        )


def traps(view: View) -> Iterator[Finding]:
    """Single keys that do something else."""
    clip = view.number("max_grad_norm")
    if clip == 0:
        yield Finding(
            AGAINST,
            "max_grad_norm",
            0,
            "clips at infinity, and an infinite norm then makes the gradients NaN",
            "max_grad_norm: 1.0",
            "authors-clip",
        )
    if view.get("loss_watchdog_threshold") and (view.number("logging_steps") or 1) > 1:
        yield Finding(
            WRONG,
            "loss_watchdog_threshold",
            view.get("loss_watchdog_threshold"),
            "counts one logged loss as often as there are steps to the next log",
            "logging_steps: 1, or sftguide.early_termination",
        )
    if view.get("adapter") == "qlora" and not view.get("load_in_4bit"):
        yield Finding(
            WRONG,
            "load_in_4bit",
            view.config.get("load_in_4bit"),
            "has to be true for adapter: qlora",
            "load_in_4bit: true, or adapter: lora",
        )
    if view.get("load_in_4bit") and view.training == "full":
        yield Finding(
            WRONG,
            "load_in_4bit",
            True,
            "cannot be trained without an adapter",
            "adapter: qlora",
        )
    if view.get("flash_attention"):
        yield Finding(
            NOTE,
            "flash_attention",
            True,
            "is deprecated",
            "attn_implementation: flash_attention_2",
        )
    sdpa = view.get("attn_implementation") == "sdpa" or view.get("sdp_attention")
    if view.packed and sdpa and view.get("bf16"):
        yield Finding(
            NOTE,
            "attn_implementation",
            "sdpa",
            "with packing and bf16 may give a loss of 0.0 on cards before Hopper",
            "attn_implementation: flash_attention_2",
        )
    if view.get("train_on_inputs"):
        yield Finding(
            NOTE,
            "train_on_inputs",
            True,
            "trains on the questions too, in formats that heed it",
            "leave it out to train on answers alone",
        )
