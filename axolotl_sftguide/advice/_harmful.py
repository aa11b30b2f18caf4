"""Single values that undo a run, or give something away."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from ..config.yaml_edits import Edit
from ._finding import Finding, Weight
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE


def over_the_base(view: View) -> Iterator[Finding]:
    """Checkpoints that are written into the folder of the base model."""
    base, out = view.get("base_model"), view.get("output_dir")
    if not isinstance(base, str) or not isinstance(out, str) or not out:
        return
    if posixpath.normpath(base) == posixpath.normpath(out):
        yield Finding(
            WRONG,
            "output_dir",
            out,
            "output_dir is the folder of base_model",
            "the run writes over the base model",
            "Set output_dir to another folder",
            id="output-over-base",
        )


def kept_checkpoint(view: View) -> Iterator[Finding]:
    """A metric of which the worst value is kept."""
    metric = str(view.get("metric_for_best_model", "loss"))
    if view.get("greater_is_better") and metric.endswith("loss"):
        yield Finding(
            WRONG,
            "greater_is_better",
            True,
            f"greater_is_better is true, and metric_for_best_model is {metric}",
            "the checkpoint with the highest loss is taken for the best",
            "Set greater_is_better: false, or remove it",
            id="highest-loss-is-best",
            edits=(Edit("remove", "greater_is_better"),),
        )


def random_weights(view: View) -> Iterator[Finding]:
    """Weights that are not the base model's."""
    if view.get("reinit_weights") and view.other_kind is None:
        yield Finding(
            AGAINST,
            "reinit_weights",
            True,
            "reinit_weights replaces the base model's weights by random ones",
            "the run is a pre-training on the data of a fine-tuning",
            "Remove it",
            id="random-weights",
            edits=(Edit("remove", "reinit_weights"),),
        )


def small_range(view: View) -> Iterator[Finding]:
    """Gemma in float16, whose activations exceed the range."""
    gemma = (view.model_type or "").startswith("gemma")
    if gemma and view.get("fp16") and not view.config.get("bf16"):
        yield Finding(
            AGAINST,
            "fp16",
            True,
            "Gemma's activations exceed the range of float16",
            "the loss becomes NaN or 0",
            "Set bf16: true",
            id="gemma-float16",
        )


def secrets(view: View) -> Iterator[Finding]:
    """Keys of services in clear text."""
    for key, value in view.config.items():
        named = key.endswith(("_api_key", "_token", "_password", "_secret"))
        known = key in view.schema.top or "api_key" in key
        if not named or not known or not isinstance(value, str) or len(value) < 12:
            continue
        if value.startswith("hf_") or not any(c in value for c in "<>$ {}"):
            yield Finding(
                AGAINST,
                key,
                None,
                f"{key} has a secret in clear text",
                "Axolotl saves the config beside the model, from where it is uploaded",
                "Remove it, and set the environment variable instead",
                id="secret-in-clear",
            )


def watchdog(view: View) -> Iterator[Finding]:
    """A loss watchdog that stops healthy runs."""
    threshold = view.number("loss_watchdog_threshold")
    if threshold is not None and 0 < threshold < 1:
        yield Finding(
            AGAINST,
            "loss_watchdog_threshold",
            threshold,
            f"loss_watchdog_threshold: {threshold:g} is below the loss at which runs "
            "start",
            "a healthy run is stopped after a few steps",
            "Set it to about twice the loss of the first steps, such as 5.0",
            id="watchdog-below-loss",
        )
