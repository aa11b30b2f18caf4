"""Batch, learning rate, schedule and epochs, by the evidence for the setting."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..evidence import CLAIMS
from ..evidence.effective_batch import KEY as BATCH_SIZE
from ..evidence.effective_batch import choose
from ..units import counted
from ._candidates import MANY_ROWS, Candidate
from ._choice import Choice
from ._model import ModelFacts
from ._request import Goal, Request

_FEW_STEPS = 100
_ENOUGH_STEPS = 200
"""Steps in two epochs, below which a batch that no study compared is made smaller."""
_LEAST_COMPARED = 32
"""The smallest full fine-tuning batch of [full-batch-tiny], and the one it chose."""
_MOST_EPOCHS = 3
"""Above it, published runs lost in reasoning scores, and `check` says so."""


def batch(request: Request, model: ModelFacts, kind: str, rows: int) -> Choice:
    """Samples per optimizer step over all GPUs."""
    if request.effective_batch_size is not None:
        return Choice(BATCH_SIZE, request.effective_batch_size, "as given", "given")
    chosen = choose(rows, kind)
    samples, claims = chosen.samples, chosen.claims
    if model.is_small and kind == "full" and samples > 256:
        samples, claims = 256, ("full-batch-medium",)
    others: tuple[int, ...]
    if kind == "adapter":
        claims = claims[:1]
        reason = f"for {_about(rows)}"
        unsure = "8 to 32 did best in different studies"
        others = (8, 32) if samples < 32 else (8, 16)
    elif claims[0] == "large-batch":
        reason = f"for {_about(rows)}"
        unsure = "no study compares batches between 256 and 3,840"
        others = (256, 1024)
    else:
        guide = samples
        while samples > _LEAST_COMPARED and 2 * rows < _ENOUGH_STEPS * samples:
            samples //= 2
        reason = f"for {_about(rows)}; a guide, not a comparison"
        unsure = "small batches did as well elsewhere [small-batch]"
        others = tuple(n for n in (samples // 4, samples * 2) if n <= rows // 8)
        if samples < guide:
            steps = 2 * rows // guide
            reason = f"a guide's {guide} would make {steps} steps in two epochs"
            claims, unsure = ("small-batch",), f"the guide says {guide} [{claims[0]}]"
            others = (guide,)
    others = tuple(n for n in others if n < rows)
    return Choice(BATCH_SIZE, samples, reason, "evidence", claims, unsure, others)


def _about(rows: int) -> str:
    digits = max(0, len(str(rows)) - 2)
    rounded = round(rows / 10**digits) * 10**digits
    return f"{'about ' * (digits > 0)}{counted(rounded, 'row')}"


def rate(
    request: Request, model: ModelFacts, candidate: Candidate, samples: int, rows: int
) -> Choice:
    """The learning rate."""
    key = "learning_rate"
    if request.learning_rate is not None:
        return Choice(key, request.learning_rate, "as given", "given")
    if candidate.is_adapter:
        unsure = "1e-4 to 1e-3 did best in different studies"
        claims: tuple[str, ...] = ("adapter-rate",)
        return Choice(key, 2e-4, "", "evidence", claims, unsure, (1e-4, 5e-4))
    if model.parameters < 10_000_000:
        claims = ("quickstart-rate",)
        why = "of a model of about this size"
        return Choice(key, 5e-4, why, "evidence", claims)
    if model.is_small:
        why = "convention: small models take higher rates; no claim is about this size"
        unsure = "no evidence for models this small"
        return Choice(key, 1e-4, why, "convention", (), unsure, (2e-5, 5e-4))
    if model.is_mistral_7b:
        claims = ("low-rate-mistral",)
        if samples >= 3840:
            return Choice(key, 1e-6, "", "evidence", claims, "", ())
        why = "the low end; this model did best at low rates"
        unsure = "1e-6 was best with 3,840 samples per step [low-rate-mistral]"
        return Choice(key, 1e-5, why, "evidence", ("full-rate",), unsure, (2e-6, 2e-5))
    if rows >= MANY_ROWS:
        unsure = "the best rate of other models was up to 3e-5 [full-rate]"
        return Choice(key, 2e-5, "", "evidence", ("low-rate",), unsure, (1e-5,))
    unsure = "1e-5 to 3e-5 did best in different models"
    return Choice(key, 2e-5, "", "evidence", ("full-rate",), unsure, (1e-5, 3e-5))


def schedule(
    request: Request, candidate: Candidate, goal: Goal, rows: int, steps: int
) -> list[Choice]:
    """The schedule and the warmup."""
    key = "lr_scheduler"
    if request.scheduler is not None:
        first = Choice(key, request.scheduler, "as given", "given")
    elif candidate.is_adapter:
        claims: tuple[str, ...] = ("adapter-no-warmup",)
        first = Choice(key, "constant", "", "evidence", claims)
    elif rows >= MANY_ROWS:
        why = "but see [cosine-rate]"
        first = Choice(key, "constant", why, "evidence", ("constant-rate",))
    elif 5_000 <= rows <= 15_000 and goal != "style":
        unsure = "a constant rate was no worse elsewhere [constant-rate]"
        claims = ("cosine-rate",)
        others = ("constant",)
        first = Choice(key, "cosine", "", "evidence", claims, unsure, others)
    else:
        why = "shown for 1,000 rows and for 200,000 or more"
        unsure = "cosine was better with 5,000 to 15,000 rows [cosine-rate]"
        claims = ("constant-rate",)
        others = ("cosine",)
        first = Choice(key, "constant", why, "evidence", claims, unsure, others)
    return [first, _warmup(str(first.value), candidate, rows, steps)]


def _warmup(scheduler: str, candidate: Candidate, rows: int, steps: int) -> Choice:
    if scheduler == "constant":
        if candidate.is_adapter:
            return Choice("warmup_steps", 0, "", "evidence", ("adapter-no-warmup",))
        if rows >= MANY_ROWS:
            return Choice("warmup_steps", 0, "", "evidence", ("no-warmup",))
        why = "convention: a constant rate starts at once"
        return Choice("warmup_steps", 0, why, "convention")
    some = some_warmup(steps)
    if not some:
        return Choice("warmup_steps", 0, "too few steps for one", "data")
    why = f"convention: 3% of the {steps:,} steps, as in [tulu-warmup]"
    return Choice("warmup_steps", some, why, "convention")


def some_warmup(steps: int) -> int:
    """Steps of the warmup before a rate that falls; 0 if a run has too few."""
    some = max(2, round(0.03 * steps))
    return some if some < steps else 0


def epochs(request: Request, goal: Goal, samples: int, an_epoch: int) -> Choice:
    """How often each row is trained on.

    Args:
        request: What the user gave.
        goal: What the model is tuned for.
        samples: Samples per optimizer step.
        an_epoch: Optimizer steps per epoch.
    """
    key = "num_epochs"
    if request.epochs is not None:
        value = int(request.epochs) if request.epochs % 1 == 0 else request.epochs
        return Choice(key, value, "as given", "given")
    if samples >= 3840:
        steps = _MOST_EPOCHS * an_epoch
        enough = CLAIMS["steps-enough"].allows(steps)
        unsure = "" if enough else "the paper's best runs took 700 steps or more"
        claims: tuple[str, ...] = ("steps-enough",)
        made = f"{_MOST_EPOCHS} x {an_epoch} = {steps}"
        return Choice(key, _MOST_EPOCHS, "", "evidence", claims, unsure, derived=made)
    if goal == "style":
        why = "chat scores rose to the tenth epoch: 3 is a start"
        unsure = "more epochs may raise chat scores, and lower reasoning scores"
        claims = ("two-epochs",)
        return Choice(key, _MOST_EPOCHS, why, "evidence", claims, unsure)
    if 2 * an_epoch < _FEW_STEPS and goal != "reasoning":
        why = f"convention: 2 would make {2 * an_epoch} steps, which is few"
        unsure = "a third may raise chat scores and lower reasoning scores [two-epochs]"
        return Choice(key, _MOST_EPOCHS, why, "convention", (), unsure)
    why = "reasoning scores fell after the second" if goal == "reasoning" else ""
    unsure = "chat scores rose beyond the second epoch" if goal == "general" else ""
    return Choice(key, 2, why, "evidence", ("two-epochs",), unsure)


_USUAL_WEIGHT = 0.02
"""The standard deviation with which models of transformers start."""


def rounding_notes(rate: float, candidate: Candidate) -> Iterator[str]:
    """What bf16 weights lose at a small rate, in full training without FSDP2.

    Numbers of bf16 between 2^k and 2^(k+1) are 2^(k-7) apart, and a step of Adam, about
    as large as the rate, changes one only if it is at least half of that.
    """
    above = 2.0 ** math.ceil(math.log2(rate * 2**8))
    exact = candidate.is_adapter or candidate.sharding != "ddp"
    if not exact and above < _USUAL_WEIGHT:
        yield (
            f"the trained weights are in bf16: a step of {rate:g} is rounded away in "
            f"those above {above:.1g}. FSDP2 on several GPUs keeps them in float32"
        )
