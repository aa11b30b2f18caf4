"""What Axolotl 0.19.0 does with a config silently."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.axolotl_keys import LORA_KERNELS
from ..config.installed import installed_version
from ..config.yaml_edits import Edit
from ._finding import Finding, Weight
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE


def batches(view: View) -> Iterator[Finding]:
    """How many samples a step has."""
    steps = view.config.get("gradient_accumulation_steps")
    wanted = view.block.get("effective_batch_size")
    micro, total = view.number("micro_batch_size"), view.number("batch_size")
    if total and not steps and micro and total != micro:
        yield Finding(
            WRONG,
            "batch_size",
            view.get("batch_size"),
            "batch_size is set without gradient_accumulation_steps",
            "Axolotl ignores it and a step has micro_batch_size "
            f"{view.get('micro_batch_size', 1)} per rank",
            "Set gradient_accumulation_steps or sftguide.effective_batch_size",
            id="batch-size-ignored",
        )
    if wanted is not None and steps not in (None, 1):
        yield Finding(
            WRONG,
            "gradient_accumulation_steps",
            steps,
            "gradient_accumulation_steps and sftguide.effective_batch_size are both "
            "set",
            "the plugin refuses the run unless they agree",
            "Remove one of them",
            id="batch-size-of-block",
        )
    if view.packed and wanted is None and steps is not None:
        yield Finding(
            NOTE,
            "sample_packing",
            True,
            "A packed row holds several samples",
            "a step has several times micro_batch_size x gradient_accumulation_steps "
            "samples",
            "Set sftguide.effective_batch_size to the number of samples that you want",
            id="packed-samples",
        )
    accumulates = view.accumulation > 1 or wanted is not None
    if accumulates and not view.block.get("exact_accumulation"):
        yield Finding(
            NOTE,
            "gradient_accumulation_steps",
            steps,
            "Axolotl averages the mean losses of the micro batches",
            "tokens of short answers weigh more, and the result depends on how a step "
            "is split into micro batches",
            "Set sftguide.exact_accumulation: true",
            id="mean-of-means",
        )


def schedules(view: View) -> Iterator[Finding]:
    """Warmups that differ from what the config suggests."""
    ratio, steps = view.number("warmup_ratio"), view.steps
    if view.get("warmup_steps") == 1:
        yield Finding(
            NOTE,
            "warmup_steps",
            1,
            "Axolotl reads warmup_steps: 1 as 2",
            "the warmup has two steps",
            "Set warmup_steps: 0 for no warmup, or 2",
            id="warmup-one",
        )
    if ratio and steps and 0 < ratio * steps < 1:
        yield Finding(
            AGAINST,
            "warmup_ratio",
            ratio,
            f"warmup_ratio {ratio:g} of {steps} steps is less than one step",
            "there is no warmup",
            "Set warmup_steps instead",
            id="warmup-none",
        )
    if view.config.get("warmup_ratio") is None and (
        view.config.get("warmup_steps") is None
    ):
        yield Finding(
            NOTE,
            "warmup_steps",
            None,
            "No warmup is set",
            "Axolotl warms up over 3% of the steps, at most 100",
            "Set warmup_steps, to 0 for no warmup",
            id="warmup-default",
        )


def reproducibility(view: View) -> Iterator[Finding]:
    """Settings without which runs of the same config differ."""
    if "seed" not in view.config:
        yield Finding(
            NOTE,
            "seed",
            None,
            "seed is not set",
            "Axolotl shuffles the data differently every time it prepares them",
            "Set seed: 42",
            id="no-seed",
            edits=(Edit("set", "seed", 42),),
        )
    if view.training == "adapter" and not view.block.get("seed_adapter"):
        yield Finding(
            NOTE,
            "adapter",
            view.get("adapter"),
            "Axolotl initialises LoRA weights before it seeds anything",
            "two runs with the same seed start from different weights",
            "Set sftguide.seed_adapter: true",
            id="unseeded-adapter",
        )


def data(view: View) -> Iterator[Finding]:
    """The evaluation set that `val_set_size` splits off."""
    if view.get("val_set_size") and view.config.get("shuffle_merged_datasets") is False:
        yield Finding(
            AGAINST,
            "val_set_size",
            view.get("val_set_size"),
            "val_set_size splits off the end of the data, and shuffling is off",
            "only the last rows are evaluated",
            "Set test_datasets, or use sftguide.mix with held_out",
            id="unshuffled-split",
        )


def trackers(view: View) -> Iterator[Finding]:
    """A version of trackio that the host pins and cannot call."""
    pinned = "0.19.0" if view.schema.version == "0.19.0" else ""  # by this Axolotl
    if view.get("use_trackio") and (installed_version("trackio") or pinned) == "0.19.0":
        yield Finding(
            AGAINST,
            "use_trackio",
            True,
            "trackio 0.19.0 does not take the bucket_id that transformers passes",
            "the training ends with a TypeError before its first step",
            "Install a newer trackio, such as 0.43, or remove use_trackio",
            id="trackio-pinned",
        )


def kernels(view: View) -> Iterator[Finding]:
    """Triton kernels for adapters in a config for the CPU."""
    flash = (view.attention or "").startswith("flash")
    for_cpu = view.config.get("bf16") is False and not view.get("fp16") and not flash
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
            f"{unset[0]} is not set",
            "Axolotl turns it on, and it crashes without CUDA",
            f"Set {', '.join(f'{key}: false' for key in unset)}, or add "
            "axolotl_sftguide.SFTGuidePlugin, which turns the kernels off on a CPU",
            id="kernels-on-cpu",
        )


_WITHOUT_FUSED_LOSS = ("granite", "granitemoe")
"""Architectures whose scaled logits Liger 0.8 cannot fuse with the loss."""


def fused_loss(view: View) -> Iterator[Finding]:
    """Liger's fused loss on an architecture that it does not support."""
    key = "liger_fused_linear_cross_entropy"
    if view.get(key) and view.model_type in _WITHOUT_FUSED_LOSS:
        yield Finding(
            WRONG,
            key,
            True,
            f"Liger has no fused loss for the scaled logits of {view.model_type} "
            "models",
            "the run ends in an error when it loads the model",
            "Set chunked_cross_entropy: true instead",
            id="fused-loss-unsupported",
        )


