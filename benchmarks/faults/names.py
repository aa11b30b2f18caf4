"""Names that are markup, escapes, SQL, paths or megabytes, in all that shows a run."""

from __future__ import annotations

import json
import os
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from random import Random
from typing import Any

import mutate
from campaign import Campaign, Wrong
from command import require_harmless, sftguide

LONG = 10_000_000
"""The characters of the longest names."""
_SHOWN = 4_000_000
"""What a command may print of a run with such a name, in characters."""
_PLAIN = [w for w in mutate.WORDS if w.strip()]


def _name(rng: Random) -> str:
    if rng.random() < 0.001:
        return rng.choice(["x", "[red]", "\x1b[5m", "é", "a b ", "<b>", "../"]) * (
            LONG // 6
        )
    words = [rng.choice(_PLAIN) for _ in range(rng.choice([1, 1, 2]))]
    return "".join(words)


def _history(folder: Path) -> Path:
    from axolotl_sftguide.runs.history import RunHistory

    inside = folder / "inside"
    inside.mkdir()
    os.chdir(inside)
    RunHistory(str(inside / "runs.db")).close()
    return inside


def _enter(folder: Path, rng: Random, number: int) -> dict[str, Any]:
    """Add a run whose names are hostile, by the history or by a trace."""
    from axolotl_sftguide.runs.history import Decision, RunHistory, Score
    from axolotl_sftguide.signals import Point

    some = [_name(rng) if rng.random() < 0.5 else f"plain{number}" for _ in range(9)]
    name, study, tag, metric, reason, value, device, rule, base = some
    row = {
        "id": f"20261126-09000{number}-ab12", "name": name, "study": study, "key": "k",
        "key_fields": {"base_model": base, "data": {"rows": 10, "path": value}},
        "comparable": True, "host": rng.choice(["trl", "axolotl"]), "device": device,
        "config": {"learning_rate": number, "base_model": base, "optimizer": value,
                   name[:200] or "k": value, "axolotl_config_path": value[:200],
                   "sftguide": {"score": {"metric": metric,
                                          "compare_with": {value: 1}}}},
        "output_dir": rng.choice(["/o", value]), "max_steps": 40,
        "started_at": time.time() - 60, "hostname": value, "process_id": 1,
        "process_started_at": 1.0,
    }  # fmt: skip
    if rng.random() < 0.5:
        history = RunHistory("runs.db")
        history.begin(row)
        points = [Point(8 * i, 2.0 / i, 1.0) for i in range(1, 5)]
        history.add_points(row["id"], points)
        history.add_score(row["id"], Score(metric, 0.5, "max"))
        history.add_decision(row["id"], Decision(rule, "warn", reason, 3, 24))
        run = history.get(row["id"])
        history.tag(run, [tag])
        history.progress(row["id"], step=40, samples_seen=320, loss=1.0, grad_norm=1.0)
        status = rng.choice(["finished", "terminated", "failed", "running"])
        if status != "running":
            history.end(row["id"], status, reason)
        history.close()
    else:
        _write_trace(row, some, rng)
        sftguide(
            "runs", "import", f"t{number}.jsonl", "--storage", "runs.db", at_most=_SHOWN
        )
    return row


def _write_trace(row: dict[str, Any], some: list[str], rng: Random) -> None:
    _, _, tag, metric, reason, value, _, rule, _ = some
    steps = [
        {"step": i, "samples_seen": 8 * i, "loss": 2.0 / i, "grad_norm": 1.0,
         "learning_rate": 1e-4}
        for i in range(1, 33)
    ]  # fmt: skip
    losses = {"loss": {value: 1.0, "b": 2.0}, "tokens": {value: 3, "b": 4}}
    records = [
        {"event": "run", "form": 1, "run": row},
        *steps,
        {"event": "decision", "rule": rule, "action": "warn", "reason": reason,
         "step": 3, "samples_seen": 24},
        *({"event": "held_out_loss_by_source", "step": s, **losses} for s in (1, 2, 3)),
        {"event": "evaluation", "step": 3, "metrics": {metric: 1.0}},
        {"event": "score", "metric": metric, "value": 0.5, "goal": "max"},
        {"event": "tags", "tags": [tag]},
        {"event": "end", "status": "failed", "reason": reason, "at": time.time()},
        {"event": "rename", "to": some[0]},
    ]  # fmt: skip
    lines = [json.dumps(r, ensure_ascii=rng.random() < 0.5) for r in records]
    text = "\n".join(lines) + "\n"
    number = row["id"][14]
    Path(f"t{number}.jsonl").write_bytes(text.encode("utf-8", "surrogatepass"))


