"""Opens the measurement of the loss by source, on all ranks or on none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..config.settings import Settings
from ..errors import SFTGuideError
from . import notices
from .ranks import Ranks
from .recorder import NoRecorder, RunRecorder
from .source_meter import SourceMeter
from .source_record import SourceRecord, as_event
from .source_table import SourceTable

logger = logging.getLogger(__name__)


def find_sources(trainer: Any, find: Callable[[], SourceTable]) -> SourceTable | None:
    """The sources of the data; None if any rank cannot find them. Collective."""
    ranks = Ranks(trainer)
    table = None
    try:
        table = find()
    except SFTGuideError as error:
        reason = str(error)
    except Exception as fault:
        reason = repr(fault)
        logger.debug("traceback of the internal error", exc_info=True)
    if table is None:
        logger.warning(notices.no_loss_by_source(reason))
    return table if ranks.all_ready(table is not None) else None


def sources_record(
    trainer: Any,
    table: SourceTable,
    settings: Settings,
    recorder: RunRecorder | NoRecorder,
) -> SourceRecord:
    """The record of the loss by source of a training that begins."""
    ranks = Ranks(trainer)

    def started(way: str, every: int) -> None:
        if ranks.main:
            logger.info(notices.loss_by_source(table.names, way, every))

    meter = SourceMeter(
        trainer,
        table,
        every=settings.monitor.loss_by_source_every,
        total=ranks.total,
        started=started,
        failed=lambda reason: logger.warning(notices.no_loss_by_source(reason)),
    )
    return SourceRecord(
        meter, lambda name, losses: recorder.event(name, **as_event(losses))
    )
