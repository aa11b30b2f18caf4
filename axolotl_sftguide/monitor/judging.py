"""The judge of a run, with the earlier runs that it is compared with."""

from __future__ import annotations

import logging

from ..config.rule_settings import EarlyTerminationSettings
from ..errors import SFTGuideError
from ..runs.history import RunHistory
from ..signals.comparability import Candidate
from ..stopping.baselines import baselines
from ..stopping.judge import Judge, actions_of, judge_of
from ..stopping.objectives import Objective
from ..stopping.parking import Stage
from . import notices

logger = logging.getLogger(__name__)


def judge_at_start(
    run: Candidate,
    history: RunHistory | None,
    rules: EarlyTerminationSettings,
    objective: Objective,
    max_steps: int,
    stage: Stage | None,
) -> Judge:
    """The judge of the run. Only the first rank compares it with earlier runs."""
    if history is None:
        return judge_of(rules, objective=objective, max_steps=max_steps)
    try:
        compared = baselines(run, history, rules)
        unknown = _unknown_metric(run, history)
    except SFTGuideError as error:
        logger.warning(notices.no_baselines(error))
        return judge_of(rules, objective=objective, max_steps=max_steps)
    if unknown is not None:
        logger.warning(unknown)
    doubt = compared.cohort.doubt if compared.cohort else None
    if doubt is not None and actions_of(rules, objective)["cohort"] == "stop":
        logger.warning(notices.cohort_only_warns(doubt))
    return judge_of(rules, compared, objective, max_steps, stage)


def _unknown_metric(run: Candidate, history: RunHistory) -> str | None:
    """A notice, if no earlier run has a score on the metric of the settings."""
    if run.metric is None:
        return None
    peers = history.forecast_peers(run)
    if not peers or any(peer.score is not None for peer in peers):
        return None
    ids = {peer.id for peer in peers}
    runs = history.runs(study=run.study, with_config=False)
    metrics = sorted(
        {score.metric for found in runs if found.id in ids for score in found.scores}
    )
    return notices.unknown_metric(run.metric, len(peers), metrics)
