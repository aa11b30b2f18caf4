"""Opens the measurement of the loss by source, on all ranks or on none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..config.settings import Settings
from ..errors import SFTGuideError
from ..signals.sources import SourceLosses
from . import notices
from .no_recorder import NoRecorder
from .ranks import Ranks
from .recorder import RunRecorder
from .source_meter import SourceMeter
from .source_record import NoSources, SourceRecord, as_event
from .source_table import SourceTable

logger = logging.getLogger(__name__)


def find_sources(
    trainer: Any, find: Callable[[Any], SourceTable] | None
) -> SourceTable | None:
    """The sources of the data; None if any rank cannot find them. Collective."""
    if find is None:
        return None
    ranks = Ranks(trainer)
    table = None
    try:
        table = find(trainer)
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
    table: SourceTable | None,
    settings: Settings,
    recorder: RunRecorder | NoRecorder,
) -> SourceRecord | NoSources:
    """The record of the loss by source of a training that begins."""
    if table is None:
        return NoSources()
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
        failed=lambda what, reason: logger.warning(
            notices.no_loss_by_source(reason, what)
        ),
    )

    def write(name: str, losses: SourceLosses) -> None:
        recorder.event(name, **as_event(losses))

    return SourceRecord(meter, write, warn=logger.warning if ranks.main else _not_here)


def _not_here(text: str) -> None:
    """The first rank warns of what all ranks have measured together."""
