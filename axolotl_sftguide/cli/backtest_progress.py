"""A progress bar for a backtest, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .common import progress

if TYPE_CHECKING:
    from ..stopping.backtest import Policy, WholePolicy
    from ..stopping.baselines import RecordedRun


class Replays:
    """Counts the orders of arrival that each policy has replayed.

    Args:
        orders: The orders of arrival over all policies.
    """

    def __init__(self, orders: int) -> None:
        self._progress = progress("replaying", orders)
        self._advance: Callable[[], None] = lambda: None

    def __enter__(self) -> Replays:
        self._advance = self._progress.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._progress.__exit__(*raised)

    def counted(self, policy: Policy | WholePolicy) -> Policy | WholePolicy:
        """The policy; each order that it begins moves the bar."""
        from ..stopping.backtest import WholePolicy

        if isinstance(policy, WholePolicy):
            return _CountedWhole(policy, self._advance)
        return _Counted(policy, self._advance)


@dataclass(frozen=True)
class _Counted:
    policy: Policy
    on_order: Callable[[], None]

    @property
    def name(self) -> str:
        return self.policy.name

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        self.on_order()
        return self.policy.begin()


@dataclass(frozen=True)
class _CountedWhole:
    policy: WholePolicy
    on_order: Callable[[], None]

    @property
    def name(self) -> str:
        return self.policy.name

    def replay(self, runs: Sequence[RecordedRun]) -> dict[str, int]:
        self.on_order()
        return self.policy.replay(runs)
