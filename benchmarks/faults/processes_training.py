"""Campaigns: trainings that are killed, that see NaN, whose rank dies."""

import random
import signal
import socket
import time
from pathlib import Path
from typing import Any

import checks
import trainings
from children import begin, run, send
from outcome import Outcome
from tally import Tally

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.marker import read_marker
from axolotl_sftguide.signals import Observation

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def undisturbed(
    folder: Path, **options: Any
) -> tuple[tuple[Observation, ...], str, float]:
    """Steps and weights of a training that nothing disturbs, and its seconds."""
    started = time.monotonic()
    ended = run(
        trainings.train_with, str(folder), options, log=folder.with_suffix(".log"),
        SFTGUIDE_STORAGE=str(folder.with_suffix(".db")),
    )  # fmt: skip
    assert ended == 0, folder.with_suffix(".log").read_text()[-2000:]
    (trace,) = checks.read_all(Tally(""), folder, "undisturbed")
    weights = (folder / "weights.0").read_text()
    return trace.observations, weights, time.monotonic() - started


def killed_trainings(scratch: Path, seed: int, share: float) -> Outcome:
    """Kills at random moments; the training is resumed until it is finished."""
    tally = Tally("training: kill -9, SIGTERM and Ctrl-C at random moments, resumed")
    expected, weights, whole_s = undisturbed(scratch / "undisturbed")
    for number in range(max(1, round(30 * share))):
        folder = scratch / f"try-{number}"
        draw = random.Random(f"{seed} killed {number}")
        storage, log = folder.with_suffix(".db"), folder.with_suffix(".log")
        for attempt in range(10):
            where = f"killed {number}.{attempt}"
            process = begin(
                trainings.train_with,
                str(folder),
                {},
                log=log,
                SFTGUIDE_STORAGE=str(storage),
            )
            if attempt < 4:
                time.sleep(draw.uniform(0.1, whole_s))
                send(process, draw.choice(SIGNALS))
                tally.tries += 1
            process.join(120)
            traces = checks.read_all(tally, folder, where)
            seen = _seen(folder)
            for trace in traces:
                newest = trace is traces[-1]
                least = seen if newest else 0
                checks.as_before(tally, trace, expected, where, at_least=least)
            checks.quiet(tally, log, where)
            if process.exitcode == 0:
                break
            (folder / trainings.SEEN).unlink(missing_ok=True)
        checks.in_history(tally, storage, traces[-1], "finished", where)
        _no_run_runs(tally, storage, where)
        if (folder / "weights.0").read_text() != weights:
            tally.mistake(f"{where}: other weights than undisturbed")
    return tally.outcome()


def _seen(folder: Path) -> int:
    path = folder / trainings.SEEN
    lines = path.read_text().split() if path.exists() else []
    return int(lines[-1]) if lines else 0


def _no_run_runs(tally: Tally, storage: Path, where: str) -> None:
    for found in RunHistory(str(storage)).runs():
        if found.shown_status == "running":
            tally.mistake(f"{where}: {found.id} is shown as running")


def killed_near_writes(scratch: Path, seed: int, share: float) -> Outcome:
    """Kills within milliseconds of a file being opened for writing."""
    tally = Tally("training: a kill within 3 ms of a file's opening, stopped for NaN")
    planted = {step: "nan" for step in range(25, trainings.STEPS + 1)}
    expected, _, _ = undisturbed(scratch / "undisturbed", planted=planted)
    for number in range(max(1, round(40 * share))):
        folder = scratch / f"try-{number}"
        draw = random.Random(f"{seed} writes {number}")
        storage, log = folder.with_suffix(".db"), folder.with_suffix(".log")
        for attempt in range(10):
            where = f"near writes {number}.{attempt}"
            options: dict[str, Any] = {"planted": planted}
            if attempt < 3:
                how = draw.choice(["SIGKILL", "SIGTERM"])
                kill = (draw.randint(1, 40), draw.uniform(0, 0.003), how)
                options["kill_near_write"] = kill
                tally.tries += 1
            ended = run(
                trainings.train_with,
                str(folder),
                options,
                log=log,
                SFTGUIDE_STORAGE=str(storage),
            )
            traces = checks.read_all(tally, folder, where)
            for trace in traces:
                checks.as_before(tally, trace, expected, where)
            checks.whole_marker(tally, folder, where)
            checks.quiet(tally, log, where)
            if ended == 0:
                break
        checks.in_history(tally, storage, traces[-1], "terminated", where)
        marked = read_marker(folder)
        if marked is None or marked.rule != "non_finite" or marked.bad_since != 25:
            tally.mistake(f"{where}: the stopped run has the marker {marked}")
    return tally.outcome()


