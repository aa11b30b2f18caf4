"""Finds what fits the card: what is trained, and the micro batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import PlanError
from ..evidence.effective_batch import nearest_accumulation
from ..planning import MemoryPlan
from . import _numbers
from ._candidates import (
    Candidate,
    candidates,
    nothing_fits,
    optimizers,
    planned,
    trainings,
)
from ._choice import Choice
from ._data import DataFacts
from ._layout import Layout, layouts, rows_a_sequence
from ._model import ModelFacts
from ._request import Request

_ROOM = 0.9
"""Share of the card that a micro batch of more than one sequence may fill."""
_TOKENS = 16_384
"""Tokens of a micro batch from which on more are not asked for."""


def fitting(
    request: Request, model: ModelFacts, data: DataFacts, rows: int
) -> Candidate:
    """The best candidate that fits, with the layout that loses the fewest rows."""
    tried: list[tuple[int, MemoryPlan, Candidate]] = []
    for kind in dict.fromkeys(
        "full" if t == "full" else "adapter" for t in trainings(request, model, rows)
    ):
        wanted = int(_numbers.batch(request, model, kind, rows).value)
        found = layouts(
            data,
            wanted=wanted,
            gpus=request.gpus,
            positions=model.positions,
            sequence_len=request.sequence_len,
            packing=request.packing,
        )
        for layout in found:
            if layout.lost > max(found[0].lost, data.rows // 100) and kind == "full":
                continue  # an adapter loses no rows
            for candidate in candidates(request, model, rows, layout):
                if candidate.is_adapter != (kind == "adapter"):
                    continue
                extra = {"micro_batch_size": request.micro_batch_size or 1}
                made = planned(candidate, model, request, extra)
                if made.fits:
                    return candidate
                tried.append((made.peak_bytes, made, candidate))
    if not tried:
        raise PlanError(
            f"--data: {data.longer_than(model.positions):,} of {data.rows:,} rows are "
            f"longer than the {model.positions:,} tokens that {model.name} was made "
            "for; split them, or pass --sequence-len to train without them"
        )
    _, least, candidate = min(tried, key=lambda each: each[0])
    raise nothing_fits(request, model, least, candidate)


def micro_batch(
    request: Request,
    model: ModelFacts,
    data: DataFacts,
    candidate: Candidate,
    wanted: int,
) -> tuple[int, int]:
    """Sequences per micro batch; and per evaluation, if that must be fewer, or 0."""
    layout = candidate.layout
    per = rows_a_sequence(data, layout) * request.gpus
    most = max(1, min(_TOKENS // layout.sequence_len, int(1.25 * wanted / per)))
    if request.micro_batch_size is not None:
        options = [request.micro_batch_size]
    else:
        options = [n for n in range(most, 0, -1) if _divides(n, wanted, per, layout)]
    for micro in options or [1]:
        for evaluated in (0, 1) if micro > 1 else (0,):
            extra = {
                "micro_batch_size": micro,
                "sftguide": {"mix": {"held_out": 0.1}},
                "evals_per_epoch": 1,
                **({"eval_batch_size": 1} if evaluated else {}),
            }
            made = planned(candidate, model, request, extra)
            room = 1.0 if micro == options[-1] else _ROOM
            if made.peak_bytes <= room * request.gpu_bytes:
                return micro, evaluated
    return (options or [1])[-1], 1


def _divides(micro: int, wanted: int, per: float, layout: Layout) -> bool:
    """Whether a step of such micro batches has about the requested samples."""
    if micro & (micro - 1):
        return False
    if not layout.packed:
        return micro * per <= wanted
    accumulation = nearest_accumulation(wanted, micro * per)
    return micro == 1 or abs(accumulation * micro * per / wanted - 1) <= 0.1


def divisible(batch: Choice, micro: int, gpus: int, layout: Layout) -> Choice:
    """The batch, rounded to a multiple of what all GPUs process at once."""
    together, value = micro * gpus, int(batch.value)
    if layout.packed or value % together == 0:
        return batch
    if batch.basis == "given":
        below, above = value // together * together, -(-value // together) * together
        nearest = f"{below} or {above}" if below else f"{above}"
        raise PlanError(
            f"--effective-batch-size {value}: must be a multiple of micro batch {micro}"
            f" x {gpus} GPU{'s' * (gpus > 1)}; nearest: {nearest}"
        )
    rounded = max(together, round(value / together) * together)
    return Choice(
        batch.key,
        rounded,
        f"{batch.reason}; a multiple of {together}",
        batch.basis,
        batch.claims,
        batch.unsure,
        tuple(n for n in batch.alternatives if n % together == 0),
    )


def other_trainings(
    request: Request, model: ModelFacts, chosen: Candidate
) -> tuple[tuple[str, float, bool], ...]:
    """The memory of the other ways to train, at the same layout."""
    found = []
    names = {"full": "full fine-tuning", "lora": "LoRA in bf16", "qlora": "QLoRA"}
    order: Sequence[Any] = ("full", "lora", "qlora")
    for training in order:
        if training == chosen.training:
            continue
        sharding = chosen.sharding
        optimizer = optimizers(training, sharding)[0]
        other = Candidate(training, sharding, chosen.layout, optimizer)
        made = planned(other, model, request, {"micro_batch_size": 1})
        found.append((names[training], made.peak_bytes / 2**30, made.fits))
    return tuple(found)
