"""The tables of a backtest (rich)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table

from ..signals.comparability import effective_batch_size
from ..signals.correlation import Correlation
from ..signals.regression import LEAST_POINTS
from ..stopping.backtest import Backtest, SignalEvidence
from ..stopping.resampling import LEAST_SETTINGS, Interval
from ..units import number, share
from .backtest_runs import Group
from .tables import console

_SIGNALS = {"grad_norm": "gradient norm", "loss": "loss"}
_BETTER = {"grad_norm": -1, "loss": 1}
"""The sign that arXiv 2412.13337 reports: lower norm, higher loss, better score."""


def print_backtest(
    study: str,
    group: Group,
    results: Sequence[Backtest],
    evidence: Sequence[SignalEvidence],
) -> None:
    """Print the results of each policy, and how signals correlate with scores."""
    out = console()
    first, runs = results[0], group.runs
    title = (
        f"study {escape(study)}: {len(runs)} finished runs, score "
        f"{escape(group.metric)}, mean over {first.orders} orders of arrival"
    )
    table = Table(title=title, title_justify="left", pad_edge=False)
    table.add_column("policy", no_wrap=True)
    near = first.seed_deviation is not None
    headings = ["stopped", "steps saved", "best run kept", "score lost"]
    for heading in [*headings, *(["good run kept"] if near else [])]:
        table.add_column(heading, justify="right")
    for result in results:
        ends = result.intervals
        saved, kept, lost = (
            ("", "", "")
            if ends is None
            else (_ends(ends.steps_saved), _ends(ends.best_kept), _lost(ends.regret))
        )
        table.add_row(
            result.policy,
            share(result.stopped, 1),
            share(result.steps_saved, 1) + saved,
            share(result.best_kept, 1) + kept,
            number(result.regret, 2) + lost,
            *([share(result.near_best_kept or 0.0, 1)] if near else []),
        )
    out.print(table)
    for note in (*_peers(group), *_notes(results, len(runs))):
        out.print(note)
    signals = Table(
        title="early signals at a share of the run, and the final score",
        title_justify="left",
    )
    for heading in ("signal", "at", "rank correlation (95%)", "as in the paper?"):
        signals.add_column(heading, no_wrap=True)
    for found in evidence:
        signals.add_row(
            _SIGNALS[found.signal],
            share(found.at, 1),
            _interval(found.correlation),
            _answer(found.signal, found.correlation),
        )
    out.print(signals)


def _peers(group: Group) -> Iterator[str]:
    """Which runs are compared with which, where not all are."""
    if group.others:
        yield f"Other scores of these runs, for --metric: {', '.join(group.others)}."
    if group.keys == 1:
        return
    yield (
        f"These runs have {group.keys} comparability keys. comparison and cohort "
        "compare runs of one key, prediction learns from all, as in a live run."
    )
    sizes = {effective_batch_size(run.key_fields) for run in group.runs}
    if len(sizes) > 1:
        yield (
            f"They have {len(sizes)} batch sizes: a larger batch has a lower gradient "
            "norm whatever its score, and the correlations below do not allow for that."
        )


def _notes(results: Sequence[Backtest], runs: int) -> Iterator[str]:
    """What the intervals rest on, and what the columns do not say."""
    first = results[0]
    if first.settings <= LEAST_POINTS:
        yield (
            f"prediction needs earlier runs with {LEAST_POINTS} settings. These runs "
            f"have {first.settings}: it stops none of them, but may stop a later run."
            if first.settings == LEAST_POINTS
            else f"prediction needs earlier runs with {LEAST_POINTS} settings. These "
            f"runs have {first.settings}: it stops none of them."
        )
    if first.intervals is None:
        yield (
            f"No intervals: they take {LEAST_SETTINGS} settings or more, and these "
            f"runs have {first.settings}."
        )
    else:
        yield (
            f"Below each value its 95% interval, by resampling the {first.settings} "
            "settings of these runs."
        )
    if first.seed_deviation is not None:
        yield (
            "Good run kept: one within a standard deviation of repeats "
            f"({number(first.seed_deviation)}) of the best score. Repeats of a setting "
            "count once in the correlations."
        )
    for result in results:
        if result.none_kept:
            yield (
                f"{result.policy}: all {runs} runs were stopped in "
                f"{share(result.none_kept, 1)} of the orders; their worst score counts "
                "there."
            )


def _ends(found: Interval) -> str:
    """The ends of a share's interval, in a line of their own."""
    return f"\n{share(found[0], 1)} to {share(found[1], 1)}"


def _lost(found: Interval) -> str:
    return f"\n{number(found[0], 2)} to {number(found[1], 2)}"


def _interval(found: Correlation | None) -> str:
    if found is None:
        return "too few settings"
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _answer(signal: str, found: Correlation | None) -> str:
    if found is None:
        return "unclear"
    if not found.clear:
        return "unclear: includes zero"
    return "yes" if found.value * _BETTER[signal] > 0 else "no, the opposite sign"
