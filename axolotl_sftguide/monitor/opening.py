"""Opens the session of a run: assembles its parts and asks whether all ranks have one."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from ..config.settings import EarlyTerminationSettings, Settings
from ..errors import SFTGuideError
from ..runs import marker
from ..runs.history import RunHistory, this_process
from ..runs.redaction import json_safe
from ..signals import Observation
from ..signals.comparability import Candidate, comparability_key
from ..signals.noise_scale import WINDOW
from ..stopping.baselines import baselines
from ..stopping.judge import Judge, actions_of, describe
from . import notices
from .accumulation import loss_normalisation, make_exact
from .capture import StepCapture
from .faults import Guard
from .gradients import (
    MicroBatchGradients,
    correlated_micro_batches,
    noise_scale_obstacle,
)
from .identity import host_name, key_fields
from .meter import RunMeter
from .pace import device_name
from .ranks import Ranks
from .readout import StepReadout
from .recorder import NoRecorder, RunRecorder, new_run_id, output_folder
from .resume import find_earlier
from .session import Parts, Session

logger = logging.getLogger(__name__)

NO_RULES = EarlyTerminationSettings.model_validate(
    {"action": "off", "non_finite": {"action": "off"}}
)


def open_run(
    trainer: Any,
    settings: Settings,
    *,
    rules: EarlyTerminationSettings | None = None,
    config: dict[str, Any] | None = None,
    extra_key_fields: dict[str, Any] | None = None,
) -> Session | None:
    """The session of a training that begins. Collective where several ranks train.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        settings: The `sftguide:` block.
        rules: Which rules are applied; by default none.
        config: The resolved configuration to record; by default the trainer's.
        extra_key_fields: Fields of the comparability key that only the host knows.

    Returns:
        None if any rank cannot be watched; no rank is watched then.
    """
    opened: tuple[Session, str] | None = None
    try:
        opened = _open(trainer, settings, rules or NO_RULES, config, extra_key_fields)
    except SFTGuideError as error:
        logger.warning(notices.not_watched(error))
        logger.debug("traceback of the error", exc_info=True)
    except Exception as fault:
        logger.warning(notices.not_watched_by_fault(fault))
        logger.debug("traceback of the internal error", exc_info=True)
    ranks = Ranks(trainer)
    all_opened = ranks.all_ready(opened is not None)
    if opened is None:
        return None
    session, banner = opened
    if not all_opened:
        session.abandon("another rank could not be watched")
        return None
    if ranks.main:
        logger.info(banner)
    return session


def _open(
    trainer: Any,
    settings: Settings,
    rules: EarlyTerminationSettings,
    config: dict[str, Any] | None,
    extra_key_fields: dict[str, Any] | None,
) -> tuple[Session, str]:
    """The session, attached, and the line that announces it."""
    ranks, guard = Ranks(trainer), Guard()
    if settings.exact_accumulation:
        _make_exact(trainer, ranks)
    micro_batches = _micro_batches(trainer, settings, ranks)
    output_dir = output_folder(trainer.args.output_dir)
    earlier = find_earlier(output_dir, trainer.state.global_step)
    past = earlier.past if earlier else ()
    fields = json_safe({**key_fields(trainer), **(extra_key_fields or {})})
    run = Candidate(
        study=settings.study,
        key=comparability_key(fields),
        fields=fields,
        noise_measured=micro_batches is not None,
        without=earlier.run_id if earlier else new_run_id(),
    )
    recorder: RunRecorder | NoRecorder = NoRecorder()
    if ranks.main:
        row = _run_row(trainer, settings, run, output_dir, past, config)
        recorder = _recorder(row, settings, trainer.state.global_step, past)
    every = settings.monitor.noise_scale_every
    parts = Parts(
        ranks=ranks,
        guard=guard,
        capture=StepCapture(trainer, guard, micro_batches),
        readout=StepReadout(trainer, ranks),
        # One more than the window: the first step's samples need the step before.
        meter=RunMeter(trainer, past, every * WINDOW + 1 if run.noise_measured else 0),
        recorder=recorder,
        judge=_judge(run, recorder.history, rules),
        past=past,
    )
    session = Session(
        trainer, run.without, output_dir, parts, settings.effective_batch_size
    )
    session.begin()
    return session, _banner(run, settings, rules, recorder)
