"""The metric by which runs are judged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ._records import Run, best_shared_metric

if TYPE_CHECKING:
    from ._history import RunHistory


def chosen_metric(runs: Iterable[Run]) -> str | None:
    """The metric by which runs are judged; None if no run has a score.

    It is the one that the settings of most runs name (`early_termination.metric`, which
    a sweep sets), if a run has a score on it, else that of `best_shared_metric`.
    """
    runs = list(runs)
    scored = {s.metric for run in runs for s in run.scores if not math.isnan(s.value)}
    # On a tie, the newest run decides; runs come oldest first.
    named = Counter(run.named_metric for run in reversed(runs))
    of_settings = [metric for metric, _ in named.most_common() if metric in scored]
    return of_settings[0] if of_settings else best_shared_metric(runs)


def metric_of(history: RunHistory, runs: Sequence[Run]) -> str | None:
    """`chosen_metric` of runs that may be without their configs.

    The configs are read where they decide it: if there are scores on several metrics.
    """
    if len({score.metric for run in runs for score in run.scores}) < 2:
        return best_shared_metric(runs)
    return chosen_metric(history.runs_by_ids([run.id for run in runs]))
