"""Campaigns: the file of the run history is damaged, foreign, or of another version."""

import json
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import checks
from click.testing import CliRunner
from outcome import Outcome
from runs import run_row, steps
from tally import Tally

from axolotl_sftguide.cli import main
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, trace_path

RUNS = 10
PAGE = 4096
HOW_TO_BRING_BACK = "sftguide runs import"


def make_history(folder: Path) -> tuple[Path, Path, dict[str, Any]]:
    """A history, the folder of its traces, and its runs by id as JSON."""
    traces, storage = folder / "outputs", folder / "runs.db"
    history = RunHistory(str(storage))
    for number in range(RUNS):
        run_id = f"20261120-1000{number:02d}-abcd"
        out = traces / f"run-{number}"
        row = run_row(
            run_id,
            name=f"run-{number}",
            study=f"study-{number % 2}",
            output_dir=str(out),
            max_steps=64,
            started_at=1.7e9 + 1000 * number,
            # Longer than a page of the file, as the configs of trainers are.
            config={f"key_{i}": f"{number}-" + 40 * "x" for i in range(120)}
            | {"learning_rate": 10.0**-number, "seed": number},
        )
        writer = TraceWriter(trace_path(out, run_id))
        writer.begin(row)
        writer.steps(steps(64, loss=2.0 + number))
        at = {"step": 40, "samples_seen": 320}
        found = {"rule": "divergence", "action": "warn", "reason": "high"}
        writer.event("decision", **found, **at)
        writer.event("score", metric="accuracy", value=number / RUNS, goal="max")
        writer.event("tags", tags=["kept", f"tag-{number}"], at=1.7e9)
        writer.event("end", status="finished", reason=None, at=1.7e9 + 1000.0 * number)
        writer.close()
        history.import_trace(read_trace(writer.path))
    history.close()
    found = json.loads(listed(storage).stdout)
    return storage, traces, {run["id"]: run for run in found}


def listed(storage: Path) -> Any:
    words = ["runs", "list", "--json", "--storage", str(storage)]
    return CliRunner().invoke(main, words)


COMMANDS = (
    ["runs", "list", "--limit", "0"],
    ["runs", "list", "--csv", "--sort", "score"],
    ["runs", "show", "run-3"],
    ["runs", "show", "latest", "--config"],
    ["runs", "compare", "run-1", "run-5"],
    ["runs", "best", "--study", "study-0"],
    ["runs", "tag", "run-2", "again"],
    ["runs", "rename", "run-4", "other"],
    ["runs", "score", "run-6", "m=1", "--goal", "max"],
    ["runs", "delete", "run-8", "--yes"],
    ["backtest", "--study", "study-1"],
    ["report", "--study", "study-0", "-o", "REPORT"],
)


def check_damaged(
    tally: Tally,
    storage: Path,
    traces: Path,
    known: dict[str, Any],
    where: str,
    draw: random.Random,
) -> None:
    """What can be read is listed as it was; the rest is told, and comes back."""
    tally.tries += 1
    done = listed(storage)
    checks.failed(tally, done, "runs list --json")
    if done.exit_code == 0:
        _checklisted(tally, done, known, where)
    elif len(done.stderr.strip().splitlines()) != 1:
        tally.mistake(f"{where}: says {done.output!r}")
    elif HOW_TO_BRING_BACK not in done.stderr:
        tally.loss(f"{where}: does not say how to bring runs back: {done.stderr}")
    for words in draw.sample(COMMANDS, 2):
        named = [str(storage.parent / "r.html") if w == "REPORT" else w for w in words]
        checks.called(tally, *named, "--storage", str(storage))
    # As it is told: into the same file, or else into a new one.
    code, _ = checks.called(
        tally, "runs", "import", str(traces), "--storage", str(storage)
    )
    if code or not _is_whole(storage, known):
        moved = storage.with_suffix(".new.db")
        checks.called(tally, "runs", "import", str(traces), "--storage", str(moved))
        if not _is_whole(moved, known):
            tally.loss(f"{where}: the traces do not bring all runs back")


def _checklisted(tally: Tally, done: Any, known: dict[str, Any], where: str) -> None:
    """Each listed run is as it was, and what is left out is told."""
    found = {run["id"]: run for run in json.loads(done.stdout)}
    told = "may be missing or wrong" in done.stderr
    for run_id, run in found.items():
        before = known.get(run_id, {})
        differs = {name for name in run if run[name] != before.get(name)}
        parts = {"scores", "decisions", "tags"} if "left out" in done.stderr else set()
        if differs - parts and not told:
            tally.mistake(f"{where}: {run_id} differs in {differs}")
    if len(found) < len(known) and HOW_TO_BRING_BACK not in done.stderr:
        left = len(known) - len(found)
        tally.loss(f"{where}: {left} runs are left out in silence")


