"""A progress bar for a backtest, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

if TYPE_CHECKING:
    from ..stopping.backtest import Policy, WholePolicy
    from ..stopping.baselines import RecordedRun


class Replays:
    """Counts the orders of arrival that each policy has replayed.

    Args:
        orders: The orders of arrival over all policies.
    """

    def __init__(self, orders: int) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("replaying", total=orders)

    def __enter__(self) -> Replays:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def counted(self, policy: Policy | WholePolicy) -> Policy | WholePolicy:
        """The policy; each order that it begins moves the bar."""
        from ..stopping.backtest import WholePolicy

        def advance() -> None:
            self._progress.advance(self._task)

        if isinstance(policy, WholePolicy):
            return _CountedWhole(policy, advance)
        return _Counted(policy, advance)


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
