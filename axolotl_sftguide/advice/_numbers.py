"""Numbers held against the evidence for their own setting, and no other."""

from __future__ import annotations

from collections.abc import Iterator

from ..evidence import CLAIMS
from ._finding import Finding, Weight
from ._view import View

AGAINST, NOTE = Weight.AGAINST, Weight.NOTE

_ATTENTION_ALONE = {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"}


def rate(view: View) -> Iterator[Finding]:
    """The learning rate."""
    value = view.number("learning_rate")
    if value is None:
        return
    if view.training == "adapter":
        said = CLAIMS["adapter-rate"]
        low, high = said.low or 0.0, said.high or 0.0
        if value < low / 2:
            yield Finding(
                AGAINST,
                "learning_rate",
                value,
                "is a rate of full fine-tuning; adapters were best at ten times it",
                "2.0e-4 to begin with",
                "adapter-rate",
            )
        elif value > 2 * high:
            yield Finding(
                AGAINST,
                "learning_rate",
                value,
                "is above what adapters bore",
                "2.0e-4 to begin with, 1.0e-3 at the most",
                "adapter-rate",
            )
    elif value > 1e-4 and not view.is_small:
        yield Finding(
            AGAINST,
            "learning_rate",
            value,
            "is above every rate that was tried for full fine-tuning of base models",
            "2.0e-5 to begin with; 1.0e-6 for Mistral 7B",
            "low-rate",
        )


def batch(view: View) -> Iterator[Finding]:
    """Samples of a step, where they are known."""
    samples = view.samples
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
            "samples a step are more than adapters bear without a loss of quality",
            "8 to 32 samples",
            "adapter-batch-most",
        )
    if view.training == "full" and view.rows is not None:
        yield from _full_batch(view, path, samples, view.rows)


def _full_batch(view: View, path: str, samples: int, rows: int) -> Iterator[Finding]:
    large = CLAIMS["large-batch"].setting.least_rows or 0
    if samples >= 1000 and rows < large:
        yield Finding(
            AGAINST,
            path,
            samples,
            f"samples a step are for data of hundreds of thousands of rows; {rows:,} "
            f"rows make {max(1, rows // samples)} steps a pass",
            "128 for a few thousand rows, 256 for more",
            "steps-enough",
        )
    if samples < 128 and rows >= large:
        yield Finding(
            NOTE,
            path,
            samples,
            f"samples a step are few for {rows:,} rows",
            "3,840, or as many as can be accumulated",
            "large-batch",
        )


def epochs(view: View) -> Iterator[Finding]:
    """Passes over the data."""
    value = view.number("num_epochs")
    if value is None or value <= 3 or view.get("max_steps"):
        return
    if view.training == "adapter" or (view.rows or 0) < 200_000:
        yield Finding(
            NOTE,
            "num_epochs",
            value,
            "are more passes than small data bore without wearing off",
            "2 or 3, and look at the held-out loss",
            "two-epochs",
        )


def adapters(view: View) -> Iterator[Finding]:
    """Where adapters sit, and how large they are."""
    if view.training != "adapter":
        return
    targets = view.get("lora_target_modules", [])
    targets = [targets] if isinstance(targets, str) else list(targets)
    if (
        targets
        and not view.get("lora_target_linear")
        and ({str(t).rpartition(".")[2] for t in targets} <= _ATTENTION_ALONE)
    ):
        yield Finding(
            AGAINST,
            "lora_target_modules",
            targets,
            "leave the MLP without adapters",
            "lora_target_linear: true",
            "adapter-everywhere",
        )
    rank, alpha = view.number("lora_r"), view.number("lora_alpha")
    if rank and alpha and alpha / rank > 4:
        yield Finding(
            NOTE,
            "lora_alpha",
            alpha,
            f"is {alpha / rank:g} times the rank, and multiplies the rate by that",
            "lora_alpha: 32 at any rank",
            "adapter-alpha",
        )
