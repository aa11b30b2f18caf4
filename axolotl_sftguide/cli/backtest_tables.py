"""The tables of a backtest (rich)."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from ..signals.correlation import Correlation
from ..stopping.backtest import Backtest, SignalEvidence
from ..stopping.baselines import RecordedRun
from ..units import number, share
from .tables import console

_SIGNALS = {"grad_norm": "gradient norm", "loss": "loss"}
_BETTER = {"grad_norm": -1, "loss": 1}
"""The sign that arXiv 2412.13337 reports: lower norm, higher loss, better score."""


def print_backtest(
    study: str,
    runs: Sequence[RecordedRun],
    metric: str,
    results: Sequence[Backtest],
    evidence: Sequence[SignalEvidence],
) -> None:
    """Print the results of each policy, and how signals correlate with scores."""
    out = console()
    orders = results[0].orders
    title = (
        f"study {escape(study)}: {len(runs)} finished runs, score {escape(metric)}, "
        f"mean over {orders} orders of arrival"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("policy", no_wrap=True)
    for heading in ("stopped", "steps saved", "best run kept", "score lost"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            result.policy,
            share(result.stopped, 1),
            share(result.steps_saved, 1),
            share(result.best_kept, 1),
            number(result.regret),
        )
    out.print(table)
    signals = Table(
        title="correlation of early signals with the final score", title_justify="left"
    )
    for heading in ("signal", "read at", "rank correlation (95%)", "as in the paper?"):
        signals.add_column(heading, no_wrap=True)
    for found in evidence:
        signals.add_row(
            _SIGNALS[found.signal],
            f"{share(found.at, 1)} of the run",
            _interval(found.correlation),
            _answer(found.signal, found.correlation),
        )
    out.print(signals)


def _interval(found: Correlation | None) -> str:
    if found is None:
        return "too few runs"
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _answer(signal: str, found: Correlation | None) -> str:
    if found is None or not found.clear:
        return "unclear: interval includes zero"
    return "yes" if found.value * _BETTER[signal] > 0 else "no, the opposite sign"
