"""Numbers against the evidence for their own setting, and no other."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..evidence import CLAIMS
from ._finding import Finding, Weight
from ._model_fit import FUSED_EXPERTS
from ._view import View

AGAINST, NOTE = Weight.AGAINST, Weight.NOTE

_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"}


def rate(view: View) -> Iterator[Finding]:
    """The learning rate."""
    value = view.number("learning_rate")
    if value is None or value <= 0:
        return
    if not _like_adam(view):
        return
    adapter = view.training == "adapter"
    if value > 0.1 and view.get("adapter") in (None, "lora", "qlora"):
        yield Finding(
            AGAINST,
            "learning_rate",
            value,
            f"{_short(value)} is far above every learning rate that Adam trains with",
            "the loss diverges within a few steps",
            f"Start at learning_rate: {'2.0e-4' if adapter else '2.0e-5'}",
            id="rate-extreme",
        )
        return
    if adapter:
        claim = CLAIMS["adapter-rate"]
        low, high = claim.low or 0.0, claim.high or 0.0
        # Adam's update of an adapter grows with its scale; the studies had 2 at most.
        moved = value * max(1.0, _scale(view) / 2)
        if moved < low / 2 and not view.get("loraplus_lr_ratio"):
            yield Finding(
                AGAINST,
                "learning_rate",
                value,
                f"{_short(value)} is a learning rate for full fine-tuning",
                "an adapter learns too little",
                "Adapters did best at about 2e-4 with 16 samples per step: set "
                "learning_rate: 2.0e-4",
                "adapter-rate",
                id="rate-adapter-low",
            )
        elif value > 2 * high:
            yield Finding(
                AGAINST,
                "learning_rate",
                value,
                f"{_short(value)} is above the learning rates at which adapters were "
                "stable",
                "the run may diverge",
                "Start at learning_rate: 2.0e-4, and use 1.0e-3 at most",
                "adapter-rate",
                id="rate-adapter-high",
            )
    elif value > 1e-4 and not view.is_small and not view.get("use_onebitllms"):
        kinds = {str(entry.get("type")) for _, entry in view.sources}
        elsewhere = kinds == {"completion"} or bool(view.get("unfrozen_parameters"))
        yield Finding(
            # maybe a pre-training, or a training of some layers alone
            NOTE if elsewhere else AGAINST,
            "learning_rate",
            value,
            f"{_short(value)} is above every learning rate that was tried for full "
            "fine-tuning of base models",
            "no published result supports it",
            "Start at learning_rate: 2.0e-5, or 1.0e-6 for Mistral 7B",
            "low-rate",
            id="rate-full-high",
        )


def _like_adam(view: View) -> bool:
    """Whether the optimizer takes the learning rates of Adam, which were studied."""
    name = str(view.get("optimizer", "adamw_torch_fused"))
    projected = ("galore", "q_galore", "apollo", "schedule_free")
    known = "adam" in name or name in ("adafactor", "came_pytorch")
    return known and not name.startswith(projected)


def _scale(view: View) -> float:
    """The factor by which an adapter's output is multiplied; 0 if it is not known."""
    rank, alpha = view.number("lora_r"), view.number("lora_alpha")
    if not rank or not alpha or rank < 0:
        return 0.0
    return alpha / (math.sqrt(rank) if view.get("peft_use_rslora") else rank)


def _short(rate: float) -> str:
    """A learning rate as people write it: 2e-5."""
    return f"{rate:g}".replace("e-0", "e-")


def batch(view: View) -> Iterator[Finding]:
    """Samples per optimizer step, if the config determines them."""
    samples, packed = view.samples, view.samples is None and view.packed
    if packed:  # a row holds at least one sample
        micro = int(view.number("micro_batch_size", 1) or 1)
        samples = micro * view.accumulation * view.ranks
    if samples is None:
        return
    path = (
        "sftguide.effective_batch_size"
        if "effective_batch_size" in view.block
        else "gradient_accumulation_steps"
    )
    most = CLAIMS["adapter-batch-most"].high or 0
    if view.training == "adapter" and samples > most:
        yield Finding(
            AGAINST,
            path,
            samples,
            f"{samples:,} {'packed rows' if packed else 'samples'} per step are more "
            "than adapters tolerated in published studies",
            "quality is likely to suffer",
            "Use 8 to 32 samples",
            "adapter-batch-most",
            id="batch-adapter-large",
        )
    if view.training == "full" and view.rows is not None and not packed:
        yield from _full_batch(view, path, samples, view.rows)


