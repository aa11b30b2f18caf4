"""Fetch the public tables that `sftguide evidence --replay` reads, in their form.

    python benchmarks/evidence_tables.py FOLDER [--from https://github.com/{}.git]

Each repository is fetched with `git` at the commit that the package names, without its
history and with only the files that are needed (MLPerf's logs are some hundreds of MB).
Nothing of it is part of this package; the licences are those of the repositories.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axolotl_sftguide.evidence import adapter_rates, loss_curves, sft_scores
from axolotl_sftguide.evidence.replay import TABLES, Table

LORA_SAMPLES, SCRATCH_SAMPLES = 2688, 147_456
"""Samples at which the evaluation losses of MLPerf's runs are compared."""

Points = list[tuple[int, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="origin", default="https://github.com/{}.git")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    (folder / "grids").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for number, (keys, patterns) in enumerate(WANTED):
            table = TABLES[keys[0]]
            origin = arguments.origin.format(table.repository)
            print(f"{table.repository}@{table.commit[:8]} ...", flush=True)
            fetched = fetch(origin, table, patterns, Path(scratch, str(number)))
            for key in keys:
                target = folder / TABLES[key].file
                count = WRITERS[key](fetched, target)
                print(f"  {target}: {count:,} rows or runs")


WANTED: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    ((sft_scores.TABLE,), (TABLES[sft_scores.TABLE].path,)),
    (
        (adapter_rates.TABLE, adapter_rates.DIVERGED),
        (TABLES[adapter_rates.TABLE].path,),
    ),
    ((loss_curves.PEFT,), (TABLES[loss_curves.PEFT].path,)),
    ((loss_curves.LORA_V50,), (":(glob)**/llama2_70b_lora/result_*.txt",)),
    (
        (loss_curves.LORA_V51, loss_curves.SCRATCH),
        (
            ":(glob)**/llama2_70b_lora/result_*.txt",
            ":(glob)**/llama31_8b/result_*.txt",
        ),
    ),
)
"""Tables of one repository, and the files that they need."""


def fetch(origin: str, table: Table, patterns: tuple[str, ...], to: Path) -> Path:
    """Check out some files of a commit, without the history and all other files."""

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(to), "-c", "gc.auto=0", *words], check=True)

    to.mkdir()
    git("init", "--quiet")
    git("remote", "add", "origin", origin)
    quick = ("--quiet", "--depth", "1", "--filter=blob:none")
    git("fetch", *quick, "origin", table.commit)
    git("checkout", "--quiet", table.commit, "--", *patterns)
    return to


def scores(fetched: Path, target: Path) -> int:
    shutil.copyfile(fetched / TABLES[sft_scores.TABLE].path, target)
    with target.open(newline="") as lines:
        return sum(1 for _ in csv.DictReader(lines))


def rates(fetched: Path, target: Path) -> int:
    rows = [
        (model, *cells[:4])
        for model, text in _models(fetched)
        for cells in re.findall(
            r"^\| ([\d.e-]+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|", text, flags=re.M
        )
    ]
    return _write(target, (*adapter_rates.COLUMNS, "train_nll"), rows)


def diverged(fetched: Path, target: Path) -> int:
    note = r"(\d+) run\(s\) diverged .*? at lr=\{([^}]*)\} with rank=\{([^}]*)\}"
    rows = [
        (model, *found)
        for model, text in _models(fetched)
        for found in re.findall(note, text)
    ]
    return _write(target, adapter_rates.DIVERGED_COLUMNS, rows)


def _models(fetched: Path) -> Iterator[tuple[str, str]]:
    """The name and the section of each model."""
    text = (fetched / TABLES[adapter_rates.TABLE].path).read_text()
    for section in text.split("\n## ")[1:]:
        name, _, body = section.partition("\n")
        if "/" in name:
            yield name.strip(), body


