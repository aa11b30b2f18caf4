"""Finished and parked trials made by hand: traces, scores and checkpoints."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from runs import run_row

from axolotl_sftguide.config.rule_settings import (
    EarlyTerminationSettings,
    PredictionSettings,
)
from axolotl_sftguide.runs.checkpoints import Note, write_note
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, trace_path
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.sweep import Ended, Objective, Range, SearchSpace, SweepStudy
from axolotl_sftguide.sweep._parked import ParkedTrials
from axolotl_sftguide.sweep._parking import Parking
from axolotl_sftguide.sweep._trial import Trial

STEPS = 320
PARKED_AT = 80
SPACE = SearchSpace({"floor": Range(low=0.5, high=2.5)}, {})
RULE = PredictionSettings.model_validate(
    {"chance": 0.05, "parking": {"chance": 0.5, "disk": "1MiB"}}
)


def losses(floor: float, seed: int) -> list[Observation]:
    """A loss that falls from 2.8 to a floor, with noise."""
    draw = random.Random(seed)
    levels = [floor + (2.8 - floor) * math.exp(-i / 30) for i in range(STEPS)]
    return [
        Observation(i, 8 * i, level * math.exp(draw.gauss(0, 0.02)), 1.0, 1e-3, 64)
        for i, level in enumerate(levels, start=1)
    ]


class ParkedSweep:
    """A study whose trials were trained by hand, with what its worker reports."""

    def __init__(self, storage: str, folder: Path, rule: Any = RULE) -> None:
        self.storage, self.rule = storage, rule
        self.history = RunHistory(storage)
        self.study = SweepStudy(
            self.history_url(),
            "s",
            space=SPACE,
            recipe={},
            objective=Objective("m", "max"),
            output_dir=folder / "out",
            sampler="random",
        )
        self.dropped: list[Ended] = []
        self.notes: list[tuple[str, str]] = []
        self.parking = self.worker()

    def history_url(self) -> str:
        from axolotl_sftguide.runs.history import resolve_storage

        return resolve_storage(self.storage)

    def worker(self) -> Parking:
        return Parking(
            self.study,
            self.history,
            lambda _: EarlyTerminationSettings(prediction=self.rule),
            self.dropped.append,
            lambda trial, line: self.notes.append((trial.name, line)),
        )

    @property
    def parked(self) -> list[str]:
        return [trial.name for trial in ParkedTrials(self.study).all()]

    def claim(self) -> Trial:
        trial = self.study.claim()
        assert trial is not None
        return trial

    def finish(self, floor: float, trial: Trial | None = None) -> Trial:
        """Train a trial to the end; its score is 3 minus the floor."""
        trial = trial or self.claim()
        self._train(trial, losses(floor, trial.number), "finished", 3 - floor)
        self.study.finish(trial, 3 - floor)
        return trial

    def park(self, floor: float, kib: int = 1) -> Trial:
        """Train a trial for a quarter of its steps, and park it."""
        trial = self.claim()
        self._train(trial, losses(floor, trial.number)[:PARKED_AT], "parked")
        checkpoint = trial.folder / f"checkpoint-{PARKED_AT}"
        checkpoint.mkdir()
        (checkpoint / "weights").write_bytes(b"w" * 1024 * kib)
        write_note(checkpoint, Note(self.run_of(trial), PARKED_AT, 640, True))
        (checkpoint / "trainer_state.json").write_text("{}")
        self.parking.park(trial)
        return trial

    def run_of(self, trial: Trial) -> str:
        return f"run-{trial.number}"

    def _train(
        self,
        trial: Trial,
        observations: list[Observation],
        status: str,
        score: float | None = None,
    ) -> None:
        row = run_row(
            self.run_of(trial),
            name=trial.name,
            output_dir=str(trial.folder),
            max_steps=STEPS,
            config={"learning_rate": 1e-3, "floor": trial.number},
        )
        path = trace_path(trial.folder, row["id"])
        writer = TraceWriter(path)
        last = observations[-1].step
        if path.stat().st_size:
            writer.event("resume", step=PARKED_AT, at=1.0, run=row)
            observations = observations[PARKED_AT:]
        else:
            writer.begin(row)
        writer.steps(observations)
        if status == "parked":
            decision = {"rule": "prediction", "action": "park", "reason": "weak"}
            writer.event("decision", **decision, step=last, samples_seen=8 * last)
        if score is not None:
            writer.event("score", metric="m", value=score, goal="max")
        writer.event("end", status=status, reason="prediction: weak", at=2.0)
        writer.close()
        self.history.import_trace(read_trace(path))


def with_disk(size: str) -> PredictionSettings:
    """The rule with another budget."""
    changed = {**RULE.model_dump(), "parking": {"chance": 0.5, "disk": size}}
    return PredictionSettings.model_validate(changed)
