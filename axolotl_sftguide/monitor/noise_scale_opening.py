"""Whether the noise scale of a run is measured, and of which gradients."""

from __future__ import annotations

import logging
from typing import Any

from ..config.settings import Settings
from . import notices
from .gradients import (
    MicroBatchGradients,
    correlated_micro_batches,
    noise_scale_obstacle,
)
from .ranks import Ranks

logger = logging.getLogger(__name__)


def micro_batches_of(
    trainer: Any, settings: Settings, ranks: Ranks
) -> MicroBatchGradients | None:
    """The gradients to measure; None if that is off, or impossible, which is logged."""
    if not settings.monitor.noise_scale:
        return None
    obstacle = noise_scale_obstacle(trainer)
    alike = correlated_micro_batches(trainer)
    if ranks.main and obstacle is not None:
        logger.warning(notices.no_noise_scale(obstacle))
    elif ranks.main and alike is not None:
        logger.warning(notices.biased_noise_scale(alike))
    if obstacle is not None:
        return None
    every = settings.monitor.noise_scale_every
    return MicroBatchGradients(trainer.model.parameters(), every)
