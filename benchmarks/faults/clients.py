"""What users call, in places where they may do little; each runs in a child."""

import os
import sys
from pathlib import Path

from runs import write_trace

from axolotl_sftguide.cli import main
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace

PLACES = (
    "all writable",
    "storage read-only",
    "storage in a read-only folder",
    "storage in a closed folder",
    "storage unreadable",
    "outputs read-only",
    "traces read-only",
    "outputs closed",
    "stopped before and read-only",
    "working folder read-only",
    "home read-only",
    "no home",
)
COMMANDS = (
    "list", "show", "tag", "score", "import", "delete", "report", "backtest", "mix",
    "check", "new", "recipes", "upgrade", "export", "sweep", "train",
)  # fmt: skip
_WORDS = {
    "list": "runs list",
    "show": "runs show latest",
    "tag": "runs tag latest a",
    "score": "runs score latest m=0.5 --goal max",
    "import": "runs import outputs",
    "delete": "runs delete run-1 --yes",
    "report": "report -o work/report.html",
    "backtest": "backtest",
    "mix": "mix spec.yml -o work/mixes --workers 2",
    "check": "check config.yml",
    "new": "new --model Qwen/Qwen3-0.6B --data data.jsonl --gpu-memory 24GiB -o "
    "work/new.yml",
    "recipes": "recipes copy quickstart-cpu --to work",
    "upgrade": "runs upgrade",
    "export": "runs export --study s --to work/study.db",
    "sweep": "sweep config.yml space.yml --metric m --goal max --output-dir work/sweep",
}
_TURNS = (
    '[{"role": "user", "content": "%d"}, {"role": "assistant", "content": "an answer"}]'
)
_ROW = f'{{"messages": {_TURNS}}}\n'


def prepare(folder: Path, place: str) -> None:
    """A folder with runs, data and configs, of which one part may not be used."""
    home, work, storage = folder / "home", folder / "work", folder / "storage"
    for made in (home, work, storage):
        made.mkdir(parents=True)
    out = folder / "outputs" / "run-1"
    write_trace(out, "run-1", 20)
    write_trace(folder / "outputs" / "run-2", "run-2", 20)
    history = RunHistory(str(storage / "runs.db"))
    for path in find_traces(folder / "outputs"):
        history.import_trace(read_trace(path))
    history.close()
    (folder / "data.jsonl").write_text("".join(_ROW % i for i in range(200)))
    spec = "phases: [{name: p, datasets: [{path: data.jsonl}]}]\n"
    (folder / "spec.yml").write_text(spec)
    config = (
        "base_model: Qwen/Qwen3-0.6B\nlearning_rate: 1.0e-4\nmax_steps: 10\n"
        "datasets: [{path: data.jsonl, type: chat_template}]\noutput_dir: work/out\n"
        "plugins: [axolotl_sftguide.SFTGuidePlugin]\n"
    )
    (folder / "config.yml").write_text(config)
    (folder / "space.yml").write_text("learning_rate: [1.0e-4, 2.0e-4]\n")
    if place.startswith("stopped"):
        from axolotl_sftguide.runs.marker import Termination, mark

        mark(out, Termination("run-1", "non_finite", "NaN", 20, 160, 11))
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    _close(folder, place)


def _close(folder: Path, place: str) -> None:
    for name, mode in _MODES.get(place, {}).items():
        (folder / name).chmod(mode)
    if place in ("outputs read-only", "stopped before and read-only"):
        outputs = folder / "outputs"
        for path in [outputs, *outputs.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    elif place == "traces read-only":
        for path in find_traces(folder / "outputs"):
            path.chmod(0o444)


_MODES = {
    "storage read-only": {"storage/runs.db": 0o444},
    "storage in a read-only folder": {"storage/runs.db": 0o444, "storage": 0o555},
    "storage in a closed folder": {"storage": 0o700},
    "storage unreadable": {"storage/runs.db": 0o600},
    "outputs closed": {"outputs": 0o700},
    "working folder read-only": {"work": 0o555},
    "home read-only": {"home": 0o555},
}


def call(folder: str, command: str) -> None:
    """Call one command in a folder, with its history; or train there."""
    os.chdir(folder)
    os.environ["SFTGUIDE_STORAGE"] = str(Path(folder, "storage", "runs.db"))
    os.environ["HOME"] = str(Path(folder, "home"))
    if Path(folder).name.startswith(("no home", "home read-only")):
        del os.environ["SFTGUIDE_STORAGE"]
    if Path(folder).name.startswith("no home"):
        os.environ["HOME"] = "/nonexistent"
    if command == "train":
        import trainings

        trainings.train(
            "outputs/run-1", steps=6, save_steps=0, resume=False, seen=f"{folder}/home"
            if os.access("home", os.W_OK) else folder,
        )  # fmt: skip
        return
    words = _WORDS[command].split()
    sys.exit(main(words, standalone_mode=True))
