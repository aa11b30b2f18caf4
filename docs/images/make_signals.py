"""Train the small runs of docs/signals.md and draw their loss and gradient norm.

    python docs/images/make_signals.py          # draws signals.json again
    python docs/images/make_signals.py --train  # trains the runs first, some minutes
    python docs/images/make_signals.py --train idle  # trains this one first

All runs are real: the quickstart's model of 1M parameters, trained by TRL on the CPU
under `watch`. What differs from the healthy run is in `RUNS`. All rules only warn, so
that the figures show what a stop would have cut off. The seed is fixed; other versions
of torch give other last digits.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from signal_figures import figure

HERE = Path(__file__).parent
QUICKSTART = HERE.parent.parent / "recipes" / "quickstart"
RESULTS = HERE / "signals.json"
BATCH = 16
STEPS = 300

RUNS: dict[str, dict[str, Any]] = {
    "healthy": {},
    "epochs": {"rows": 800, "rate": 2e-3},
    "diverged": {"rate": 3.0, "warmup": STEPS},
    "too-high": {"rate": 0.2},
    "idle": {"rate": 1e-6},
    "spike": {"broken": range(160, 164)},
    "overfitting": {"rows": 400, "eval_steps": 20},
}
"""What each run has of its own: its rows, its rate, and the steps with broken rows."""


def rows(count: int, broken: range) -> list[dict[str, Any]]:
    """Questions and answers in a seeded order; those of the broken steps are noise."""
    names = ("knowledge.jsonl", "skills.jsonl")
    lines = [line for name in names for line in (QUICKSTART / name).open()]
    draw = random.Random(1)
    draw.shuffle(lines)
    found = []
    for index, line in enumerate(lines[:count]):
        asked, answered = json.loads(line)["messages"]
        if index // BATCH + 1 in broken:
            letters = "".join(draw.choice("qxzjvkw ") for _ in range(40))
            answered = {"role": "assistant", "content": letters}
        found.append({"prompt": [asked], "completion": [answered]})
    return found


def held_out() -> list[dict[str, Any]]:
    """The questions that no run is trained on."""
    lines = (QUICKSTART / "heldout.jsonl").read_text().splitlines()
    pairs = [json.loads(line)["messages"] for line in lines]
    return [{"prompt": [asked], "completion": [answer]} for asked, answer in pairs]


def train(name: str, folder: Path) -> dict[str, Any]:
    """Train one run, and return what its trace holds."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from axolotl_sftguide import find_traces, read_trace, watch

    own = RUNS[name]
    count = own.get("rows", STEPS * BATCH)
    evaluated = {"eval_strategy": "steps", "eval_steps": own.get("eval_steps")}
    trainer = SFTTrainer(
        model=str(QUICKSTART / "base"),
        args=SFTConfig(
            output_dir=str(folder / name),
            max_steps=STEPS,
            per_device_train_batch_size=BATCH,
            learning_rate=own.get("rate", 1e-3),
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=own.get("warmup", 0),
            train_sampling_strategy="sequential",
            logging_steps=10,
            save_strategy="no",
            report_to="none",
            seed=1,
            bf16=False,
            **(evaluated if "eval_steps" in own else {}),
        ),
        train_dataset=Dataset.from_list(rows(count, own.get("broken", range(0)))),
        eval_dataset=Dataset.from_list(held_out()) if "eval_steps" in own else None,
    )
    rules: dict[str, Any] = {"action": "warn", "non_finite": {"action": "warn"}}
    if "eval_steps" in own:
        rules["evaluation"] = {"action": "warn"}
    storage = str(folder / "runs.db")
    watch(trainer, study="signals", storage=storage, early_termination=rules)
    trainer.train()
    (path,) = find_traces(folder / name)
    trace = read_trace(path)
    events = trace.events
    return {
        "rate": own.get("rate", 1e-3),
        "rows": count,
        "batch": BATCH,
        "loss": [short(o.loss) for o in trace.observations],
        "grad_norm": [short(o.grad_norm) for o in trace.observations],
        "evaluations": [
            [e["step"], short(e["metrics"]["eval_loss"])]
            for e in events
            if e["event"] == "evaluation"
        ],
        "verdicts": [
            {key: e[key] for key in ("step", "rule", "reason")}
            for e in events
            if e["event"] == "decision"
        ],
    }


def short(value: float) -> float | None:
    """A number with four digits; nothing where it is not finite."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", nargs="*", choices=RUNS, metavar="RUN")
    given = parser.parse_args().train
    if given is not None:
        known = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else {}
        with tempfile.TemporaryDirectory() as folder:
            new = {name: train(name, Path(folder)) for name in given or RUNS}
        runs = {name: {**known, **new}[name] for name in RUNS}
        versions = {name: version(name) for name in ("trl", "transformers", "torch")}
        results = json.dumps({"versions": versions, "runs": runs})
        RESULTS.write_text(results.replace("}, ", "},\n") + "\n")
    for name, run in json.loads(RESULTS.read_text())["runs"].items():
        (HERE / f"signals-{name}.svg").write_text(figure(name, run))


if __name__ == "__main__":
    main()
