"""What `sftguide new` writes for the quickstart, against the recipe and defaults.

    python benchmarks/written_config.py [--seeds 3] [--only NAME ...] [--own]

Each config trains the quickstart's model on its 5,200 rows on the CPU, and is scored on
the 380 held-out questions. All are trained for their own number of epochs, and again
until they have seen as many rows as the recipe sees. Only keys that need a GPU are
changed. The interval is Student's over the seeds. The JSON file (`--out`) is written
after each run, and runs that are in it are not repeated.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml
from click.testing import CliRunner
from record import record

from axolotl_sftguide.cli import main as sftguide
from axolotl_sftguide.recipes import find_recipe
from axolotl_sftguide.students_t import quantile

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

SEEDS = (42, 7, 1, 2, 3, 4, 5, 6)
ROWS = 5200
SEEN = 600 * 32
"""Rows that the recipe trains on, repeats included."""
ALIKE = ("recipe", "trl-defaults")
"""Configs whose own epochs see about as many."""
MODEL = "recipes/quickstart/base"
FILES = ("recipes/quickstart/knowledge.jsonl", "recipes/quickstart/skills.jsonl")
NEEDS_A_CARD = ("liger_", "eot_tokens", "gradient_checkpointing")
PLUGIN = "axolotl_sftguide.SFTGuidePlugin"
FOR_A_CPU = {
    "plugins": [PLUGIN],
    "bf16": False,
    "fp16": False,
    "tf32": False,
    "attn_implementation": "sdpa",
    "dataset_num_proc": 1,
    "save_strategy": "no",
}

# https://github.com/axolotl-ai-cloud/axolotl/blob/067b021c/examples/llama-3/
# Their packed sequences are made shorter, and a step has so many more of them: the same
# tokens, while attention over 8,192 of them would take minutes on a CPU.
FULL_EXAMPLE = {
    "sequence_len": 256,  # 8192
    "sample_packing": True,
    "micro_batch_size": 8,  # 1
    "gradient_accumulation_steps": 32,  # 8
    "num_epochs": 1,
    "optimizer": "paged_adamw_8bit",
    "lr_scheduler": "cosine",
    "learning_rate": 2e-5,
    "warmup_ratio": 0.1,
}
"""`fft-8b.yaml`, full fine-tuning of a Llama on one card."""
LORA_EXAMPLE = {
    "adapter": "lora",
    "lora_r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.05,
    "lora_target_linear": True,
    "sequence_len": 256,  # 2048
    "sample_packing": True,
    "micro_batch_size": 8,  # 2
    "gradient_accumulation_steps": 4,  # 2
    "num_epochs": 1,
    "optimizer": "adamw_8bit",
    "lr_scheduler": "cosine",
    "learning_rate": 2e-4,
    "warmup_ratio": 0.1,
}
"""`lora-1b.yml`, LoRA on the smallest Llama of Axolotl's examples."""
TRL_DEFAULTS = {
    "sequence_len": 1024,
    "micro_batch_size": 8,
    "num_epochs": 3,
    "optimizer": "adamw_torch_fused",
    "lr_scheduler": "linear",
    "learning_rate": 2e-5,
    "warmup_steps": 0,
}
"""`SFTConfig()` of TRL 1.9, trained by Axolotl as the others are."""


def written(seed: int, equal: bool, *options: str) -> dict[str, Any]:
    """What `sftguide new` writes; its held-out rows are not trained on."""
    words = ["new", "--model", MODEL, "--gpu-memory", "24GiB", "--force"]
    words += [word for path in FILES for word in ("--data", path)]
    words += ["--seed", str(seed), "-o", "written.yml", *options]
    done = CliRunner().invoke(sftguide, words)
    assert done.exit_code == 0, done.output
    config: dict[str, Any] = yaml.safe_load(Path("written.yml").read_text())
    if equal:
        rows = ROWS * (1 - config["sftguide"]["mix"]["held_out"])
        epochs = SEEN / rows
        if config.get("warmup_steps"):
            config["warmup_steps"] = round(
                config["warmup_steps"] * epochs / config["num_epochs"]
            )
        config["num_epochs"] = epochs
    return config


def with_128_samples(seed: int, equal: bool) -> dict[str, Any]:
    """The same with the batch that the guide behind `full-batch-small` recommends."""
    return written(seed, equal, "--effective-batch-size", "128")


def recipe(seed: int, equal: bool) -> dict[str, Any]:
    """The shipped recipe."""
    config: dict[str, Any] = yaml.safe_load(find_recipe("quickstart-cpu").text)
    return config | {"seed": seed}


