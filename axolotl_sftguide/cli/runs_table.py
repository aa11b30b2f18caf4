"""`sftguide runs list` as a table: one line per run, in as many columns as fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..config.differences import flatten, varied_keys
from ..runs.history import Run, chosen_metric
from ..safe_text import masker
from ..units import count, number, share
from .tables import console, label, score_beside, shown, status_of

_GAP = 2
_LEAST_REASON = 12
"""A narrower column of reasons would not be readable."""
_TAGS = 24
"""Characters of the tags of a run."""


@dataclass(frozen=True)
class _Column:
    heading: str
    cells: tuple[str, ...]
    right: bool = True
    """Whether the cells are right-aligned, as numbers are."""

    @cached_property
    def width(self) -> int:
        """The width of the widest cell or word of the heading."""
        words = self.heading.split()
        return max(
            *(Text.from_markup(cell).cell_len for cell in self.cells),
            *(len(word) for word in words),
        )

    @property
    def is_empty(self) -> bool:
        return all(cell in ("", "-") for cell in self.cells)


def print_runs(runs: Sequence[Run]) -> None:
    """One table for each study, with a line for each run."""
    out = console()
    for index, study in enumerate(dict.fromkeys(run.study for run in runs)):
        if index:
            out.print()
        _print_study(out, study, [run for run in runs if run.study == study])


def _print_study(out: Console, study: str, runs: Sequence[Run]) -> None:
    metrics = _metrics(runs)
    by = f", score: {escape(metrics[0])}" if len(metrics) == 1 else ""
    plural = "s" * (len(runs) != 1)
    out.print(f"[bold]study {escape(study)}[/]: {len(runs)} run{plural}{by}")
    swept = [_swept(key, values) for key, values in _by_variety(runs).items()]
    scores = [_scores(m, runs, only=len(metrics) == 1) for m in metrics]
    ident = _Column("run", tuple(escape(run.id) for run in runs), right=False)
    status, steps = _status(runs), _steps(runs)
    # The first columns are kept; they are printed in another order.
    tags = _tags(runs)
    first = [ident, *scores[:1], status, tags]
    wanted = [*first, *swept, *scores[1:], *steps, *_others(runs)]
    kept = _that_fit(wanted, out.width)
    order = [ident, *swept, *scores, status, tags, *steps, *_others(runs)]
    columns = [column for column in order if column in kept]
    columns += _reasons(runs, out.width - sum(c.width + _GAP for c in columns))
    out.print(_table(columns))
    left_out = [c.heading for c in (*swept, *scores) if c not in kept]
    if left_out:
        more = ", ".join(left_out[:8]) + (", ..." if len(left_out) > 8 else "")
        text = f"columns that do not fit in a width of {out.width}: {escape(more)}"
        out.print(f"[dim]{text}[/]")


def _that_fit(columns: Iterable[_Column], width: int) -> list[_Column]:
    kept: list[_Column] = []
    left = width + _GAP
    for column in columns:
        if not column.is_empty and column.width + _GAP <= left:
            kept.append(column)
            left -= column.width + _GAP
    return kept


def _table(columns: Sequence[_Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            vertical="bottom",
            width=column.width,
            overflow="ellipsis",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _by_variety(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The keys that the runs differ in, those with most values first, with these."""
    configs = [run.config for run in runs]
    keys = varied_keys(configs)
    flat = [flatten(config) for config in configs]
    ordered = sorted(keys, key=lambda k: -len({repr(one.get(k)) for one in flat}))
    return {key: [one.get(key) for one in flat] for key in ordered}


def _swept(key: str, values: Sequence[Any]) -> _Column:
    numbers = all(isinstance(v, (int, float)) or v is None for v in values)
    return _Column(label(key), tuple(shown(v) for v in values), right=numbers)


def _metrics(runs: Sequence[Run]) -> list[str]:
    """All metrics: the one by which the runs are judged, then the most frequent."""
    found = Counter(score.metric for run in runs for score in run.scores)
    first = chosen_metric(runs)
    return sorted(found, key=lambda metric: (metric != first, -found[metric]))


def _scores(metric: str, runs: Sequence[Run], *, only: bool) -> _Column:
    scores = [run.score(metric) for run in runs]
    cells = tuple("-" if s is None else number(s.value) for s in scores)
    return _Column("score" if only else label(metric), cells)


def _status(runs: Sequence[Run]) -> _Column:
    return _Column("status", tuple(map(status_of, runs)), right=False)


def _steps(runs: Sequence[Run]) -> list[_Column]:
    taken = tuple(f"{count(run.step)}/{count(run.max_steps)}" for run in runs)
    losses = tuple(number(run.loss) for run in runs)
    return [_Column("steps", taken), _Column("loss", losses)]


def _others(runs: Sequence[Run]) -> list[_Column]:
    names = _Column("name", tuple(escape(run.name) for run in runs), right=False)
    bases = _Column("base", tuple(_base(run) for run in runs))
    saved = _Column("steps saved", tuple(_saved(run) for run in runs))
    return [names, bases, saved]


def _tags(runs: Sequence[Run]) -> _Column:
    texts = (", ".join(run.tags) for run in runs)
    cut = (t if len(t) <= _TAGS else f"{t[: _TAGS - 3]}..." for t in texts)
    return _Column("tags", tuple(map(escape, cut)), right=False)


def _base(run: Run) -> str:
    beside = dict(score_beside(run, run.scores[0])) if run.scores else {}
    return number(beside.get("base"))


def _saved(run: Run) -> str:
    saved = run.steps_saved
    return f"{count(saved)} ({share(saved, run.max_steps)})" if saved else "-"


def _reasons(runs: Sequence[Run], left: int) -> list[_Column]:
    """Why runs were stopped or warned about, in the space that is left."""
    mask = masker()
    reasons = [" ".join(mask(_reason(run)).split()) for run in runs]
    if left < _LEAST_REASON or not any(reasons):
        return []
    cut = (r if len(r) <= left else f"{r[: left - 3]}..." for r in reasons)
    return [_Column("reason", tuple(map(escape, cut)), right=False)]


def _reason(run: Run) -> str:
    if run.reason:
        return run.reason
    return "; ".join(f"{d.action}: {d.rule}: {d.reason}" for d in run.decisions)
