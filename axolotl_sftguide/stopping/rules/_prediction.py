"""A run that will hardly beat the best one, by the user's own earlier runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from ...signals import Observation, point_steps
from ...signals.forecast import LOOKS, WINDOW, Forecast, Outlook
from ...units import number
from ._base import Verdict
from ._blocks import NO_BLOCKS, Blocks


@dataclass(frozen=True, slots=True)
class _State:
    first: tuple[float, ...] = ()
    curve: Blocks = NO_BLOCKS
    look: int = 0
    """The next look, as a position in `LOOKS`."""
    bad: int = 0
    """Looks in a row at which all guards held."""
    since: int = 0
    outlooks: tuple[Outlook | None, ...] = ()
    """What the earlier runs say at each look; None where they say nothing."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A chance below `chance` to beat the best earlier run, at two looks in a row.

    At each look, every 5% of the run from 15% to 65%, the scores of the earlier runs
    are regressed on their losses there. Three guards must hold, at `looks` looks in a
    row: runs with a lower loss scored better; the loss lies in the `worst` share of
    the earlier runs; and the chance that this run beats the best of them is small.
    A verdict holds until a look at which they do not.
    """

    forecast: Forecast
    max_steps: int
    chance: float
    worst: float
    looks: int
    name: str = "prediction"

    def init(self) -> _State:
        """The state before the first step."""
        return _State()

    def step(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        """Add the loss; at a look, compare the run with the earlier ones."""
        if math.isfinite(observation.loss):
            first = (*state.first, observation.loss)[: point_steps(self.max_steps)]
            state = replace(state, first=first, curve=state.curve.add(observation.loss))
        share = observation.step / self.max_steps
        if state.look == len(LOOKS) or share < LOOKS[state.look]:
            return state, None
        look = max(i for i, at in enumerate(LOOKS) if at <= share)
        outlook = self._outlook(state, look, share)
        outlooks = (*state.outlooks, outlook)
        state = replace(state, look=look + 1, outlooks=outlooks)
        if outlook is None or not self._is_hopeless(outlook):
            return replace(state, bad=0), None
        since = state.since if state.bad else observation.step
        state = replace(state, bad=state.bad + 1, since=since)
        if state.bad < self.looks:
            return state, None
        return state, self._verdict(outlook, observation, state.since)

    def outlooks(
        self, observations: Iterable[Observation]
    ) -> tuple[Outlook | None, ...]:
        """What the earlier runs say of a run at each look so far."""
        state = self.init()
        for observation in observations:
            state, _ = self.step(state, observation)
        return state.outlooks

    def _outlook(self, state: _State, look: int, share: float) -> Outlook | None:
        if not state.curve.means:
            return None
        recent = state.curve.last(round(WINDOW / share * state.curve.count))
        return self.forecast.outlook(look, fmean(recent), fmean(state.first))

    def _is_hopeless(self, outlook: Outlook) -> bool:
        return (
            outlook.lower_is_better
            and outlook.in_worst(self.worst)
            and outlook.chance < self.chance
        )

    def _verdict(self, found: Outlook, at: Observation, since: int) -> Verdict:
        sign, metric = self.forecast.sign, self.forecast.metric
        low, high = sorted((sign * found.low, sign * found.high))
        return Verdict(
            rule=self.name,
            reason=(
                f"predicted {metric} {number(sign * found.score)} ({number(low)} to "
                f"{number(high)} at 95%) from the loss at {found.share:.0%} of the "
                f"run, by {found.runs} finished runs{_repeats(found)}; the best of "
                f"them has {number(sign * found.best)}"
            ),
            step=at.step,
            samples_seen=at.samples_seen,
            bad_since=since,
            signals=("loss",),
            figures={
                "predicted": sign * found.score,
                "low": low,
                "high": high,
                "chance": found.chance,
                "best": sign * found.best,
                "runs": found.runs,
                "settings": found.settings,
                "share": found.share,
                "rank": found.rank,
            },
        )


def _repeats(found: Outlook) -> str:
    return f" of {found.settings} settings" if found.settings < found.runs else ""
