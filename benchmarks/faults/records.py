"""Half-written and hostile traces, states, results, manifests and notes."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from campaign import Campaign, Wrong
from command import sftguide
from material import (
    MARKER,
    NOTE,
    RUN_ID,
    json_text,
    results_content,
    state_content,
    trace_records,
)

TRIES = 10_000


def _with_history(folder: Path) -> Path:
    from axolotl_sftguide.runs.history import RunHistory

    RunHistory(str(folder / "runs.db")).close()
    return folder / "runs.db"


def _read_trace(records: list[dict[str, Any]], rng: Random) -> None:
    from axolotl_sftguide.runs.following import TraceFollower
    from axolotl_sftguide.runs.traces import read_trace

    path = Path("sftguide-trace-x.jsonl")
    whole = "\n".join(map(json.dumps, records)).encode() + b"\n"
    cut = rng.random() < 0.1
    if cut:  # as a kill or a full disk leaves it
        path.write_bytes(whole[: rng.randrange(1, len(whole))])
    else:
        path.write_bytes(json_text(records, rng, lines=True))
    follower = TraceFollower(path)
    try:
        follower.read()
    except Exception as error:
        _reraise_unless_clear(error)
    try:
        trace = read_trace(path)
    except Exception as error:
        _reraise_unless_clear(error)
        if cut and b"\n" in path.read_bytes():
            raise Wrong("a trace that was cut off cannot be read") from None
        return
    if cut:
        _require_all_steps(path, trace)


def _reraise_unless_clear(error: Exception) -> None:
    from axolotl_sftguide.errors import SFTGuideError

    if not isinstance(error, SFTGuideError):
        raise error
    str(error)


def _require_all_steps(path: Path, trace: Any) -> None:
    steps: dict[int, float] = {}
    for line in path.read_bytes().split(b"\n")[:-1]:
        record = json.loads(line)
        if record.get("event") == "resume":
            steps = {s: v for s, v in steps.items() if s <= record["step"]}
        elif "event" not in record:
            steps[record["step"]] = record["loss"]
    found = {o.step: o.loss for o in trace.observations}
    last = max(steps, default=0)
    if {s: v for s, v in found.items() if s <= last} != steps:
        raise Wrong("a trace that was cut off has lost whole steps")


def _import_trace(prepared: tuple[Path, list[dict[str, Any]]], rng: Random) -> None:
    storage, records = prepared
    folder = Path("out")
    folder.mkdir(exist_ok=True)
    path = folder / "sftguide-trace-x.jsonl"
    path.write_bytes(json_text(records, rng, lines=True))
    sftguide("runs", "import", folder, "--storage", storage)
    _look(storage, rng)


def _look(storage: Path, rng: Random) -> None:
    """Print the run that was imported, and remove it."""
    from axolotl_sftguide.runs.history import RunHistory

    looks = [
        ["list"], ["show", "latest", "--key", "--config"], ["list", "--json"],
        ["list", "--csv"], ["best"], ["show", "latest", "--json"],
        ["list", "--sort", "score"],
    ]  # fmt: skip
    history = RunHistory(str(storage))
    runs = history.runs()
    try:
        if runs and rng.random() < 0.3:
            sftguide("runs", *rng.choice(looks), "--storage", storage)
            if rng.random() < 0.1:
                sftguide("report", "-o", "r.html", "--storage", storage)
    finally:
        for run in runs:
            history.delete(run.id)
        history.close()


def _import_state(prepared: tuple[Path, dict[str, Any]], rng: Random) -> None:
    storage, content = prepared
    folder = Path("out") / f"run/checkpoint-{rng.choice([1, 20])}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer_state.json").write_bytes(json_text(content, rng))
    sftguide("runs", "import", "out/run", "--storage", storage)
    _look(storage, rng)
    (folder / "trainer_state.json").unlink()


# Results of lm-eval


def _scored_run(folder: Path) -> tuple[Path, dict[str, Any]]:
    from axolotl_sftguide.runs.lm_eval_results import read_lm_eval_results

    (folder / "results.json").write_text(json.dumps(results_content()))
    read = read_lm_eval_results(folder / "results.json")
    assert [score.metric for score in read] == ["gsm8k/exact_match", "mmlu/acc"]
    storage = _with_history(folder)
    (folder / "sftguide-trace-x.jsonl").write_text(
        "\n".join(map(json.dumps, trace_records())) + "\n"
    )
    sftguide("runs", "import", folder, "--storage", storage)
    return storage, results_content()


def _score(prepared: tuple[Path, dict[str, Any]], rng: Random) -> None:
    storage, content = prepared
    trace = Path("sftguide-trace-x.jsonl")
    before = trace.read_bytes()
    Path("results.json").write_bytes(json_text(content, rng))
    sftguide(
        "runs", "score", "latest", "--lm-eval", "results.json", "--storage", storage
    )
    if rng.random() < 0.05:
        sftguide("runs", "show", "latest", "--storage", storage)
    trace.write_bytes(before)


# Manifests, and the package's own files in checkpoints and output folders


def _manifest_content(folder: Path) -> tuple[Path, dict[str, Any]]:
    from axolotl_sftguide.mixing import mix, verify

    rows = [
        {"messages": [{"role": "user", "content": f"q {i}"},
                      {"role": "assistant", "content": f"a {i}"}]}
        for i in range(8)
    ]  # fmt: skip
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    spec = {"phases": [{"name": "p", "datasets": [{"path": "a.jsonl"}]}]}
    made = mix(spec, "mixes", workers=1)
    path = made.folder / "manifest.json"
    assert verify(made.folder) == []
    return path, json.loads(path.read_text())


def _verify(prepared: tuple[Path, dict[str, Any]], rng: Random) -> None:
    from axolotl_sftguide.mixing._manifest import read_manifest

    path, content = prepared
    path.write_bytes(json_text(content, rng))
    if rng.random() < 0.2:
        sftguide("mix", "verify", path.parent)
        left = [p.name for p in path.parent.parent.iterdir() if "verifying" in p.name]
        if left:
            raise Wrong("mix verify leaves a folder behind")
        return
    manifest = read_manifest(path.parent)
    assert manifest is not None
    assert manifest.ds_type
    manifest.to_json()


def _output_folder(folder: Path) -> Path:
    out = folder / "out"
    (out / "checkpoint-8").mkdir(parents=True)
    lines = "\n".join(map(json.dumps, trace_records())) + "\n"
    (out / f"sftguide-trace-{RUN_ID}.jsonl").write_text(lines)
    _require_readable(out)
    return out


def _require_readable(out: Path) -> None:
    """What is not damaged is read: a reader that finds nothing has no fault either."""
    from axolotl_sftguide.monitor.resume import find_earlier
    from axolotl_sftguide.runs.checkpoints import last_whole_checkpoint, read_note
    from axolotl_sftguide.runs.marker import read_marker

    checkpoint = out / "checkpoint-8"
    (checkpoint / "sftguide-run.json").write_text(json.dumps(NOTE))
    (checkpoint / "trainer_state.json").write_text(json.dumps(state_content()))
    (out / "sftguide-terminated.json").write_text(json.dumps(MARKER))
    note, marker = read_note(checkpoint), read_marker(out)
    assert note is not None
    assert marker is not None
    assert (note.run_id, marker.rule) == (RUN_ID, "divergence")
    assert last_whole_checkpoint(out) == checkpoint
    earlier = find_earlier(str(out), 8, str(checkpoint))
    assert earlier is not None
    assert earlier.run_id == RUN_ID
    assert len(earlier.past) == 8


def _read_notes(out: Path, rng: Random) -> None:
    from axolotl_sftguide.monitor.resume import find_earlier
    from axolotl_sftguide.runs.checkpoints import (
        last_whole_checkpoint,
        read_note,
        remove_parked,
    )
    from axolotl_sftguide.runs.marker import latest_checkpoint, read_marker

    checkpoint = out / "checkpoint-8"
    checkpoint.mkdir(exist_ok=True)
    (checkpoint / "sftguide-run.json").write_bytes(json_text(NOTE, rng))
    (checkpoint / "trainer_state.json").write_bytes(json_text(state_content(), rng))
    (out / "sftguide-terminated.json").write_bytes(json_text(MARKER, rng))
    note = read_note(checkpoint)
    if note is not None:
        _require_types(note)
    earlier = find_earlier(str(out), 8, str(checkpoint))
    if earlier is not None:
        earlier.obstacles(8, "k")
    last_whole_checkpoint(out)
    marker = read_marker(out)
    if marker is not None:
        _require_types(marker)
        assert str(marker)
        assert marker.weights_are_lost is not None
    latest_checkpoint(out)
    remove_parked(out, checkpoint if rng.random() < 0.5 else None)


def _require_types(record: Any) -> None:
    """What is called a number is one: the monitor calculates with it."""
    for name in ("step", "samples_seen", "bad_since"):
        value = getattr(record, name, 0)
        if type(value) is not int:
            kind = type(record).__name__
            raise Wrong(f"{name} of a {kind} is read as a {type(value).__name__}")
    if not isinstance(record.run_id, str):
        raise Wrong(f"run_id of a {type(record).__name__} is no text")
    if "/" in record.run_id or record.run_id.startswith("."):
        raise Wrong(f"run_id of a {type(record).__name__} leads out of the folder")


def _whole_trace(folder: Path) -> list[dict[str, Any]]:
    from axolotl_sftguide.runs.traces import read_trace

    path = folder / "whole.jsonl"
    path.write_text("\n".join(map(json.dumps, trace_records())) + "\n")
    trace = read_trace(path)
    # The resume at step 14 after step 16 takes two steps back.
    assert [o.step for o in trace.observations] == [*range(1, 15), *range(17, 25)]
    path.unlink()
    return trace_records()


def _traced(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    return _with_history(folder), _whole_trace(folder)


def _stated(folder: Path) -> tuple[Path, dict[str, Any]]:
    from axolotl_sftguide.runs.trainer_states import read_trainer_state

    path = folder / "trainer_state.json"
    path.write_text(json.dumps(state_content()))
    assert len(read_trainer_state(path).observations) == 20
    path.unlink()
    return _with_history(folder), state_content()


def _campaign(what: str, prepare: Any, attempt: Any, tries: int = TRIES) -> Campaign:
    return Campaign("records", what, tries, prepare, attempt)


CAMPAIGNS = (
    _campaign("traces", _whole_trace, _read_trace),
    _campaign("traces, imported", _traced, _import_trace),
    _campaign("trainer_state.json", _stated, _import_state),
    _campaign("results of lm-eval", _scored_run, _score),
    _campaign("manifests", _manifest_content, _verify),
    _campaign("checkpoints' own files", _output_folder, _read_notes),
)