def traps(view: View) -> Iterator[Finding]:
    """Single keys that do not do what their name suggests."""
    clip = view.number("max_grad_norm")
    if clip == 0:
        yield Finding(
            NOTE,
            "max_grad_norm",
            0,
            "max_grad_norm: 0 turns clipping off",
            "one step with large gradients can undo the run",
            "Set max_grad_norm: 1.0",
            "authors-clip",
            id="clipping-off",
            edits=(Edit("set", "max_grad_norm", 1.0),),
        )
    if view.get("loss_watchdog_threshold") and (view.number("logging_steps") or 1) > 1:
        yield Finding(
            WRONG,
            "loss_watchdog_threshold",
            view.get("loss_watchdog_threshold"),
            "The loss watchdog counts steps, but sees a new loss only at each log",
            "one high loss is counted logging_steps times",
            "Set logging_steps: 1, or use sftguide.early_termination",
            id="watchdog-counts-logs",
        )
    flags = view.attention_flags_on
    if flags and not view.get("attn_implementation"):
        new = view.attention
        yield Finding(
            NOTE,
            flags[0],
            view.get(flags[0]),
            f"{flags[0]} is deprecated",
            "a later Axolotl may not accept it",
            f"Set attn_implementation: {new}",
            id="deprecated-attention",
            edits=(
                *(Edit("remove", flag) for flag in flags),
                Edit("set", "attn_implementation", new),
            ),
        )
    sdpa = view.get("attn_implementation") == "sdpa" or view.get("sdp_attention")
    if view.packed and sdpa and view.get("bf16"):
        yield Finding(
            NOTE,
            "attn_implementation",
            "sdpa",
            "sdpa with packing and bf16 is unreliable on GPUs before Hopper",
            "the loss may be 0.0",
            "Set attn_implementation: flash_attention_2",
            id="packing-sdpa-bf16",
        )
    if view.get("train_on_inputs"):
        yield Finding(
            NOTE,
            "train_on_inputs",
            True,
            "train_on_inputs is true",
            "dataset types that read it train on the prompts as well as the answers",
            "Remove it to train on the answers only",
            id="trained-prompts",
        )
