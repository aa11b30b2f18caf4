"""The memory of a candidate, and the error if nothing fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import PlanError
from ..planning import KNOWN, MemoryPlan, plan_memory, read_architecture
from ._candidates import Candidate
from ._choice import Choice, Choices
from ._families import family_of
from ._keys import memory_choices, plugins
from ._model import ModelFacts
from ._request import Request


def as_config(choices: Sequence[Choice], extra: dict[str, Any]) -> dict[str, Any]:
    """A config of some choices, for the planner."""
    made = Choices()
    for choice in choices:
        made.add(choice)
    return {**made.config(), **extra}


EVALUATED: dict[str, Any] = {
    "sftguide": {"mix": {"held_out": 0.1}},
    "evals_per_epoch": 1,
}
"""What makes the planner plan an evaluation."""


def planned(
    candidate: Candidate, model: ModelFacts, request: Request, extra: dict[str, Any]
) -> MemoryPlan:
    """The memory of a candidate.

    Args:
        candidate: What is trained.
        model: The model.
        request: The card.
        extra: Further keys, such as the micro batch.
    """
    if candidate.evaluates:
        extra = {**EVALUATED, **extra}
    config = as_config(memory_choices(candidate, model), extra)
    return plan_memory(
        {"base_model": model.name, "plugins": plugins(model), **config},
        model.config,
        gpu_bytes=request.gpu_bytes,
        gpus=request.gpus,
        trainer=request.trainer,
    )


def nothing_fits(
    request: Request, model: ModelFacts, least: int, candidate: Candidate
) -> PlanError:
    """The error if no candidate fits, with what would fit."""
    needs = least / 2**30
    has = request.gpu_bytes / 2**30
    smaller = _that_would_fit(request, model, candidate)
    model_hint = f", or --model {smaller}" if smaller else ""
    flags = [
        flag
        for flag, value in (
            ("--adapter", request.training),
            ("--sequence-len", request.sequence_len),
            ("--micro-batch-size", request.micro_batch_size),
        )
        if value is not None
    ]
    fixed = f" with {' and '.join(flags)} as given" if flags else ""
    what = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}
    return PlanError(
        f"--gpu-memory {has:.3g}GiB: too little for {model.name}{fixed}: "
        f"{what[candidate.training]} at {candidate.layout.sequence_len:,} tokens needs "
        f"{needs:.1f} GiB; use a card of {-(-least // 2**30)} GiB or "
        f"more{model_hint}"
    )


def _that_would_fit(request: Request, model: ModelFacts, candidate: Candidate) -> str:
    """The largest smaller model of the same family that fits."""
    found: list[tuple[int, str]] = []
    for name, config in KNOWN.items():
        if model.family is None or family_of(name) != model.family:
            continue
        shapes = read_architecture(config, name)
        if shapes.parameters >= model.parameters:
            continue
        made = plan_memory(
            as_config(
                memory_choices(candidate, replace(model, config=config)),
                {"base_model": name, "plugins": plugins(model)},
            ),
            config,
            gpu_bytes=request.gpu_bytes,
            gpus=request.gpus,
            trainer=request.trainer,
        )
        if made.fits:
            found.append((shapes.parameters, name))
    # Of models of one size the first is the base model.
    return max(found, key=lambda each: each[0])[1] if found else ""
