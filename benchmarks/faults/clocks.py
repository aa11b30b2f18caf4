"""Campaigns: clocks that jump, and two programs in one output folder."""

import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import checks
import trainings
from children import begin, run, send, wait_for
from outcome import Outcome
from processes_training import undisturbed
from tally import Tally

from axolotl_sftguide.runs.history import RunHistory, is_alive, this_process
from axolotl_sftguide.runs.traces import find_traces

DAY = 86400.0


def jumping_clocks(scratch: Path, seed: int, share: float) -> Outcome:
    """The wall clock jumps by seconds to years while a run trains."""
    tally = Tally("the clock jumps, back and forth, by seconds to years, in mid run")
    expected, weights, _ = undisturbed(scratch / "undisturbed", steps=40)
    for number in range(max(1, round(16 * share))):
        draw = random.Random(f"{seed} clocks {number}")
        jumps = [
            (draw.randint(0, 40), draw.choice([-1, 1]) * 10 ** draw.uniform(0, 8))
            for _ in range(draw.randint(1, 3))
        ]
        folder, where = scratch / f"try-{number}", f"clock {number} ({jumps})"
        storage, log = folder.with_suffix(".db"), folder.with_suffix(".log")
        options = {"steps": 40, "clock": jumps}
        tally.tries += 1
        started = time.monotonic()
        ended = run(
            trainings.train_with,
            str(folder),
            options,
            log=log,
            SFTGUIDE_STORAGE=str(storage),
        )
        took = time.monotonic() - started
        checks.quiet(tally, log, where)
        if ended or (folder / "weights.0").read_text() != weights:
            tally.mistake(f"{where}: training was harmed")
            continue
        (trace,) = checks.read_all(tally, folder, where)
        checks.as_before(tally, trace, expected, where, at_least=40)
        found = checks.in_history(tally, storage, trace, "finished", where)
        if found is not None and not 0 < (found.step_s or 0) * found.step < took:
            tally.mistake(f"{where}: {found.step_s} s per step")
        for words in (["runs", "list"], ["runs", "show", "latest"], ["backtest"]):
            checks.called(tally, *words, "--storage", str(storage))
    return tally.outcome()


def living_processes(scratch: Path, seed: int, share: float) -> Outcome:
    """A process that lives is alive to others though the clock was set; a dead one not.

    The start of a process in seconds since 1970, as the system tells it, moves with
    the clock; here the recorded start and heartbeat are moved the other way.
    """
    tally = Tally("the clock was set since a run began: is its process alive?")
    for number in range(max(1, round(200 * share))):
        draw = random.Random(f"{seed} alive {number}")
        jump = draw.choice([-1, 1]) * 10 ** draw.uniform(0, 7)
        me = this_process()
        me["process_started_at"] -= jump
        tally.tries += 1
        # Its last heartbeat, at most a minute old, has the new time.
        age = time.time() - this_process()["process_started_at"]
        heartbeat = time.time() - draw.uniform(0, min(60.0, age))
        if not is_alive(**me, heartbeat_at=heartbeat):
            tally.mistake(f"alive {number}: a live process is dead after {jump:+.0f} s")
        # Another process has its id: it began after the last heartbeat.
        me["process_started_at"] = this_process()["process_started_at"] - DAY
        heartbeat = this_process()["process_started_at"] - draw.uniform(5, DAY)
        if is_alive(**me, heartbeat_at=heartbeat):
            tally.mistake(f"alive {number}: another process of this id is taken for it")
    return tally.outcome()


def two_programs(scratch: Path, seed: int, share: float) -> Outcome:
    """Two trainings in one output folder, at once; some resume one checkpoint."""
    tally = Tally("two programs train in one output folder at the same time")
    expected, _, whole_s = undisturbed(scratch / "undisturbed")
    for number in range(max(1, round(10 * share))):
        draw = random.Random(f"{seed} two {number}")
        folder, where = scratch / f"try-{number}", f"two {number}"
        if number % 2:
            where += ", resumed twice"
            _killed_after_a_checkpoint(folder)
        resumes = number % 2 == 1
        first = _program(folder, 0, resumes=resumes)
        if number % 2:  # the second comes while the first trains
            wait_for(lambda f=folder: '"resume"' in _written(f))
        time.sleep(draw.uniform(0, whole_s / 3))
        processes = [first, _program(folder, 1, resumes=resumes)]
        tally.tries += 1
        for half, process in enumerate(processes):
            process.join(120)
            text = checks.quiet(tally, folder.with_suffix(f".{half}.log"), where)
            if process.exitcode:
                tally.mistake(f"{where}: program {half} was harmed: {text[-300:]}")
        _check_both(tally, folder, expected, where)
    return tally.outcome()


def _killed_after_a_checkpoint(folder: Path) -> None:
    first = begin(
        trainings.train_with,
        str(folder),
        {"pause_s": 0.02},
        log=folder.with_suffix(".log"),
        SFTGUIDE_STORAGE=str(folder.with_suffix(".db")),
    )
    wait_for((folder / "checkpoint-20" / "trainer_state.json").exists)
    send(first, signal.SIGKILL)
    first.join()


def _program(folder: Path, half: int, *, resumes: bool) -> BaseProcess:
    # The second saves nothing: two programs that write one checkpoint are for the host
    # to tell apart.
    options: dict[str, Any] = {"pause_s": 0.1, "resume": resumes}
    if half:
        options["changed"] = {"save_strategy": "no"}
    return begin(
        trainings.train_with,
        str(folder),
        options,
        log=folder.with_suffix(f".{half}.log"),
        SFTGUIDE_STORAGE=str(folder.with_suffix(".db")),
    )


def _written(folder: Path) -> str:
    return "".join(path.read_text() for path in find_traces(folder))


def _check_both(tally: Tally, folder: Path, expected: Any, where: str) -> None:
    """Each program has a run of its own, with its own steps."""
    traces = checks.read_all(tally, folder, where)
    runs = {run.id: run for run in RunHistory(str(folder.with_suffix(".db"))).runs()}
    ended = [trace for trace in traces if trace.end is not None]
    if len(ended) != 2:
        tally.mistake(f"{where}: {len(ended)} runs of two programs")
    for trace in ended:
        kinds = [e["event"] for e in trace.events if e["event"] in ("end", "resume")]
        if kinds not in (["end"], ["resume", "end"]):
            tally.mistake(f"{where}: one trace has {kinds}")
        own = [one for one in expected if one.step >= trace.observations[0].step]
        if [o.loss for o in trace.observations] != [o.loss for o in own]:
            tally.mistake(f"{where}: other losses than undisturbed")
        found = runs.get(trace.run["id"])
        if found is None or found.shown_status != "finished":
            tally.loss(f"{where}: {found}")


CAMPAIGNS = (jumping_clocks, living_processes, two_programs)
