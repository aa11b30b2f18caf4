"""Opens the session of a run on all ranks, or on none: assembles its parts."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..config.rule_settings import EarlyTerminationSettings
from ..config.settings import Settings
from ..errors import SFTGuideError
from ..runs.history import this_process
from ..runs.redaction import json_safe
from ..signals.comparability import Candidate, comparability_key
from ..signals.noise_scale import WINDOW
from ..stopping.judge import describe
from ..stopping.objectives import SUPERVISED, Objective
from ..stopping.parking import STAGE_VARIABLE, Stage, stage_named
from . import notices
from .accumulation import loss_normalisation, make_exact
from .announcing import AnnouncingRecorder, RunListener
from .capture import StepCapture
from .endings import clear_marker
from .evaluation_opening import evaluation_watch
from .faults import Guard
from .identity import host_name, key_fields, objective_of
from .judging import judge_at_start
from .loop import TrainingLoop
from .meter import RunMeter
from .no_recorder import NoRecorder
from .noise_scale_opening import micro_batches_of
from .observer import StepObserver
from .pace import device_name
from .parts import Parts
from .ranks import Ranks
from .readout import StepReadout
from .recorder import RunRecorder, new_run_id, output_folder
from .resume import Resumed, find_earlier
from .samples import HostBatch, SampleCount
from .session import Session
from .source_opening import find_sources, sources_record
from .source_table import SourceTable

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
    checkpoint: str | None = None,
    sources: Callable[[Any], SourceTable] | None = None,
    listener: RunListener | None = None,
) -> Session | None:
    """The session of a training that begins. Collective if several ranks train.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        settings: The `sftguide:` block.
        rules: Which rules are applied; by default none.
        config: The resolved configuration to record; by default the trainer's.
        extra_key_fields: Fields of the comparability key that only the host knows.
        checkpoint: The checkpoint that the training resumes from, if it is known.
        sources: Finds the sources of a trainer's data, to measure the loss of each.
        listener: Receives the events of the run, on the first rank.

    Returns:
        None if any rank cannot be watched; no rank is watched then.
    """
    opened: tuple[Session, str] | None = None
    table = find_sources(trainer, sources)
    try:
        opened = _open(
            trainer,
            settings,
            rules or NO_RULES,
            config,
            extra_key_fields,
            checkpoint,
            table,
            listener,
        )
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
    checkpoint: str | None,
    table: SourceTable | None,
    listener: RunListener | None,
) -> tuple[Session, str]:
    """The session, attached, and the line that announces it."""
    ranks, guard = Ranks(trainer), Guard()
    if settings.exact_accumulation:
        _make_exact(trainer, ranks)
    micro_batches = micro_batches_of(trainer, settings, ranks)
    output_dir = output_folder(trainer.args.output_dir)
    step = trainer.state.global_step
    resumed = find_earlier(output_dir, step, checkpoint) or Resumed()
    objective = objective_of(trainer)
    fields, unread = key_fields(trainer, objective)
    fields = json_safe({**fields, **(extra_key_fields or {})})
    run = Candidate(
        study=settings.study,
        key=comparability_key(fields),
        fields=fields,
        noise_measured=micro_batches is not None,
        without=resumed.run_id or new_run_id(),
        metric=rules.metric,
    )
    obstacles = [notices.not_identified(unread)] if unread else []
    obstacles += resumed.obstacles(step, run.key)
    recorder: RunRecorder | NoRecorder = NoRecorder()
    if ranks.main:
        for obstacle in obstacles:
            logger.warning(obstacle)
        past = resumed.past
        comparable = not obstacles and all(o.measured for o in past)
        row = _run_row(trainer, settings, run, output_dir, comparable, config)
        recorder = _recorder(row, settings, resumed, step, listener)
    every = settings.monitor.noise_scale_every
    stage = stage_named(os.environ.get(STAGE_VARIABLE))
    host = HostBatch.of(trainer)
    meter = RunMeter(
        SampleCount(host, trainer.state.epoch or 0.0),
        resumed.past,
        resumed.samples_before(trainer.state, host.dataset_rows),
        # One more than the window: the first step's samples need the step before.
        every * WINDOW + 1 if run.noise_measured else 0,
    )
    parts = Parts(
        ranks=ranks,
        guard=guard,
        loop=TrainingLoop(trainer),
        capture=StepCapture(trainer, guard, micro_batches),
        observer=StepObserver(
            ranks, guard, StepReadout(trainer, ranks), meter, recorder
        ),
        meter=meter,
        recorder=recorder,
        judge=judge_at_start(
            run, recorder.history, rules, objective, trainer.state.max_steps, stage
        ),
        sources=sources_record(trainer, table, settings, recorder),
        evaluations=evaluation_watch(trainer, rules, objective, resumed, guard),
    )
    session = Session(
        trainer, run.without, output_dir, parts, resumed, settings.effective_batch_size
    )
    session.begin()
    banner = _banner(trainer, run, settings, rules, objective, recorder, stage)
    return session, banner


def _make_exact(trainer: Any, ranks: Ranks) -> None:
    obstacle = make_exact(trainer)
    if obstacle is not None and ranks.main:
        normalisation = loss_normalisation(trainer)
        logger.warning(notices.inexact_accumulation(obstacle, normalisation))


def _run_row(
    trainer: Any,
    settings: Settings,
    run: Candidate,
    output_dir: str,
    comparable: bool,
    config: dict[str, Any] | None,
) -> dict[str, Any]:
    """The run as the first line of the trace and the history record it."""
    args = trainer.args
    return {
        "id": run.without,
        "name": settings.name or Path(output_dir).name,
        "study": run.study,
        "key": run.key,
        "key_fields": run.fields,
        "comparable": comparable,
        "host": host_name(trainer),
        "device": device_name(args.device),
        "config": json_safe(config if config is not None else args.to_dict()),
        "output_dir": output_dir,
        "max_steps": trainer.state.max_steps,
        "started_at": time.time(),
        **this_process(),
    }


def _recorder(
    row: dict[str, Any],
    settings: Settings,
    resumed: Resumed,
    step: int,
    listener: RunListener | None,
) -> RunRecorder:
    recorder = AnnouncingRecorder(
        row,
        listener=listener,
        storage=settings.storage,
        trace=settings.monitor.trace,
        warn=logger.warning,
        resumed_at=step if resumed.run_id else None,
        past=resumed.past,
    )
    if not step:
        clear_marker(row["output_dir"])
    return recorder


def _banner(
    trainer: Any,
    run: Candidate,
    settings: Settings,
    rules: EarlyTerminationSettings,
    objective: Objective,
    recorder: RunRecorder | NoRecorder,
    stage: Stage | None,
) -> str:
    if objective is not SUPERVISED and rules is not NO_RULES:
        name = type(trainer).__name__
        logger.info(notices.limited_rules(name, objective.name))
    trace = recorder.trace_path if isinstance(recorder, RunRecorder) else None
    return notices.watching(
        run_id=run.without,
        study=run.study,
        key=run.key,
        rules=describe(rules, objective, stage),
        trace=trace if settings.monitor.trace else None,
        history="none" if recorder.history is None else recorder.history.url,
    )
