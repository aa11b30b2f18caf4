"""What a run will do, in four lines: with the keys that have an effect."""

from __future__ import annotations

from ._pairs import NO_WARMUP
from ._view import View

_LONGEST_NAME = 200


def run_summary(view: View) -> list[str]:
    """The lines on model, data, step and schedule."""
    return [
        f"model     {_model(view)}, {_training(view)}",
        f"data      {_data(view)}",
        f"step      {_step(view)}",
        f"schedule  {_schedule(view)}",
    ]


def _model(view: View) -> str:
    name = str(view.get("base_model", "none"))
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def _training(view: View) -> str:
    kind = "full fine-tuning" if view.training == "full" else str(view.get("adapter"))
    bits = f" in {view.bits} bits" if view.bits else ""
    return f"{kind}{bits}"


def _data(view: View) -> str:
    if view.mix is not None:
        phases = view.mix.get("phases")
        phases = phases if isinstance(phases, list) else []
        plural = "s" * (len(phases) != 1)
        count = f"{len(phases)} phase{plural} {view.mix.get('strategy', 'stacked')}"
    else:
        count = f"{len(view.sources)} dataset{'s' * (len(view.sources) != 1)}"
    rows = "" if view.rows is None else f", {view.rows:,} rows"
    packed = ", packed" if view.packed else ""
    return f"{count}{rows}, up to {view.get('sequence_len', 512)} tokens{packed}"


def _step(view: View) -> str:
    micro = view.get("micro_batch_size", 1)
    if "effective_batch_size" in view.block:
        wanted = view.block["effective_batch_size"]
        return f"{wanted} samples over all ranks, accumulation derived"
    made = f"{micro} x {view.accumulation} x {view.ranks} rank{'s' * (view.ranks > 1)}"
    if (view.number("micro_batch_size", 1) or 0) < 1:
        return f"unknown: micro_batch_size is {micro!r}"
    if view.packed:
        return f"{made} rows of several samples each"
    return f"{view.samples} samples = {made}"


def _schedule(view: View) -> str:
    epochs = view.number("num_epochs", 1)
    if view.steps is not None:
        length = f"{view.steps:,} steps"
    elif epochs is None:
        length = f"num_epochs {view.get('num_epochs')!r} is not a number"
    else:
        length = f"{epochs:g} epoch{'s' * (epochs != 1)}"
    rate = view.get("learning_rate", "learning_rate not set,")
    schedule = view.get("lr_scheduler", "cosine")
    return f"{rate} {schedule}, {_warmup(view, schedule)}, {length}"


def _warmup(view: View, schedule: str) -> str:
    if schedule in NO_WARMUP:
        return "no warmup"
    if view.config.get("warmup_steps") is not None:
        return f"warmup {view.config['warmup_steps']}"
    if view.config.get("warmup_ratio") is not None:
        return f"warmup {view.config['warmup_ratio']} of the steps"
    return "warmup 3% of the steps"
