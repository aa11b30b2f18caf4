"""Rules that judge a run: frozen values, applied to one observation after another.

    state = rule.init()
    for observation in run:
        state, verdict = rule.step(state, observation)

A rule has no trainer and keeps its state outside of itself, so that a live run, a
replayed trace and a resumed run all use the same code.

    NonFinite       the loss or the norm stays NaN or infinite
    Divergence      the loss or the norm leaves the run's level and stays above it
    NotLearning     no gradient, no trained tokens, or a loss that stays flat
    WorseThan       higher norm and lower loss than a finished reference run
    BeyondCohort    higher norm and lower loss than most of the finished runs
    Prediction      hardly any chance to beat the best finished run

Wrappers: Grace (from some step on), Patience (for some steps in a row), AllOf.
"""

from __future__ import annotations

from ._base import Rule as Rule
from ._base import Verdict as Verdict
from ._base import fold as fold
from ._beyond_cohort import BeyondCohort as BeyondCohort
from ._divergence import Divergence as Divergence
from ._non_finite import NonFinite as NonFinite
from ._not_learning import NotLearning as NotLearning
from ._prediction import Prediction as Prediction
from ._worse_than import WorseThan as WorseThan
from ._wrappers import AllOf as AllOf
from ._wrappers import Grace as Grace
from ._wrappers import Patience as Patience

__all__ = [
    "AllOf",
    "BeyondCohort",
    "Divergence",
    "Grace",
    "NonFinite",
    "NotLearning",
    "Patience",
    "Prediction",
    "Rule",
    "Verdict",
    "WorseThan",
    "fold",
]
