"""From a request and the facts to a config: the order of the decisions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import PlanError
from ..evidence.effective_batch import nearest_accumulation
from ..planning import MemoryPlan, plan_memory
from . import _cadence, _numbers
from ._assembly import (
    about_micro,
    add_after_optimizer,
    add_block,
    add_places,
    unpacked_reason,
    with_reason,
)
from ._candidates import Candidate
from ._choice import Choice, Choices
from ._data import DataFacts
from ._fit import Others, divisible, fitting, micro_batch, other_trainings
from ._keys import kernel_choices, optimizer_choice, plugins, state_choices
from ._layout import LOST, Layout, rows_a_sequence
from ._model import ModelFacts
from ._planned import nothing_fits
from ._request import Goal, Request, add_stated
from ._template import choose_template


@dataclass(frozen=True)
class Authored:
    """A config with a reason for each value, and the steps and memory that follow."""

    request: Request
    model: ModelFacts
    data: DataFacts
    goal: Goal
    candidate: Candidate
    choices: Choices
    memory: MemoryPlan
    rows: int
    """Rows that are trained on, without the held-out ones."""
    accumulation: int
    """Micro batches per step, estimated with packing."""
    samples: float
    """Samples per step that follow from it."""
    steps_an_epoch: int
    steps: int
    checkpoint_bytes: int
    others: Others
    """Other ways to train."""

    @property
    def config(self) -> dict[str, Any]:
        """The config, as Axolotl reads it."""
        return self.choices.config()

    @property
    def checkpoints(self) -> int:
        """Checkpoints that are kept at a time."""
        return int(self.choices.value("save_total_limit", 1))


def author(request: Request, model: ModelFacts, data: DataFacts) -> Authored:
    """Choose everything.

    Raises:
        PlanError: If nothing fits the card, or a choice would lose a part of the data.
    """
    request = request.with_stated()
    goal: Goal = request.goal or ("reasoning" if data.reasons else "general")
    held = _cadence.held_out(request, data)
    rows = data.rows - round(float(held.value) * data.rows)
    candidate = fitting(request, model, data, rows)
    layout = candidate.layout
    batch = _numbers.batch(request, model, candidate.kind, rows)
    micro, evaluated = micro_batch(request, model, data, candidate, int(batch.value))
    per = rows_a_sequence(data, layout)
    batch = divisible(batch, micro, request.gpus, layout)
    held = _cadence.packable(held, data, layout, micro * request.gpus)
    rows = data.rows
    if candidate.evaluates:
        rows -= round(float(held.value) * data.rows)
    rows = _kept(rows, request, data, layout)
    accumulation = nearest_accumulation(int(batch.value), per * micro * request.gpus)
    samples = per * micro * request.gpus * accumulation
    an_epoch = max(1, math.ceil(rows / samples))
    if request.epochs is not None and request.epochs * rows < samples:
        raise PlanError(f"--epochs {request.epochs:g}: less than one optimizer step")
    epochs = _numbers.epochs(request, goal, int(batch.value), an_epoch)
    steps = max(1, round(an_epoch * float(epochs.value)))

    others = other_trainings(request, model, candidate)
    choices = Choices()
    choices.add(Choice("base_model", model.name, "", "given"))
    choices.add(Choice("plugins", plugins(model), "", "model"))
    add_block(choices, request, data, candidate, batch, held, accumulation)
    choose_template(choices, request, model, data)
    add_places(choices, request)
    for choice in state_choices(candidate):
        choices.add(with_reason(choice, request, data, layout, others))
    if layout.packed and candidate.evaluates:
        packs = _cadence.packs(data, layout, float(held.value), micro * request.gpus)
        why = "" if packs else "the held-out rows are too few to be packed"
        choices.add(Choice("eval_sample_packing", packs, why, "data"))
    if not layout.packed:
        why = unpacked_reason(request, data, layout, int(batch.value))
        choices.add(Choice("sample_packing", False, why, "data"))
    if evaluated:
        why = "an evaluation holds all logits"
        choices.add(Choice("eval_batch_size", evaluated, why, "fits"))
    choices.add(about_micro(request, micro, layout))
    choices.add(epochs)
    rate = _numbers.rate(request, model, candidate, int(batch.value), rows)
    choices.add(rate)
    choices.notes += _numbers.rounding_notes(float(rate.value), candidate)
    for choice in _numbers.schedule(request, candidate, goal, rows, steps):
        choices.add(choice)
    choices.add(optimizer_choice(candidate))
    add_after_optimizer(choices, request, candidate, batch, an_epoch, epochs, steps)
    for choice in kernel_choices(candidate, model):
        choices.add(choice)
    add_stated(choices, request.stated)
    config = choices.config()
    made = plan_memory(
        config,
        model.config,
        gpu_bytes=request.gpu_bytes,
        gpus=request.gpus,
        trainer=request.trainer,
    )
    if not made.fits:
        raise nothing_fits(request, model, made.peak_bytes, candidate)
    return Authored(
        request,
        model,
        data,
        goal,
        candidate,
        choices,
        made,
        rows,
        accumulation,
        samples,
        an_epoch,
        steps,
        _cadence.checkpoint_bytes(candidate, made.architecture),
        others,
    )


def _kept(rows: int, request: Request, data: DataFacts, layout: Layout) -> int:
    """The rows that are trained, where many are too long: Axolotl drops them."""
    if request.trainer != "axolotl" or layout.lost <= LOST * data.rows:
        return rows
    return max(1, rows - round(layout.lost * rows / data.rows))
