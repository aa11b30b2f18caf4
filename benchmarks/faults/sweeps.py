"""Campaigns: sweeps that are killed, also while they park and resume trials."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import stub_axolotl
from children import begin, send, tracebacks
from outcome import Outcome
from tally import Tally

from axolotl_sftguide.runs.history import RunHistory, resolve_storage
from axolotl_sftguide.runs.traces import find_traces, read_trace
from axolotl_sftguide.sweep import _training

STUDY = "killed"
GOOD = [0.5, 0.7, 0.9, 1.1, 1.2]
POOR = [2.3, 1.6]


def call(folder: str) -> None:
    """Call `sftguide sweep` in a folder, with the stub in place of Axolotl."""
    from axolotl_sftguide.cli import main

    os.chdir(folder)
    _training.start_axolotl = _start  # type: ignore[attr-defined]
    words = ["sweep", "recipe.yml", "space.yml", "--study", STUDY, "--metric", "m"]
    words += ["--goal", "max", "--storage", "runs.db", "--output-dir", "out"]
    sys.exit(main([*words, "--workers", "2"]))


def _start(
    config: Path,
    log: Path,
    *,
    arguments: Any = (),
    environment: Mapping[str, str] | None = None,
) -> psutil.Popen:
    with log.open("ab") as output:
        return psutil.Popen(
            [sys.executable, stub_axolotl.__file__, "train", str(config)],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _make(folder: Path, *, parks: bool) -> None:
    folder.mkdir()
    rules: dict[str, Any] = {"action": "stop", "metric": "m"}
    if parks:
        rules["prediction"] = {"chance": 0.05, "parking": {"chance": 0.5}}
    recipe = {
        "base_model": "Qwen/Qwen3-0.6B",
        "plugins": ["axolotl_sftguide.SFTGuidePlugin"],
        "datasets": [{"path": "data.jsonl", "type": "chat_template"}],
        "learning_rate": 1.0,
        "sftguide": {"early_termination": rules},
    }
    (folder / "recipe.yml").write_text(json.dumps(recipe))
    rates = [*GOOD, *POOR] if parks else GOOD
    (folder / "space.yml").write_text(json.dumps({"learning_rate": rates}))


def _found(folder: Path) -> dict[float, tuple[str, float | None]]:
    """State and value of each trial that counts, by its rate."""
    import optuna

    study = optuna.load_study(
        study_name=STUDY, storage=resolve_storage(str(folder / "runs.db"))
    )
    return {
        trial.params.get("learning_rate", -1.0): (trial.state.name, trial.value)
        for trial in study.trials
        if trial.state.name != "FAIL"
    }


def _sweep(folder: Path, log: Path) -> tuple[int, float]:
    started = time.monotonic()
    process = begin(call, str(folder), log=log)
    process.join(120)
    ended = -99 if process.exitcode is None else process.exitcode
    if process.exitcode is None:
        process.kill()
    return ended, time.monotonic() - started


def _campaign(
    scratch: Path, seed: int, tries: int, what: str, *, parks: bool
) -> Outcome:
    tally = Tally(what)
    _make(scratch / "undisturbed", parks=parks)
    ended, whole_s = _sweep(scratch / "undisturbed", scratch / "log")
    assert ended == 0, (scratch / "log").read_text()[-2000:]
    expected = _found(scratch / "undisturbed")
    for number in range(tries):
        draw = random.Random(f"{seed} {what} {number}")
        folder, log = scratch / f"try-{number}", scratch / f"{number}.log"
        where = f"{'parking' if parks else 'sweep'} {number}"
        _make(folder, parks=parks)
        for _ in range(2):
            process = begin(call, str(folder), log=log)
            time.sleep(draw.uniform(0.1, whole_s))
            how = draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            trainings = _trainings(folder)
            send(process, how)
            tally.tries += 1
            if draw.random() < 0.5:
                for training in trainings:
                    _kill(training)
            process.join(60)
            if process.exitcode is None:
                tally.mistake(f"{where}: goes on after {how.name}")
                process.kill()
        ended, _ = _sweep(folder, log)
        _check(tally, folder, log, ended, expected, where)
    return tally.outcome()


def _check(
    tally: Tally,
    folder: Path,
    log: Path,
    ended: int,
    expected: dict[float, tuple[str, float | None]],
    where: str,
) -> None:
    text = log.read_text()
    for found in tracebacks(text):
        tally.traceback(f"{where}: {found}")
    if ended:
        tally.loss(f"{where}: called again it ends with {ended}: {text[-300:]}")
        return
    if _found(folder) != expected:
        tally.mistake(f"{where}: {_found(folder)}, undisturbed {expected}")
    if list(folder.glob(f"out/*/{stub_axolotl.TWICE}")):
        tally.mistake(f"{where}: one trial was trained twice at the same time")
    left = [
        str(path) for path in folder.glob("out/*/checkpoint-80") if not _plain(path)
    ]
    if left:
        tally.mistake(f"{where}: {left} is left of a parked trial")
    runs = {run.id: run for run in RunHistory(str(folder / "runs.db")).runs()}
    for path in find_traces(folder / "out"):
        trace = read_trace(path)
        steps = trace.observations
        rate = float(trace.run["config"]["learning_rate"])
        if list(steps) != stub_axolotl.losses(rate)[: len(steps)]:
            tally.mistake(f"{where}: {path} has other steps")
        run = runs.get(trace.run["id"])
        if trace.end is not None and run is None:
            tally.loss(f"{where}: {path} is not in the history")
        elif trace.end is not None and run.status != trace.end["status"]:
            tally.mistake(f"{where}: {run.id} is {run.status}, {trace.end['status']}")


def _plain(checkpoint: Path) -> bool:
    """Whether a checkpoint was saved for another reason than to park the run."""
    note = json.loads((checkpoint / "sftguide-run.json").read_text())
    return not note["only_parked"]


def _trainings(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(folder / "out") in words and "stub_axolotl" in words:
            found.append(process)
    return found


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()


def killed_sweeps(scratch: Path, seed: int, share: float) -> Outcome:
    """Kills of a sweep, with or without its trainings; then it is called again."""
    what = "sweep: kill -9, SIGTERM and Ctrl-C at random moments, called again"
    tries = max(1, round(12 * share))
    return _campaign(scratch, seed, tries, what, parks=False)


def killed_parking(scratch: Path, seed: int, share: float) -> Outcome:
    """The same while trials are parked and resumed."""
    what = "sweep that parks: killed while it parks and resumes, called again"
    tries = max(1, round(12 * share))
    return _campaign(scratch, seed, tries, what, parks=True)


CAMPAIGNS = (killed_sweeps, killed_parking)
