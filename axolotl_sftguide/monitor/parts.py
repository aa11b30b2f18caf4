"""The parts of a session."""

from __future__ import annotations

from dataclasses import dataclass

from ..stopping.judge import Judge
from .capture import StepCapture
from .evaluations import EvaluationWatch, NoEvaluations
from .faults import Guard
from .loop import TrainingLoop
from .meter import RunMeter
from .no_recorder import NoRecorder
from .observer import StepObserver
from .ranks import Ranks
from .recorder import RunRecorder
from .source_record import NoSources, SourceRecord


@dataclass(frozen=True)
class Parts:
    """The parts of a session, assembled by `opening.open_run`."""

    ranks: Ranks
    guard: Guard
    loop: TrainingLoop
    capture: StepCapture
    observer: StepObserver
    meter: RunMeter
    recorder: RunRecorder | NoRecorder
    judge: Judge
    sources: SourceRecord | NoSources
    evaluations: EvaluationWatch | NoEvaluations
