"""Calls `sftguide sweep` as a user does, and sees its trainings."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import hold
import optuna
import psutil
import yaml

from axolotl_sftguide.runs.history import resolve_storage
from axolotl_sftguide.runs.traces import find_traces, read_trace

STUDY = "sweep-of-tests"
WITHOUT_ACCELERATE = "-- --launcher python".split()
"""Its launcher takes as long to start as a small training."""

SUPPORT = Path(__file__).parent


class Sweeper:
    """Calls `sftguide sweep` in a folder of its own."""

    def __init__(self, folder: Path, recipe: Path) -> None:
        self.folder = folder
        self._recipe = recipe
        self._begun: list[subprocess.Popen[str]] = []
        self.space: dict[str, Any] = {}
        self.storage = str(folder / "runs.db")

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def study(self) -> optuna.Study:
        return optuna.load_study(
            study_name=STUDY, storage=resolve_storage(self.storage)
        )

    def states(self) -> list[str]:
        return [trial.state.name for trial in self.study.trials]

    def words(self, *more: str) -> list[str]:
        """The arguments of `sftguide sweep`."""
        space = self.folder / "space.yml"
        space.write_text(yaml.safe_dump(self.space))
        options = ["--study", STUDY, "--storage", self.storage]
        options += ["--output-dir", str(self.out), *more]
        return [str(self._recipe), str(space), *options, *WITHOUT_ACCELERATE]

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "axolotl_sftguide", "sweep"]
        search = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [*command, *self.words(*words)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": search},
        )
        self._begun.append(process)
        return process

    def run(self, *words: str) -> tuple[int, str]:
        process = self.begin(*words)
        said, _ = process.communicate(timeout=500)
        return process.returncode, said

    def trainings(self, trial: str = "trial-") -> list[psutil.Process]:
        """All processes of the trials, or of one, however deep."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = " ".join(process.info["cmdline"] or ())
            alive = process.info["status"] != psutil.STATUS_ZOMBIE
            if str(self.out / trial) in words and "sftguide" not in words and alive:
                found.append(process)
        return found

    def wait_for(self, true: Callable[[], Any], timeout_s: float = 300.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, [p.poll() for p in self._begun]
            time.sleep(0.2)

    def steps(self, trial: int) -> int:
        """How far a trial has come."""
        traces = find_traces(self.out / f"trial-{trial:04d}")
        return len(read_trace(traces[-1]).observations) if traces else 0

    def held(self, trial: int) -> str | None:
        """The process of a trial that `hold_plugin` holds, or held last."""
        path = self.out / f"trial-{trial:04d}" / hold.HELD
        return path.read_text() if path.exists() else None

    def clean_up(self) -> None:
        for process in self._begun:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        kill(self.trainings())


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):  # ended with its parent
            process.kill()