def _show(folder: Path, rng: Random) -> None:
    from axolotl_sftguide.runs.history import RunHistory

    os.chdir(folder)
    for old in folder.iterdir():
        if not old.name.startswith("runs.db") and old.is_file():
            old.unlink()
    history = RunHistory("runs.db")
    for run in history.runs():
        history.delete(run.id)
    history.close()
    rows = [_enter(folder, rng, number) for number in (1, 2)]
    _look(rows, rng)
    _require_inside(folder)


def _look(rows: list[dict[str, Any]], rng: Random) -> None:
    one, two = (row["id"] for row in rows)
    short = [
        name for row in rows if 0 < len(name := row["name"]) < 2000 and "\0" not in name
    ]
    name = rng.choice([one, *short])
    study = rows[0]["study"]
    tag = _name(rng)
    narrow = {"COLUMNS": str(rng.choice([40, 80, 200]))}
    looks: list[list[Any]] = [
        ["runs", "list"], ["runs", "list", "--csv"], ["runs", "list", "--json"],
        ["runs", "show", one, "--key", "--config"], ["runs", "show", two],
        ["runs", "show", one, "--json"], ["runs", "compare", one, two],
        ["runs", "compare", one, two, "--json"], ["runs", "best", "--study", study],
        ["runs", "tag", one, tag], ["runs", "tag", one], ["runs", "rename", two, tag],
        ["runs", "list", "--study", tag], ["runs", "list", "--sort", tag],
        ["runs", "show", tag], ["runs", "list", "--tag", tag], ["runs", "show", name],
        ["runs", "score", one, f"{tag}=0.5", "--goal", "max"],
        ["runs", "export", "--study", study, "--to", "o.db"],
        ["runs", "export", "--study", study, "--to", "o.db", "--name", tag],
        ["runs", "delete", two, "--yes"], ["backtest"],
        ["report", one, two, "-o", "r.html"], ["report", one, two, "-o", "r.html"],
    ]  # fmt: skip
    words = rng.choice(looks)
    if rng.random() < 0.15:
        _figure(one)
        return
    if any(len(str(word)) > 100_000 or "\0" in str(word) for word in words):
        return  # no shell passes such a word on
    before = dict(os.environ)
    os.environ.update(narrow)
    try:
        sftguide(*words, "--storage", "runs.db", at_most=_SHOWN)
    finally:
        os.environ.clear()
        os.environ.update(before)
    if words[0] == "report" and Path("r.html").exists():
        _require_page(Path("r.html").read_text(encoding="utf-8"))


def _require_page(page: str) -> None:
    """The page is that of any run but for its data, which cannot end their element."""
    from axolotl_sftguide.report import page_of

    before, _, after = page_of({}).partition("{}</script>")
    if not page.startswith(before) or not page.endswith(after):
        raise Wrong("a name changes the page of the report")
    data = page[len(before) : len(page) - len(after)].removesuffix("</script>")
    if "<" in data:
        raise Wrong("a name is markup in the report")
    json.loads(data)


def _figure(run_id: str) -> None:
    """The figure in a notebook: well-formed, without scripts, also as text."""
    from axolotl_sftguide.report import show

    figure = show(run_id, storage="runs.db")
    found = figure._repr_mimebundle_()
    tree = ET.fromstring(found["image/svg+xml"])
    names = {element.tag.rpartition("}")[2] for element in tree.iter()}
    if names & {"script", "img", "foreignObject", "b"}:
        raise Wrong("a name is markup in the figure")
    require_harmless(found["text/plain"], "the figure's text", 20_000)
    if len(found["image/svg+xml"]) > 1_000_000:
        raise Wrong("the figure has more than a megabyte")


def _require_inside(folder: Path) -> None:
    beside = [path.name for path in folder.parent.iterdir() if path != folder]
    if beside:
        raise Wrong(f"a file was written outside the folder: {beside[0]!r}")
    below = [path for path in folder.iterdir() if path.is_dir()]
    if below:
        raise Wrong(f"a name made a folder: {below[0].name!r}")


def _campaign(what: str, prepare: Any, attempt: Any, tries: int) -> Campaign:
    return Campaign("names", what, tries, prepare, attempt)


CAMPAIGNS = (_campaign("names of runs, shown", _history, _show, 2000),)