def _write(target: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> int:
    with target.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(columns)
        writer.writerows(rows)
    return len(rows)


def peft(fetched: Path, target: Path) -> int:
    runs = []
    for path in sorted((fetched / TABLES[loss_curves.PEFT].path).glob("*.json")):
        content = json.loads(path.read_text())
        *steps, last = content["train_info"]["metrics"]
        training = content["run_info"]["train_config"]
        method = (content["run_info"]["peft_config"] or {}).get("peft_type", "FULL")
        points = [[s["step"], s["train samples"], s["train loss"]] for s in steps]
        runs.append(
            {
                "id": path.stem,
                "config": {
                    "lr": training["optimizer_kwargs"]["lr"],
                    "method": method,
                    "bs": training["batch_size"],
                },
                "score": last["test accuracy"],
                "forgetting": last["forgetting"],
                "points": points,
            }
        )
    return _write_grid(loss_curves.PEFT, target, runs)


def lora(fetched: Path, target: Path, key: str) -> int:
    logs = fetched.glob("*/results/*/llama2_70b_lora/result_*.txt")
    return _mlperf(key, target, logs, fetched, LORA_SAMPLES, largest=9)


def scratch(fetched: Path, target: Path) -> int:
    logs = fetched.glob("*/results/*/llama31_8b/result_*.txt")
    return _mlperf(
        loss_curves.SCRATCH, target, logs, fetched, SCRATCH_SAMPLES, largest=36
    )


def _mlperf(
    key: str,
    target: Path,
    logs: Iterator[Path],
    root: Path,
    samples: int,
    largest: int,
) -> int:
    """Write the runs that were evaluated at that many samples or around it."""
    runs = []
    for path in sorted(logs):
        settings, losses, evaluations = read_log(path)
        score = at(evaluations, samples)
        batch = settings.get("global_batch_size")
        if score is None or batch is None or batch > largest:
            continue
        system = path.parent.relative_to(root).as_posix()
        runs.append(
            {
                "id": f"{system}#{settings.get('seed')}",
                "config": {
                    "cfg": system,
                    "bs": batch,
                    "lr": settings["opt_base_learning_rate"],
                },
                "score": round(score, 5),
                "points": [
                    [round(seen / batch), seen, loss]
                    for seen, loss in losses
                    if seen <= samples
                ],
                "total": samples,
            }
        )
    return _write_grid(key, target, runs)


def read_log(path: Path) -> tuple[dict[str, Any], Points, Points]:
    """Settings, training losses and evaluation losses by samples, from a log."""
    settings: dict[str, Any] = {}
    losses: dict[int, float] = {}
    evaluations: dict[int, float] = {}
    for line in path.read_text(errors="replace").splitlines():
        _, mark, text = line.partition(":::MLLOG ")
        if not mark:
            continue
        try:
            entry = json.loads(text)
        except ValueError:
            continue  # two processes wrote into one line
        name, value = entry["key"].strip(), entry["value"]
        seen = (entry.get("metadata") or {}).get("samples_count")
        if name == "tracked_stats" and isinstance(value, dict):
            value = value.get("train_loss", value.get("reduced_train_loss"))
            name = "train_loss"
        if name == "train_loss" and seen and value is not None:
            losses[int(seen)] = value
        elif name == "eval_accuracy" and seen:
            evaluations[int(seen)] = value
        elif seen is None and name not in settings:
            settings[name] = value
    return settings, sorted(losses.items()), sorted(evaluations.items())


def at(points: Points, samples: int) -> float | None:
    """The value at that many samples, on a line between its neighbours."""
    before = [point for point in points if point[0] <= samples]
    after = [point for point in points if point[0] >= samples]
    if not before or not after:
        return None
    (x0, y0), (x1, y1) = before[-1], after[0]
    return y0 if x0 == x1 else y0 + (y1 - y0) * (samples - x0) / (x1 - x0)


def _write_grid(key: str, target: Path, runs: list[dict[str, Any]]) -> int:
    table = TABLES[key]
    grid = {"source": table.repository, "commit": table.commit, "runs": runs}
    target.write_text(json.dumps(grid))
    return len(runs)


WRITERS = {
    sft_scores.TABLE: scores,
    adapter_rates.TABLE: rates,
    adapter_rates.DIVERGED: diverged,
    loss_curves.PEFT: peft,
    loss_curves.LORA_V50: lambda f, t: lora(f, t, loss_curves.LORA_V50),
    loss_curves.LORA_V51: lambda f, t: lora(f, t, loss_curves.LORA_V51),
    loss_curves.SCRATCH: scratch,
}

if __name__ == "__main__":
    main()