def as_given(values: Mapping[str, Any]) -> Callable[[int, bool], dict[str, Any]]:
    """The values of a host's example or its defaults, on the quickstart's data."""

    def config(seed: int, equal: bool) -> dict[str, Any]:
        shared = recipe(seed, equal)
        keys = ("base_model", "datasets", "val_set_size", "seed", "sftguide")
        made = {key: shared[key] for key in keys} | dict(values)
        made["sftguide"] = {
            k: v
            for k, v in made["sftguide"].items()
            if k not in ("exact_accumulation", "seed_adapter")
        }
        if equal:
            made["num_epochs"] = SEEN / ROWS
        return made

    return config


CONFIGS: dict[str, Callable[[int, bool], dict[str, Any]]] = {
    "written": written,
    "recipe": recipe,
    "written with 128 samples": with_128_samples,
    "axolotl-lora-example": as_given(LORA_EXAMPLE),
    "axolotl-full-example": as_given(FULL_EXAMPLE),
    "trl-defaults": as_given(TRL_DEFAULTS),
}


def train(name: str, seed: int, equal: bool, folder: Path) -> dict[str, Any]:
    """Train one config, and return what came of it."""
    import hosts
    import torch

    torch.manual_seed(0)
    config = CONFIGS[name](seed, equal)
    for key in [k for k in config if k.startswith(NEEDS_A_CARD)]:
        del config[key]
    own = folder / f"{name.replace(' ', '-')}-{seed}-{'equal' if equal else 'own'}"
    shutdown = {"eval_strategy": "no", "evals_per_epoch": None, "saves_per_epoch": None}
    config |= FOR_A_CPU | shutdown
    config |= {"output_dir": str(own), "dataset_prepared_path": str(folder / "data")}
    config["sftguide"] |= {
        "study": f"{name}-{equal}",
        "monitor": {"noise_scale": False},
        "storage": f"sqlite:///{folder}/runs.db",
        "score": {
            "data_path": "recipes/quickstart/heldout.jsonl",
            "max_new_tokens": 12,
            "base": False,
        },
    }
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump({k: v for k, v in config.items() if v is not None}))
    os.environ["SFTGUIDE_STORAGE"] = f"sqlite:///{folder}/runs.db"
    started = time.perf_counter()
    outcome = hosts.run_axolotl(path)
    (score,) = outcome.run.scores
    last = outcome.trace.observations[-1]
    return {
        "config": name,
        "seed": seed,
        "equal_data": equal,
        "score": score.value,
        "questions": score.examples,
        "steps": outcome.trainer.state.global_step,
        "samples": last.samples_seen,
        "samples_a_step": last.samples_seen / outcome.trainer.state.global_step,
        "learning_rate": config["learning_rate"],
        "lr_scheduler": config["lr_scheduler"],
        "loss": last.loss,
        "seconds": round(time.perf_counter() - started, 1),
    }


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95% interval of the mean."""
    if len(values) < 2:
        return None
    half = quantile(0.025, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def summaries(runs: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row for each config and length of training."""
    for equal in (False, True):
        for name in CONFIGS:
            own = [r for r in runs if (r["config"], r["equal_data"]) == (name, equal)]
            if not own:
                continue
            scores = [run["score"] for run in own]
            yield {
                "config": name,
                "equal_data": equal,
                "seeds": len(own),
                "score": fmean(scores),
                "interval": interval(scores),
                "scores": scores,
                "steps": own[0]["steps"],
                "samples_a_step": own[0]["samples_a_step"],
                "samples": own[0]["samples"],
            }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table."""
    lines = [
        "| config | rows seen | samples per step | steps | seeds | score (95%) |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = row["config"] + (", as many rows" if row["equal_data"] else "")
        score = f"{row['score']:.3f}"
        if row["interval"]:
            low, high = row["interval"]
            score += f" ({max(0.0, low):.3f} to {min(1.0, high):.3f})"
        cells = [
            name,
            f"{row['samples']:,}",
            f"{row['samples_a_step']:,.0f}",
            f"{row['steps']:,}",
            row["seeds"],
            score,
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--own", action="store_true", help="own epochs alone")
    parser.add_argument(
        "--out", type=Path, default=HERE / "results/written_config.json"
    )
    asked = parser.parse_args()
    out = asked.out.resolve()
    runs = json.loads(out.read_text())["runs"] if out.is_file() else []
    done = {(run["config"], run["seed"], run["equal_data"]) for run in runs}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        find_recipe("quickstart-cpu").copy_to(folder)
        os.chdir(folder)
        for seed in SEEDS[: asked.seeds]:
            for equal in (False,) if asked.own else (False, True):
                for config in asked.only:
                    if (config, seed, equal) in done or (equal and config in ALIKE):
                        continue
                    runs.append(train(config, seed, equal, folder))
                    found = {"runs": runs, "summary": list(summaries(runs))}
                    record(out, found)
                    print(json.dumps(runs[-1]), flush=True)
    print(table(list(summaries(runs))))


if __name__ == "__main__":
    main()
