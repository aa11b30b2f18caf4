"""The trace that a resumed run continues."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ..errors import SFTGuideError
from ..runs.traces import PATTERN, read_trace
from ..signals import Observation
from . import notices

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Earlier:
    """The recorded steps of the run up to the checkpoint."""

    run_id: str
    past: tuple[Observation, ...]


def find_earlier(output_dir: str, step: int) -> Earlier | None:
    """The newest readable trace in the output folder of a resumed run.

    Args:
        output_dir: The output folder.
        step: The optimizer step of the checkpoint; 0 if the run is new.
    """
    if not step:
        return None
    paths = sorted(
        Path(output_dir).glob(PATTERN), key=lambda path: path.stat().st_mtime
    )
    for path in reversed(paths):
        try:
            trace = read_trace(path)
        except SFTGuideError as error:
            logger.warning(notices.trace_skipped(error))
            continue
        past = tuple(o for o in trace.observations if o.step <= step)
        return Earlier(trace.run["id"], past)
    return None
