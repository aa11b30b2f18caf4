"""The held-out part, evaluations, checkpoints and logs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..planning import Architecture
from ..units import counted
from ._candidates import Candidate
from ._choice import Choice
from ._data import DataFacts
from ._layout import Layout
from ._request import Request

_WANTED = 200
"""Held-out rows over which the evaluation loss is averaged."""
_MOST = 0.1
_LEAST = 0.002
MANY_SAMPLES = 1000
"""A step of so many samples takes minutes, and has the large-batch settings."""
_SEQUENCES = 3
"""Packed sequences per device and micro batch that an evaluation has to fill."""


def held_out(request: Request, data: DataFacts) -> Choice:
    """The share of the rows that is not trained on."""
    key = "sftguide.mix.held_out"
    if request.held_out is not None:
        return Choice(key, request.held_out, "as given", "given")
    share = min(_MOST, max(_LEAST, _WANTED / data.rows))
    share = float(f"{share:.1g}") if share < 0.1 else share
    rows = counted(round(share * data.rows), "row")
    why = f"{rows}, from each dataset in proportion"
    if share == _MOST:
        why = f"{rows}: at most a tenth is held out"
    elif share == _LEAST:
        why = f"about {rows}, from each dataset in proportion"
    return Choice(key, share, f"convention: {why}", "convention")


def packable(held: Choice, data: DataFacts, layout: Layout, sequences: int) -> Choice:
    """The share, raised until the held-out rows fill packed sequences, if they can.

    Args:
        held: The share that was chosen.
        data: The facts of the data.
        layout: How rows become sequences.
        sequences: Sequences of a micro batch on all GPUs together.
    """
    tokens = _SEQUENCES * layout.sequence_len * sequences
    share = tokens / (data.rows * data.mean * data.whole_factor[0])
    enough = not layout.packed or packs(data, layout, float(held.value), sequences)
    if held.basis == "given" or enough or share > _MOST:
        return held
    share = float(f"{1.05 * share:.2g}")
    rows = round(share * data.rows)
    why = f"convention: {rows:,} rows, enough to be packed on all GPUs"
    return Choice(held.key, share, why, "convention")


def packs(data: DataFacts, layout: Layout, held: float, sequences: int) -> bool:
    """Whether the held-out rows fill the packed sequences of an evaluation.

    Axolotl 0.19.0 ends the run if they do not.
    """
    tokens = held * data.rows * data.mean * data.whole_factor[0]
    return tokens >= _SEQUENCES * layout.sequence_len * sequences


def evaluations(an_epoch: int, epochs: float) -> Iterator[Choice]:
    """How often the held-out loss is measured."""
    times = next((n for n in (4, 2) if an_epoch >= 4 * n), 1)
    why = "held-out loss; it ranks runs without a score"
    if times * epochs <= 1:
        yield Choice("eval_strategy", "epoch", why, "convention")
    else:
        yield Choice("evals_per_epoch", times, why, "convention")


def saves(
    request: Request, candidate: Candidate, an_epoch: int, epochs: float
) -> Iterator[Choice]:
    """How often weights are saved, and how many checkpoints are kept."""
    if not candidate.is_adapter:
        why = "a checkpoint is several times the size of the model"
        yield Choice("saves_per_epoch", 1, why, "convention")
        yield Choice("save_total_limit", 2, "the last two", "convention")
        return
    times = 1 if an_epoch < 200 else 2
    kept = max(1, math.ceil(times * epochs))
    yield Choice("saves_per_epoch", times, "adapters are small", "convention")
    why = "all: score each epoch's and keep the best"
    if kept > 6:
        kept, why = 6, "the last six"
    yield Choice("save_total_limit", kept, why, "convention", ("two-epochs",))


def logs(steps: int, samples: int) -> Choice:
    """How often the trainer logs."""
    if samples >= MANY_SAMPLES:
        why = "a step takes minutes; each is recorded anyway"
        return Choice("logging_steps", 1, why, "convention")
    every = max(1, min(10, steps // 100))
    return Choice("logging_steps", every, "every step is recorded anyway", "convention")


def checkpoint_bytes(candidate: Candidate, shapes: Architecture) -> int:
    """The size of a checkpoint: weights and the optimizer's two states."""
    width = 1 if "8bit" in candidate.optimizer else 2
    if not candidate.is_adapter:
        kept = 4 if candidate.sharding != "ddp" else 2
        states = 4 if candidate.sharding != "ddp" else width
        return shapes.parameters * (kept + 2 * states)
    numbers = shapes.layers * sum(
        candidate.rank * (linear.inputs + linear.outputs) for linear in shapes.linears
    )
    return numbers * (4 + 2 * (1 if width == 1 else 4))