def _full_batch(view: View, path: str, samples: int, rows: int) -> Iterator[Finding]:
    large = CLAIMS["large-batch"].setting.least_rows or 0
    if samples >= 1000 and rows < large:
        yield Finding(
            AGAINST,
            path,
            samples,
            f"{samples:,} samples per step suit hundreds of thousands of rows",
            f"{rows:,} rows make only {max(1, rows // samples)} steps per epoch",
            "Use 128 samples for a few thousand rows, 256 for more",
            "steps-enough",
            id="batch-large-few-rows",
        )
    if samples < 128 and rows >= large:
        yield Finding(
            NOTE,
            path,
            samples,
            f"{samples:,} samples per step are few for {rows:,} rows",
            "the model may score below what larger batches reached in one paper",
            "Try 3,840 samples too; small batches did as well elsewhere, with a higher "
            "adam_beta2",
            "large-batch",
            id="batch-small-many-rows",
        )


def beta2(view: View) -> Iterator[Finding]:
    """Adam's beta2 against the samples per step."""
    value, samples = view.number("adam_beta2"), view.samples
    if value is None or samples is None or not 0 < value < 0.98 or samples > 64:
        return
    same = 0.95 ** (samples / 512)  # the paper's beta2 at its batch, same half-life
    yield Finding(
        NOTE,
        "adam_beta2",
        view.get("adam_beta2"),
        f"adam_beta2: {value:g} suits large batches, and a step has {samples} samples",
        "squared gradients are averaged over few samples",
        f"Set adam_beta2: {min(same, 0.9999):.4g}, or leave it at 0.999",
        "small-batch",
        id="beta2-small-batch",
    )


def epochs(view: View) -> Iterator[Finding]:
    """Epochs over the data."""
    value = view.number("num_epochs")
    if value is None or value <= 3 or view.get("max_steps"):
        return
    if view.training == "adapter" or (view.rows or 0) < 200_000:
        yield Finding(
            NOTE,
            "num_epochs",
            value,
            f"num_epochs is {value:g}; after the second epoch of published runs, chat "
            "scores rose while GSM8K and MBPP fell",
            "the best number of epochs depends on the score",
            "Score the checkpoint of each epoch on what matters to you, and keep the "
            "best",
            "two-epochs",
            id="epochs-many",
        )


def adapters(view: View) -> Iterator[Finding]:
    """Which layers have adapters, and how adapters are scaled."""
    if view.training != "adapter":
        return
    targets = view.listed("lora_target_modules")
    sure = view.model_type is not None  # experts of a mixture may not be linear layers
    if (
        targets
        and not view.get("lora_target_linear")
        and not view.get("lora_target_parameters")
        and view.model_type not in FUSED_EXPERTS
        and ({str(t).rpartition(".")[2] for t in targets} <= _ATTENTION)
    ):
        yield Finding(
            AGAINST if sure else NOTE,
            "lora_target_modules",
            targets,
            "Only attention layers have adapters",
            "the model learns less than with adapters on the MLP too",
            "Set lora_target_linear: true",
            "adapter-everywhere",
            id="adapter-attention-only",
        )
    alpha, scale = view.number("lora_alpha"), _scale(view)
    rooted = bool(view.get("peft_use_rslora"))
    if scale > (8 if rooted else 4):
        by = "the square root of lora_r" if rooted else "lora_r"
        yield Finding(
            NOTE,
            "lora_alpha",
            alpha,
            f"lora_alpha is {scale:g} times {by}",
            "the adapter's updates are scaled by that factor",
            "Set lora_alpha: 32 at any rank",
            "adapter-alpha",
            id="adapter-scale",
        )