def nan_everywhere(scratch: Path, seed: int, share: float) -> Outcome:
    """Losses that are NaN, infinite or absurd at random steps."""
    tally = Tally("training: NaN, infinity and absurd losses at random steps")
    steps = 30
    for number in range(max(1, round(30 * share))):
        folder, where = scratch / f"try-{number}", f"nan {number}"
        draw = random.Random(f"{seed} nan {number}")
        storage, log = folder.with_suffix(".db"), folder.with_suffix(".log")
        planted = trainings.draw_planted(draw, steps)
        options = {"planted": planted, "steps": steps, "save_steps": 0}
        tally.tries += 1
        ended = run(
            trainings.train_with,
            str(folder),
            options,
            log=log,
            SFTGUIDE_STORAGE=str(storage),
        )
        checks.quiet(tally, log, where)
        if ended:
            tally.mistake(f"{where}: status {ended} with {planted}")
            continue
        (trace,) = checks.read_all(tally, folder, where)
        returned = checks.values(folder / "losses.0")
        for one in trace.observations:
            if not trainings.same(one.loss, float(returned[str(one.step)])):
                tally.mistake(f"{where}: {one}, and {returned[str(one.step)]}")
        stopped = trace.end is not None and trace.end["status"] == "terminated"
        status = "terminated" if stopped else "finished"
        checks.in_history(tally, storage, trace, status, where)
        _must_stop(tally, planted, steps, trace.end, where)
        for words in (["runs", "list"], ["runs", "show", "latest"]):
            checks.called(tally, *words, "--storage", str(storage))
            checks.called(tally, *words, "--json", "--storage", str(storage))
    return tally.outcome()


def _must_stop(
    tally: Tally, planted: dict[int, str], steps: int, end: Any, where: str
) -> None:
    """A run on NaN alone is stopped, one without any NaN is not stopped for it."""
    reason = str((end or {}).get("reason") or "")
    bad = [step for step, value in planted.items() if value in ("nan", "inf", "-inf")]
    if len(bad) == steps and not reason.startswith("non_finite"):
        tally.mistake(f"{where}: not stopped though every loss is {set(planted)}")


def ranks(scratch: Path, seed: int, share: float) -> Outcome:
    """One of two ranks dies, raises, or alone sees NaN."""
    tally = Tally("two gloo ranks: one dies, raises an error, or alone sees NaN")
    for number in range(max(1, round(12 * share))):
        folder, where = scratch / f"try-{number}", f"ranks {number}"
        draw = random.Random(f"{seed} ranks {number}")
        # Each kind on each rank in turn.
        kind, rank = ("dies", "raises", "nan")[number // 2 % 3], number % 2
        where += f" ({kind} on {rank})"
        at = draw.randint(3, 25)
        options: dict[str, Any] = {"steps": 40, "save_steps": 0, "rules": True}
        dies: dict[str, Any] = {"rank": rank}
        if kind == "dies":
            dies |= {"step": at, "signal": int(draw.choice(SIGNALS[:2]))}
        elif kind == "raises":
            options["planted"] = {at: "raise"}
        else:
            options["planted"] = {step: "nan" for step in range(at, 41)}
        tally.tries += 1
        storage = folder.with_suffix(".db")
        logs, hung = _two_ranks(folder, storage, options, dies)
        if hung:
            tally.mistake(f"{where}: rank {hung} went on without the other")
        for log in logs:
            checks.quiet(tally, log, where, "ArithmeticError", "RuntimeError")
        _check_ranks(tally, folder, storage, kind, at, where)
    return tally.outcome()


def _check_ranks(
    tally: Tally, folder: Path, storage: Path, kind: str, at: int, where: str
) -> None:
    traces = checks.read_all(tally, folder, where)
    found = RunHistory(str(storage)).runs()
    if len(traces) != 1 or len(found) != 1:
        tally.loss(f"{where}: {len(traces)} traces, {len(found)} runs")
        return
    expected = {"dies": ("dead", "failed"), "raises": ("failed",)}
    shown, wanted = found[0].shown_status, expected.get(kind, ("terminated",))
    if kind == "raises" and where.endswith("1)"):
        wanted = ("dead", "failed")  # the first rank fails at its next collective
    if shown not in wanted:
        tally.mistake(f"{where}: shown as {shown}, expected {wanted}")
    steps = [one.step for one in traces[0].observations]
    if steps != list(range(1, len(steps) + 1)) or (at > 4 and not steps):
        tally.loss(f"{where}: steps {steps}, at {at}")
    if kind == "nan" and steps and steps[-1] > at + 16:
        tally.mistake(f"{where}: NaN from {at}, trained to {steps[-1]}")


def _two_ranks(
    folder: Path, storage: Path, options: dict[str, Any], dies: dict[str, Any]
) -> tuple[list[Path], list[int]]:
    """Train on two ranks; the logs, and the ranks that did not end by themselves."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    logs = [folder.with_name(f"{folder.name}.rank{rank}.log") for rank in (0, 1)]
    processes = [
        begin(
            trainings.train_on_a_rank, str(folder), options, dies, log=logs[rank],
            SFTGUIDE_STORAGE=str(storage), MASTER_ADDR="localhost", MASTER_PORT=port,
            WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", RANK=str(rank), LOCAL_RANK=str(rank),
            ACCELERATE_USE_CPU="1",
        )
        for rank in (0, 1)
    ]  # fmt: skip
    deadline = time.monotonic() + 60
    for process in processes:
        process.join(max(0.1, deadline - time.monotonic()))
    hung = [rank for rank, p in enumerate(processes) if p.exitcode is None]
    for rank in hung:
        processes[rank].kill()
        processes[rank].join()
    return logs, hung


CAMPAIGNS = (killed_trainings, killed_near_writes, nan_everywhere, ranks)