def _is_whole(storage: Path, known: dict[str, Any]) -> bool:
    """Whether the history has all runs as they were."""
    done = listed(storage)
    if done.exit_code:
        return False
    found = {run["id"]: run for run in json.loads(done.stdout)}
    kept = (
        "status",
        "step",
        "samples_seen",
        "loss",
        "config",
        "decisions",
        "max_steps",
    )
    return all(
        run_id in found and all(found[run_id][k] == known[run_id][k] for k in kept)
        for run_id in known
    )


def damaged_pages(scratch: Path, seed: int, share: float) -> Outcome:
    """Pages of the SQLite file that are lost, old, or full of something else."""
    tally = Tally("history: pages of the SQLite file zeroed, overwritten or cut off")
    storage, traces, known = make_history(scratch)
    whole = storage.read_bytes()
    for number in range(max(1, round(150 * share))):
        draw = random.Random(f"{seed} pages {number}")
        kind = draw.choice(["zeroed", "random", "sector", "cut", "swapped"])
        content = bytearray(whole)
        pages = len(content) // PAGE
        if kind == "cut":
            del content[draw.randrange(len(content)) :]
        else:
            for _ in range(draw.choice([1, 1, 1, 2, 8])):
                start = PAGE * draw.randrange(pages)
                size = PAGE
                if kind == "sector":
                    start, size = start + 512 * draw.randrange(8), 512
                new = bytes(size)
                if kind == "random":
                    new = draw.randbytes(size)
                if kind == "swapped":
                    other = PAGE * draw.randrange(pages)
                    new = whole[other : other + PAGE]
                content[start : start + size] = new
        hurt = scratch / f"try-{number}"
        hurt.mkdir()
        (hurt / "runs.db").write_bytes(content)
        where = f"pages {number} ({kind})"
        check_damaged(tally, hurt / "runs.db", traces, known, where, draw)
        shutil.rmtree(hurt)
    return tally.outcome()


_JUNK: tuple[Any, ...] = (
    "junk",
    "",
    None,
    b"\xff\xfe\x00",
    '{"cut": ',
    "[1, 2]",
    "null",
    float("inf"),
    2**62,
    -1,
    "NaN",
)


def broken_values(scratch: Path, seed: int, share: float) -> Outcome:
    """One value of one row is something else."""
    tally = Tally("history: one value of one row is not what its column holds")
    storage, traces, known = make_history(scratch)
    whole = storage.read_bytes()
    for number in range(max(1, round(150 * share))):
        draw = random.Random(f"{seed} values {number}")
        hurt = scratch / f"try-{number}" / "runs.db"
        hurt.parent.mkdir()
        hurt.write_bytes(whole)
        table = draw.choice(["runs", "runs", "runs", "scores", "decisions", "points"])
        connection = sqlite3.connect(hurt)
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        column, value = draw.choice(columns), draw.choice(_JUNK)
        if value in (-1, 2**62, "") or column in ("run_id", "id", "name", "study"):
            value = b"\xff\xfe\x00"  # a plausible value would not be a broken one
        connection.execute("pragma writable_schema = on")
        connection.execute(
            "update sqlite_master set sql = replace(sql, 'NOT NULL', '') "
            "where type = 'table'"
        )
        connection.commit()
        connection.close()
        connection = sqlite3.connect(hurt)
        where_row = "rowid = ?" if table != "points" else "samples_seen > 200 and 0 < ?"
        row = draw.randrange(1, RUNS + 1)
        try:
            changed = f"update {table} set {column} = ? where {where_row}"
            connection.execute(changed, (value, row))
        except sqlite3.IntegrityError:
            continue
        finally:
            connection.commit()
            connection.close()
        where = f"values {number} ({table}.{column} = {value!r})"
        _check_broken(tally, hurt, traces, known, where, draw)
        shutil.rmtree(hurt.parent)
    return tally.outcome()


def _check_broken(
    tally: Tally,
    storage: Path,
    traces: Path,
    known: dict[str, Any],
    where: str,
    draw: random.Random,
) -> None:
    """All other runs are listed, and the traces bring the broken one back."""
    tally.tries += 1
    done = listed(storage)
    checks.failed(tally, done, "runs list --json")
    found = json.loads(done.stdout) if done.exit_code == 0 else []
    same = [run for run in found if run == known.get(run["id"])]
    if len(same) < RUNS - 1:
        tally.loss(f"{where}: {len(same)} of {RUNS - 1} whole runs are listed")
    if len(found) < RUNS and HOW_TO_BRING_BACK not in done.stderr:
        tally.loss(f"{where}: does not say how to bring the run back: {done.output}")
    for words in draw.sample(COMMANDS, 2):
        named = [str(storage.parent / "r.html") if w == "REPORT" else w for w in words]
        checks.called(tally, *named, "--storage", str(storage))
    checks.called(tally, "runs", "import", str(traces), "--storage", str(storage))
    if not _is_whole(storage, known):
        tally.loss(f"{where}: importing the traces did not bring the run back")


CAMPAIGNS = (damaged_pages, broken_values)
