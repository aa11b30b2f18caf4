"""Which trials of a sweep are parked, and which of them are resumed at its end.

A run is parked on weak evidence, because that can be undone: its training ends with a
checkpoint. When no trial is left to start, the finished runs predict the parked ones
anew. Those that the rule `prediction` would not stop are resumed, the most promising
first. A resumed run may be parked again, now on the evidence for a stop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from ..config.rule_settings import PredictionSettings
from ..signals import Observation
from ..signals.forecast import Forecast, Outlook, in_worst
from .rules import Prediction

STAGE_VARIABLE = "SFTGUIDE_PARKING"
"""The environment variable in which a sweep passes the stage to a training."""

_MANY = 10
"""So many finished runs predict well enough to leave more than the worst parked."""

_WORST_OF_MANY = 0.5

Stage = Literal["first", "resumed"]
"""Whether a run may be parked for the first time, or was resumed."""


def stage_named(name: str | None) -> Stage | None:
    """The stage with a name; None for a run that is not parked but stopped."""
    return cast(Stage, name) if name in get_args(Stage) else None


def limits_of(
    settings: PredictionSettings, stage: Stage | None
) -> tuple[float, float, int]:
    """Chance, share of the highest losses and looks of the rule `prediction`.

    A parked run can be resumed, so one look at the chance is enough to park it. Parked
    again at a later look, it waits for those that are more promising.
    """
    parking = settings.parking
    if stage is None or parking is None:
        return settings.chance, settings.worst, settings.looks
    chance = parking.chance if stage == "first" else settings.chance
    return chance, 1.0, 1


@dataclass(frozen=True)
class Prospect:
    """What the finished runs say of a parked run."""

    chance: float
    """Its chance to beat the best of them; 1 if they say nothing."""
    resumes: bool
    """Whether it is trained on."""
    reason: str
    """One sentence for the user, with the numbers."""
    figures: dict[str, float]


Outlooks = Sequence[Outlook | None]
"""What the finished runs say of a parked run, at each of its looks."""


def outlooks_of(
    observations: Iterable[Observation], forecast: Forecast | None, max_steps: int
) -> Outlooks:
    """What the finished runs say of a parked run."""
    if forecast is None:
        return ()
    rule = Prediction(forecast, max_steps, chance=1.0, worst=1.0, looks=1)
    return rule.outlooks(observations)


def losses_beside(last: Outlook, parked: Iterable[Outlooks]) -> list[float]:
    """The losses of other parked runs at the same look, by the same finished runs."""
    return [
        other.loss
        for outlooks in parked
        for other in outlooks
        if other is not None
        and (other.share, other.runs, other.best) == (last.share, last.runs, last.best)
    ]


def prospect_of(
    last: Outlook | None, beside: Sequence[float], settings: PredictionSettings
) -> Prospect:
    """Decide from the runs that have finished so far whether a parked run is resumed.

    Args:
        last: What they predict for it, at its last step with a prediction.
        beside: The losses of other parked runs at that point. The finished runs alone
            are a selection of the better ones.
        settings: The rule; a parked run is not resumed if `chance` and `worst` hold.
            Many finished runs predict it better, so that half of the runs, not only the
            worst third, may be left parked then.
    """
    if last is None:
        return Prospect(1.0, True, "too few finished runs compare with it", {})
    ranked = last.runs + len(beside)
    lower = last.rank * last.runs + sum(loss < last.loss for loss in beside)
    rank = lower / ranked
    figures = {
        "chance": last.chance,
        "rank": rank,
        "runs": float(last.runs),
        "share": last.share,
    }
    by = f"by {last.runs} finished runs"
    if not last.lower_is_better:
        reason = f"{by}, a lower loss does not go with a better score"
        return Prospect(1.0, True, reason, figures)
    chance = f"{by}, its chance to beat the best of them is {_percent(last.chance)}"
    if last.chance >= settings.chance:
        return Prospect(last.chance, True, chance, figures)
    many = last.runs >= _MANY
    worst = max(settings.worst, _WORST_OF_MANY) if many else settings.worst
    among = f"{rank:.0%} of {ranked} finished or parked runs have a lower loss"
    resumes = not in_worst(rank, worst)
    return Prospect(last.chance, resumes, f"{chance}; {among}", figures)


def _percent(chance: float) -> str:
    return f"{chance:.0%}" if chance >= 0.1 else f"{100 * chance:.2g}%"
