"""How many steps a run trains on NaN before `non_finite` stops it.

    python benchmarks/nan_stops.py [--runs 100] [--out FILE.json]

Each run is a small real training whose loss is NaN from a random step on: under
transformers, TRL or Axolotl, with a random logging setting and accumulation, on one
rank or on two (gloo, on the CPU). The default rules are on. Runs that have the same
host and number of ranks share a process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from transformers import TrainerCallback

HERE = Path(__file__).resolve().parent
SUPPORT = HERE.parent / "tests" / "support"
STEPS = 60
HOSTS = ("transformers", "trl", "axolotl")
LOGGING: list[dict[str, Any]] = [
    {"logging_steps": 1},
    {"logging_steps": 7},
    {"logging_steps": 10},
    {"logging_steps": 500},
    {"logging_strategy": "no"},
    {"logging_strategy": "epoch"},
]


class TurnToNaN(TrainerCallback):  # type: ignore[misc]
    """From one optimizer step on, the loss of the model is NaN."""

    step = 0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        if state.global_step + 1 != self.step:
            return
        model = kw["model"]
        forward = model.forward

        def broken(*words: Any, **keywords: Any) -> Any:
            out = forward(*words, **keywords)
            out.loss = out.loss * float("nan")
            return out

        model.forward = broken


def draw_runs(count: int) -> list[dict[str, Any]]:
    draw = random.Random(0)
    return [
        {
            "host": HOSTS[i % 3],
            "ranks": 1 + (i // 3) % 2,
            "nan_step": draw.randint(1, STEPS - 10),
            "accumulation": draw.choice([1, 2, 4]),
            "logging": draw.choice(LOGGING),
        }
        for i in range(count)
    ]


def train(run: dict[str, Any], base: Path, data: Path, folder: Path) -> int:
    """Train one run, and return the step at which it ended."""
    settings = {
        "gradient_accumulation_steps": run["accumulation"],
        "max_steps": STEPS,
        **run["logging"],
    }
    TurnToNaN.step = run["nan_step"]
    trainer: Any
    if run["host"] == "axolotl":
        trainer = _axolotl(settings, base, data, folder)
    else:
        trainer = _trainer(run["host"], settings, base, data, folder)
        trainer.train()
    return int(trainer.state.global_step)


def _trainer(
    host: str, settings: dict[str, Any], base: Path, data: Path, folder: Path
) -> Any:
    import hosts

    from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback

    callbacks = GradientMonitorCallback(), EarlyTerminationCallback(), TurnToNaN()
    trainer, _ = hosts.make_sft_trainer(base, data, folder, *callbacks, **settings)
    if host == "trl":
        return trainer
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    rows = trainer.train_dataset.remove_columns(
        [c for c in trainer.train_dataset.column_names if c != "input_ids"]
    ).map(lambda row: {"labels": row["input_ids"]})
    args = TrainingArguments(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=2,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **settings,
    )
    return Trainer(
        model=trainer.model,
        args=args,
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(trainer.processing_class),
        callbacks=[GradientMonitorCallback(), EarlyTerminationCallback(), TurnToNaN()],
    )


def _axolotl(settings: dict[str, Any], base: Path, data: Path, folder: Path) -> Any:
    import hosts
    import yaml

    config = {
        "base_model": str(base),
        "plugins": [
            "axolotl_sftguide.SFTGuidePlugin",
            "nan_stops_plugin.NaNPlugin",
        ],
        "datasets": [{"path": str(data), "ds_type": "json", "type": "chat_template"}],
        "dataset_prepared_path": str(base.parent / "prepared"),
        "output_dir": str(folder / "out"),
        "sequence_len": 64,
        "micro_batch_size": 2,
        "learning_rate": 0.001,
        "optimizer": "adamw_torch",
        "lr_scheduler": "constant",
        "bf16": False,
        "fp16": False,
        "tf32": False,
        "attn_implementation": "sdpa",
        "save_strategy": "no",
        "val_set_size": 0,
        "dataset_num_proc": 1,
        "ddp_backend": "gloo",
        **settings,
    }
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config))
    return hosts.run_axolotl(path, device_map={"": "cpu"}).trainer


def work(folder: Path) -> None:
    """Train the runs that a file lists, in this process."""
    import hosts
    import torch

    rank = int(os.environ.get("RANK", "0"))
    runs = json.loads((folder / "runs.json").read_text())
    # Axolotl ends the process group with each training; the next one needs it.
    leave, torch.distributed.destroy_process_group = (
        torch.distributed.destroy_process_group,
        lambda *_: None,
    )
    for i, run in enumerate(runs):
        own = folder / f"run{i}"
        own.mkdir(exist_ok=True)
        run["ended"] = train(run, folder / "base", folder / "rows.jsonl", own)
    if not rank:
        from axolotl_sftguide.runs.history import RunHistory

        statuses = {run.output_dir: run.status for run in RunHistory().runs()}
        for i, run in enumerate(runs):
            run["status"] = statuses.get(str(folder / f"run{i}" / "out"), "unknown")
        (folder / "found.json").write_text(json.dumps(runs))
    torch.distributed.destroy_process_group = leave
    hosts.leave_together()


def train_group(runs: list[dict[str, Any]], ranks: int) -> list[dict[str, Any]]:
    """Train runs of one host and number of ranks in a process of their own."""
    from tiny import make_base, rows, write_rows

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "base").mkdir()
        make_base(folder / "base")
        write_rows(folder / "rows.jsonl", rows(512))
        (folder / "runs.json").write_text(json.dumps(runs))
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        words = [*launcher, str(ranks)] if ranks > 1 else []
        done = subprocess.run(
            [sys.executable, *words, __file__, "--work", name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "ACCELERATE_USE_CPU": "1",
                "OMP_NUM_THREADS": "1",
                "SFTGUIDE_STORAGE": str(folder / "runs.db"),
            },
        )
        if done.returncode:
            raise SystemExit(done.stdout[-4000:])
        found: list[dict[str, Any]] = json.loads((folder / "found.json").read_text())
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    sys.path.insert(0, str(SUPPORT))
    if chosen.work:
        work(chosen.work)
        return
    runs = draw_runs(chosen.runs)
    found = []
    for host in HOSTS:
        for ranks in (1, 2):
            own = [r for r in runs if (r["host"], r["ranks"]) == (host, ranks)]
            if own:
                found += train_group(own, ranks)
    for run in found:
        run["steps_on_nan"] = run["ended"] - run["nan_step"] + 1
    report(found)
    if chosen.out:
        chosen.out.write_text(json.dumps(found, indent=1) + "\n")


def report(found: list[dict[str, Any]]) -> None:
    early = sum(run["ended"] < STEPS for run in found)
    ends = Counter(run["status"] for run in found)
    named = ", ".join(f"{count} {status}" for status, count in sorted(ends.items()))
    print(f"{len(found)} runs of {STEPS} steps: {named}; {early} ended before the last")
    for name in ("host", "ranks", "accumulation", "logging"):
        print(f"\nsteps on NaN by {name}: median, most, runs")
        values = Counter(json.dumps(run[name]) for run in found)
        for value, count in sorted(values.items()):
            own = [r["steps_on_nan"] for r in found if json.dumps(r[name]) == value]
            print(f"  {value:<28} {median(own):>5g} {max(own):>4} {count:>5}")


if __name__ == "__main__":
    main()
