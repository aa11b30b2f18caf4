"""The losses among the metrics that a host's evaluations log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def evaluation_losses(evaluated: Mapping[str, Any]) -> dict[str, Any]:
    """`eval_loss`, or with several evaluation sets `eval_NAME_loss` of each."""
    if "eval_loss" in evaluated:
        return {"eval_loss": evaluated["eval_loss"]}
    return {
        metric: value
        for metric, value in evaluated.items()
        if metric.startswith("eval_") and metric.endswith("_loss")
    }
