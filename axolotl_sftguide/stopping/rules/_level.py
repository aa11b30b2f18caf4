"""A signal of a run, compared with the level that the run itself has had."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean, median

from ...signals import robust_scale
from ._blocks import NO_BLOCKS, Blocks, standard_error

_FEW = 8
"""Fewer accepted values give no estimate of their spread."""

_FEW_MARGIN = 2.0
"""With few values, the limit is at least the median plus this times the largest."""

_LEAST_DROP = 0.02
"""A streak recovers if its second half is lower by more than this share of it."""

_TINY = 0.01
"""A level below this share of the values that follow it is no level."""

_MOST_PATIENCE = 4
"""Times the patience until the level of a streak that recovers becomes the run's."""

_PER_BREAK = 2

_WORSE = 2.0
_LONG = 2
_LONG_SHARE = 0.2
"""A streak at less than twice the level of the first steps may be other data that are
learned slowly. It must last twice the patience and this share of the run."""

_FLAT = 0.03
"""Such a streak counts if it has fallen by less than this share of its height."""


@dataclass(frozen=True, slots=True)
class Level:
    """What is usual for the run, and the limit above it."""

    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Streak:
    """Values above the limit, nearly without a break.

    A value below the limit takes back two above it, so that a loss that swings counts
    while it is above the limit for more than two thirds of the time.
    """

    values: tuple[float, ...] = ()
    steps: int = 0
    start: int = 0
    curve: Blocks = NO_BLOCKS

    def add(self, value: float, step: int, most: int) -> Streak:
        """The streak after one more value above the limit."""
        return Streak(
            (*self.values, value)[-most:],
            self.steps + 1,
            self.start or step,
            self.curve.add(value),
        )

    def broken(self) -> Streak:
        """The streak after one value below the limit."""
        left = self.steps - _PER_BREAK
        return replace(self, steps=left) if left > 0 else Streak()


@dataclass(frozen=True, slots=True)
class History:
    """The state of one signal."""

    accepted: tuple[float, ...] = ()
    lowest: Level | None = None
    streak: Streak = Streak()
    initial: float | None = None
    """Its level over the first steps of the run."""


NO_HISTORY = History()


@dataclass(frozen=True, slots=True)
class Signal:
    """How one signal is compared with its level."""

    name: str
    window: int
    sigmas: float
    margin: float
    patience: int
    lowest_counts: bool
    """Whether the lowest level so far counts, and the level at the start."""
    length: float | None = None
    """Values of the whole run, where that is known."""

    def add(
        self, history: History, value: float, step: int
    ) -> tuple[History, Level | None]:
        """The state after one more value, and the level exceeded for good, if any."""
        level = self._level(history)
        if level is None or value <= level.limit:
            return self._accept(history, value), None
        streak = history.streak.add(value, step, 2 * self.patience)
        history = History(history.accepted, history.lowest, streak, history.initial)
        if streak.steps < self.patience:
            return history, None
        if abs(level.value) < _TINY * median(streak.values):
            return self._begin_anew(history), None
        if self._is_below_start(history):
            return self._wait(history, level)
        if _recovering(streak.values):
            waited = streak.steps >= _MOST_PATIENCE * self.patience
            return self._begin_anew(history) if waited else history, None
        return history, level

    def limit(self, history: History) -> float | None:
        """The value above which the next one begins or extends a streak."""
        level = self._level(history)
        return None if level is None else level.limit

    def _is_below_start(self, history: History) -> bool:
        """Whether a streak may be other data: not far above the first steps' level."""
        if not self.lowest_counts or history.initial is None:
            return False
        return median(history.streak.values) < history.initial * _WORSE

    def _wait(self, history: History, level: Level) -> tuple[History, Level | None]:
        """Give a streak below the start of the run time to fall."""
        streak = history.streak
        share = _LONG_SHARE * self.length if self.length else 4 * self.patience
        long = max(_LONG * self.patience, share)
        if streak.steps < long:
            return history, None
        half = len(streak.curve.means) // 2
        first, last = streak.curve.means[:half], streak.curve.means[half:]
        fall = fmean(first) - fmean(last)
        error = min(standard_error(first), standard_error(last))
        little = _FLAT * (fmean(first) - level.value)
        if fall + error < little:
            return history, level
        if fall - 2 * error > little:
            history = self._begin_anew(history)
        return history, None

    def _begin_anew(self, history: History) -> History:
        """Take the level of the streak for the run's."""
        return History(history.streak.values[-self.window :], initial=history.initial)

    def _accept(self, history: History, value: float) -> History:
        # With few values, those that seemed too high are accepted too: after a first
        # value that was low by chance, only other low values would be accepted.
        few = len(history.accepted) < _FEW
        held = history.streak.values if few else ()
        streak = Streak() if few else history.streak.broken()
        accepted = (*history.accepted, *held, value)[-self.window :]
        initial, lowest = history.initial, history.lowest
        if initial is None and len(accepted) >= _FEW:
            initial = max(median(accepted), median(accepted[:3]))
        if self.lowest_counts and len(accepted) == self.window:
            lowest = _lower(lowest, self._level_of(accepted, initial))
        return History(accepted, lowest, streak, initial)

    def _level(self, history: History) -> Level | None:
        if not history.accepted:
            return None
        level = self._level_of(history.accepted, history.initial)
        return _lower(history.lowest, level)

    def _level_of(self, values: tuple[float, ...], initial: float | None) -> Level:
        middle = median(values)
        if len(values) < _FEW:
            few = max(self.margin, _FEW_MARGIN)
            return Level(middle, middle + few * max(abs(v) for v in values))
        least = abs(middle)
        if self.lowest_counts and initial is not None:
            # Near zero, a share of the level is no distance at all.
            least = max(least, abs(initial))
        distance = max(self.sigmas * robust_scale(values), self.margin * least)
        return Level(middle, middle + distance)


def _recovering(streak: tuple[float, ...]) -> bool:
    half = len(streak) // 2
    drop = median(streak[:half]) - median(streak[half:])
    return drop > _LEAST_DROP * abs(median(streak))


def _lower(lowest: Level | None, level: Level) -> Level:
    if lowest is None or level.limit < lowest.limit:
        return level
    return lowest
