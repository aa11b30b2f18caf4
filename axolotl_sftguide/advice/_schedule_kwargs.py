"""Arguments of the learning rate schedule against those it takes."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import near
from ._finding import Finding, Weight
from ._view import View

_TAKES: dict[str, tuple[str, ...]] = {
    "linear": (),
    "cosine": ("num_cycles",),
    "cosine_with_restarts": ("num_cycles",),
    "polynomial": ("lr_end", "power"),
    "inverse_sqrt": ("timescale",),
    "cosine_with_min_lr": ("num_cycles", "min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": (
        "num_cycles",
        "min_lr",
        "min_lr_rate",
        "warmup_lr_rate",
    ),
    "warmup_stable_decay": (
        "num_decay_steps",
        "num_stable_steps",
        "warmup_type",
        "decay_type",
        "min_lr_ratio",
        "num_cycles",
    ),
}
"""By schedule: arguments besides the steps, as transformers 5.16 defines them."""
_IGNORES = ("constant", "constant_with_warmup", "rex")
_NEEDS = {
    "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
    "warmup_stable_decay": ("num_decay_steps",),
}


def schedule_kwargs(view: View) -> Iterator[Finding]:
    """Arguments that the schedule does not take, or lacks."""
    schedule = str(view.get("lr_scheduler", "cosine"))
    given = view.mapping("lr_scheduler_kwargs")
    replaced = schedule == "cosine" and view.get("cosine_min_lr_ratio")
    if given and (schedule in _IGNORES or replaced):
        yield _finding(
            Weight.AGAINST,
            given,
            f"lr_scheduler: {schedule} takes no arguments"
            + (" with cosine_min_lr_ratio" if replaced else ""),
            "lr_scheduler_kwargs is ignored",
            "Remove it, or set another lr_scheduler",
        )
        return
    if schedule not in _TAKES or replaced:
        return
    takes = (*_TAKES[schedule], "last_epoch")
    strange = [str(name) for name in given if name not in takes]
    if strange:
        close = near(strange[0], takes)
        other = [name for name, known in _TAKES.items() if strange[0] in known]
        yield _finding(
            Weight.WRONG,
            given,
            f"lr_scheduler: {schedule} takes no {strange[0]}",
            "the run ends in an error when the schedule is made",
            f"did you mean {close!r}?"
            if close
            else f"Set lr_scheduler: {other[0]}"
            if other
            else f"Remove {strange[0]}",
        )
    needed = _NEEDS.get(schedule, ())
    if needed and not any(name in given for name in needed):
        yield _finding(
            Weight.WRONG,
            dict(given) or None,
            f"lr_scheduler: {schedule} needs {' or '.join(needed)}",
            "the run ends in an error when the schedule is made",
            f"Set lr_scheduler_kwargs: {{{needed[-1]}: "
            + ("0.1}" if "rate" in needed[-1] else "100}"),
        )


def _finding(
    weight: Weight, value: object, problem: str, effect: str, remedy: str
) -> Finding:
    return Finding(
        weight,
        "lr_scheduler_kwargs",
        value,
        problem,
        effect,
        remedy,
        id="schedule-arguments",
    )
