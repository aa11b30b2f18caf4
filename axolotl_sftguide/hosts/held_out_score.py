"""The callback that scores a model on held-out questions."""

from __future__ import annotations

import logging
from typing import Any

from transformers import TrainerCallback

from ..config.settings import ScoreSettings, score_settings
from ..console import show_log
from ..monitor import notices
from ..monitor.faults import fail_safe
from ..monitor.scoring import Question, load_questions, score_exact_match
from ..runs.history import Score
from ._calling import calling_trainer, session_of
from ._copying import WithoutTraining

logger = logging.getLogger(__name__)


class HeldOutScoreCallback(WithoutTraining, TrainerCallback):  # type: ignore[misc]
    """Answers held-out questions before and after the training and records the score.

    It works with a `GradientMonitorCallback`. When the training begins, it moves to the
    front of the trainer's callbacks, so that the score is recorded before the run ends,
    here and in trackers.

    Args:
        settings: The whole `score` block, in place of keywords.
        trainer: The trainer, if it exists already; `watch` passes it.
        **keywords: Keys of the block, such as `data_path="heldout.jsonl"`.

    Raises:
        SettingsError: If an argument is wrong.
    """

    def __init__(
        self,
        settings: ScoreSettings | None = None,
        *,
        trainer: Any = None,
        **keywords: Any,
    ) -> None:
        self.settings = settings or score_settings(**keywords)
        self._trainer = trainer
        self._questions: list[Question] = []
        self._base: float | None = None

    @fail_safe
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Score the model before the first step."""
        if not state.is_world_process_zero:
            return
        show_log()
        self._go_first((self._trainer or calling_trainer()).callback_handler.callbacks)
        self._questions = load_questions(self.settings.data_path)
        if self.settings.base and state.global_step == 0:
            self._base = self._score(self._trainer or calling_trainer())

    @fail_safe
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Score the tuned model and record the score."""
        trainer = self._trainer or calling_trainer()
        session = session_of(trainer)
        if not self._questions or not state.is_world_process_zero:
            return
        if session is not None and session.is_parked:
            return  # it is scored once it was trained to the end
        metric, questions = self.settings.metric, len(self._questions)
        value = self._score(trainer)
        if session is not None:
            score = Score(metric, value, "max", self._base, examples=questions)
            session.scored(score)
        beside = {"base": self._base, **self.settings.compare_with}
        logger.info(notices.held_out_score(metric, value, questions, beside))

    def _go_first(self, callbacks: list[Any]) -> None:
        """Score before trackers end their runs, so that they can take the score."""
        if self in callbacks:
            callbacks.remove(self)
            callbacks.insert(0, self)

    def _score(self, trainer: Any) -> float:
        return score_exact_match(
            trainer.model,
            trainer.processing_class,
            self._questions,
            max_new_tokens=self.settings.max_new_tokens,
            batch_size=self.settings.batch_size,
        )
