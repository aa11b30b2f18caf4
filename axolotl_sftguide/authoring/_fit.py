"""Finds what fits the card: what is trained, and the micro batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..errors import PlanError
from ..evidence.effective_batch import nearest_accumulation, nearest_multiples
from ..units import counted
from . import _numbers
from ._candidates import Candidate, Kind, candidates, kind_of, optimizers, trainings
from ._choice import Choice
from ._data import DataFacts
from ._layout import ABOVE, LOST, SLIGHT, Layout, layouts, rows_a_sequence
from ._model import ModelFacts
from ._planned import nothing_fits, planned
from ._request import Request

_ROOM = 0.9
"""Share of the card that a plan may fill if anything else is possible: estimates are up
to 5% low."""
_COPIES = 0.6
"""Share that a copy of all weights on each of several GPUs may fill; else FSDP."""
_TOKENS = 16_384
"""A micro batch of this many tokens is not made larger."""


def fitting(
    request: Request, model: ModelFacts, data: DataFacts, rows: int
) -> Candidate:
    """The best candidate that fits.

    First with room to spare, then without it; then without an evaluation, which holds
    all logits of a sequence; then with shorter sequences, which lose rows.

    Raises:
        PlanError: If none fits.
    """
    kinds = dict.fromkeys(
        kind_of(training) for training in trainings(request, model, rows)
    )
    tried: list[tuple[int, Candidate]] = []
    whole: list[Candidate] = []
    losing: list[list[Candidate]] = []
    for kind in kinds:
        kept, shorter = _layouts(request, model, data, rows, kind)
        whole += _of_kind(candidates(request, model, rows, kept), kind)
        if kind == list(kinds)[-1]:  # the other kind has lost no rows before
            losing = [
                _of_kind(candidates(request, model, rows, [each]), kind)
                for each in shorter
            ]
    slight, losing = _split(losing, data)
    attempts = [(group, True) for group in (whole, slight)]
    attempts += [(group, False) for group in (whole, slight)]
    attempts += [(group, evaluates) for group in losing for evaluates in (True, False)]
    for group, evaluates in attempts:
        for room in (_ROOM, 1.0):
            for candidate in group:
                made = replace(candidate, evaluates=evaluates)
                peak = _peak(made, model, request)
                if peak <= _share(made, request, room) * request.gpu_bytes:
                    return made
                tried.append((peak, made))
    if not tried:
        raise PlanError(
            f"--data: {data.longer_than(model.positions):,} of "
            f"{counted(data.rows, 'row')} are longer than the {model.positions:,} "
            f"tokens that {model.name} was made for; split them, or pass "
            "--sequence-len to train without them"
        )
    peak, candidate = min(tried, key=lambda each: each[0])
    raise nothing_fits(request, model, peak, candidate)


def _layouts(
    request: Request, model: ModelFacts, data: DataFacts, rows: int, kind: Kind
) -> tuple[list[Layout], list[Layout]]:
    """The layouts that keep the rows, and those that lose some."""
    found = layouts(
        data,
        wanted=int(_numbers.batch(request, model, kind, rows).value),
        gpus=request.gpus,
        positions=model.positions,
        sequence_len=request.sequence_len,
        packing=request.packing,
    )
    kept = [each for each in found if each.lost <= LOST * data.rows]
    kept = kept or found[:1]
    return kept, [each for each in found if each not in kept]


def _split(
    losing: Sequence[list[Candidate]], data: DataFacts
) -> tuple[list[Candidate], list[list[Candidate]]]:
    """The layouts that lose almost no rows, then the others by their length."""
    most = SLIGHT * data.rows
    slight = [c for group in losing for c in group if c.layout.lost <= most]
    others = [[c for c in group if c.layout.lost > most] for group in losing]
    return slight, others


def _of_kind(found: Iterable[Candidate], kind: Kind) -> list[Candidate]:
    return [each for each in found if each.kind == kind]


def _peak(candidate: Candidate, model: ModelFacts, request: Request) -> int:
    extra = {"micro_batch_size": request.micro_batch_size or 1, "eval_batch_size": 1}
    return planned(candidate, model, request, extra).peak_bytes


def _share(candidate: Candidate, request: Request, room: float) -> float:
    """The share of the card that a candidate may fill with one sequence."""
    copies = candidate.training == "full" and candidate.sharding == "ddp"
    if copies and request.gpus > 1 and request.sharding is None:
        return _COPIES
    return room


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
    most = max(1, min(_TOKENS // layout.sequence_len, int(ABOVE * wanted / per)))
    if request.micro_batch_size is not None:
        options = [request.micro_batch_size]
    else:
        options = [n for n in range(most, 0, -1) if _divides(n, wanted, per, layout)]
        options = options or [1]
    for micro in options:
        for evaluated in (0, 1) if micro > 1 else (0,):
            extra = {
                "micro_batch_size": micro,
                **({"eval_batch_size": 1} if evaluated else {}),
            }
            made = planned(candidate, model, request, extra)
            room = 1.0 if micro == options[-1] else _ROOM
            if made.peak_bytes <= room * request.gpu_bytes:
                return micro, evaluated
    return options[-1], 1


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
        raise PlanError(
            f"--effective-batch-size {value}: must be a multiple of micro batch {micro}"
            f" x {gpus} GPU{'s' * (gpus > 1)}; nearest: "
            f"{nearest_multiples(value, together)}"
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


class Need(NamedTuple):
    """The memory that a way to train needs."""

    gib: float
    fits: bool


Others = Mapping[str, Need]
"""Ways to train that were not chosen, by name."""


def other_trainings(
    request: Request, model: ModelFacts, chosen: Candidate
) -> dict[str, Need]:
    """The memory of the other ways to train, at the same layout."""
    found = {}
    names = {"full": "full fine-tuning", "lora": "LoRA in bf16", "qlora": "QLoRA"}
    order: Sequence[Any] = ("full", "lora", "qlora")
    for training in order:
        if training == chosen.training:
            continue
        sharding = chosen.sharding
        if training == "full" and request.gpus > 1 and request.sharding is None:
            sharding = "fsdp"
        optimizer = optimizers(training, sharding, request)[0]
        other = replace(
            chosen,
            training=training,
            sharding=sharding,
            optimizer=optimizer,
            rank=64,
            evaluates=True,
        )
        made = planned(other, model, request, {"micro_batch_size": 1})
        found[names[training]] = Need(made.peak_bytes / 2**30, made.fits)
    return found
