"""The recipes for one 24 GB card, trained by Axolotl on a CUDA device under that cap.

    python benchmarks/gpu_recipes.py [RECIPE ...] [--steps 6] [--out FOLDER] [--smoke]

Each recipe is trained by `axolotl train`'s own code in a process of its own, at the
full size of its model. As nothing is downloaded, the weights are random, the tokenizer
is the quickstart's and the rows are made of words; PyTorch's scaled dot-product
attention takes the place of Flash Attention where that is not installed. Memory depends
on the attention, not on the others. The peak is compared with the figure of `sftguide
plan`; the speed is that of the device at hand, not of another card. `--smoke` trains
narrow models on the CPU, to see that the benchmark itself works; it measures no memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml
from axolotl.integrations.base import BasePlugin
from record import record
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback

ROOT = Path(__file__).resolve().parent.parent
RECIPES = (
    "8b-stacked-qlora",
    "7b-stacked-qlora",
    "8b-granite-stacked-qlora",
    "3b-stacked-lora",
)
CAP_BYTES = 24 * 10**9
WORDS = "red blue green dog cat bird house tree sun moon eats sees likes runs".split()
NARROW = {
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 4096,
}


class Measured(TrainerCallback):
    """Time and memory of each optimizer step."""

    steps: list[dict[str, float]]

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.steps = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._synchronize()
        self._started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._synchronize()
        step = {"seconds": time.perf_counter() - self._started}
        if torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            step |= {
                "device_used_bytes": total - free,
                "reserved_bytes": torch.cuda.memory_reserved(),
            }
        self.steps.append(step)

    @staticmethod
    def _synchronize() -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()


class MeasurePlugin(BasePlugin):
    """Adds the callback to Axolotl's trainer."""

    measured = Measured()

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        type(self).trainer = trainer
        return [self.measured]


def make_base(shape: dict[str, Any], folder: Path, device: str) -> None:
    """The model with random weights in bfloat16, and the quickstart's tokenizer."""
    quickstart = ROOT / "recipes" / "quickstart" / "base"
    for path in quickstart.glob("*"):
        if path.name.startswith(("tokenizer", "chat_template")):
            shutil.copy(path, folder)
    ids = json.loads((quickstart / "config.json").read_text())
    special = {f"{name}_token_id": ids[f"{name}_token_id"] for name in ("bos", "eos")}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(**shape, **special, pad_token_id=None),
            dtype=torch.bfloat16,
        )
    model = model.to_empty(device=device)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.ones_(parameter)
    model.save_pretrained(folder, max_shard_size="4GB")


def write_rows(path: Path, count: int, seed: int) -> None:
    """Questions of ten words with answers of 20 to 600, as JSON lines."""
    draw = random.Random(seed)
    with path.open("w") as file:
        for _ in range(count):
            asked = " ".join(draw.choices(WORDS, k=10))
            answer = " ".join(draw.choices(WORDS, k=draw.randint(20, 600)))
            row = [
                {"role": "user", "content": asked},
                {"role": "assistant", "content": answer},
            ]
            file.write(json.dumps({"messages": row}) + "\n")


def made_local(name: str, folder: Path, steps: int, smoke: bool) -> dict[str, Any]:
    """The recipe with a local model and local rows; all else is the recipe's."""
    config = yaml.safe_load((ROOT / "recipes" / f"{name}.yml").read_text())
    config["plugins"].append("gpu_recipes.MeasurePlugin")
    config |= {
        "base_model": str(folder / "base"),
        "chat_template": "tokenizer_default",
        "special_tokens": {},
        "dataset_prepared_path": str(folder / "prepared"),
        "output_dir": str(folder / "out"),
        "max_steps": steps,
        "logging_steps": 1,
    }
    config["sftguide"]["storage"] = f"sqlite:///{folder}/history.db"
    if smoke or importlib.util.find_spec("flash_attn") is None:
        config["attn_implementation"] = "sdpa"
    if smoke:
        config = {k: v for k, v in config.items() if not k.startswith("liger_")}
        config |= {"bf16": False, "tf32": False, "sequence_len": 1024}
        config["plugins"] = [p for p in config["plugins"] if "liger" not in p]
    number = 0
    for phase in config["sftguide"]["mix"]["phases"]:
        for dataset in phase["datasets"]:
            path = folder / f"rows{number}.jsonl"
            write_rows(path, 150 if smoke else 1000, seed=number)
            number += 1
            for key in ("where", "revision"):
                dataset.pop(key, None)
            dataset |= {"path": str(path), "max_rows": 1000}
    return config


def train_one(name: str, steps: int, smoke: bool, out: Path) -> None:
    """Train one recipe in this process and write what was measured."""
    from axolotl.cli.train import do_cli

    import axolotl_sftguide
    from axolotl_sftguide.planning import KNOWN, plan_memory

    recipe = yaml.safe_load((ROOT / "recipes" / f"{name}.yml").read_text())
    shape = dict(KNOWN[recipe["base_model"]])
    device = "cpu" if smoke else "cuda"
    if smoke:
        shape |= {k: v for k, v in NARROW.items() if k in shape or k != "head_dim"}
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > 30 * 10**9
    with tempfile.TemporaryDirectory(dir=shared if roomy else None) as made:
        folder = Path(made)
        (folder / "base").mkdir()
        context = 0
        if not smoke:
            free, total = torch.cuda.mem_get_info()
            context = total - free
            torch.cuda.set_per_process_memory_fraction(CAP_BYTES / total)
        started = time.perf_counter()
        make_base(shape, folder / "base", device)
        made_in = time.perf_counter() - started
        config = made_local(name, folder, steps, smoke)
        if not smoke:
            torch.cuda.empty_cache()
        path = folder / "config.yml"
        path.write_text(yaml.safe_dump(config))
        planned = plan_memory(config, shape)
        row: dict[str, Any] = {
            "recipe": name,
            "attention": config["attn_implementation"],
            "sequence_len": config["sequence_len"],
            "micro_batch_size": config["micro_batch_size"],
            "planned_bytes": planned.peak_bytes,
            "planned_parts": {p.name: p.size_bytes for p in planned.parts},
            "recipe_planned_bytes": plan_memory(recipe, shape).peak_bytes,
            "made_in_seconds": made_in,
            "context_bytes": context,
            "package": axolotl_sftguide.__version__,
        }
        started = time.perf_counter()
        try:
            do_cli(config=str(path))
        except torch.OutOfMemoryError as error:
            row["out_of_memory"] = str(error)[:300]
        except Exception as error:  # what was measured until here is kept
            row["failed"] = f"{type(error).__name__}: {error}"[:300]
            traceback.print_exc()
        measured = MeasurePlugin.measured
        trainer = getattr(MeasurePlugin, "trainer", None)
        row["seconds"] = time.perf_counter() - started
        row["steps"] = getattr(measured, "steps", [])
        if trainer is not None:
            logs = trainer.state.log_history
            row["losses"] = [log["loss"] for log in logs if "loss" in log]
            row["grad_norms"] = [
                float(g["grad_norm"]) for g in logs if "grad_norm" in g
            ]
            row["accumulation"] = trainer.args.gradient_accumulation_steps
        out.write_text(json.dumps(row, indent=2))


def peaks(logs: list[dict[str, Any]]) -> dict[str, float]:
    """The largest memory by Axolotl's own reports: it resets PyTorch's peak at each."""
    found = {}
    for kind, mark in (("step", "loss"), ("evaluation", "eval_loss")):
        for name in ("max_allocated", "device_reserved"):
            key = f"memory/{name} (GiB)"
            sizes = [log[key] for log in logs if mark in log and key in log]
            if sizes:
                found[f"{kind}_{name}_gib"] = max(sizes)
    return found


def summary(row: dict[str, Any]) -> str:
    """One line of the table."""
    steps = [step["seconds"] for step in row.get("steps", [])[1:]]
    micro = row.get("accumulation", 0) * row["micro_batch_size"]
    tokens = micro * row["sequence_len"] / min(steps) if steps else 0.0
    sizes = [row[key] for key in row if key.endswith("reserved_gib")]
    told = f"{max(sizes) * 2**30 / 1e9:.2f} GB" if sizes else "not measured"
    told = "out of memory" if "out_of_memory" in row else row.get("failed", told)
    return (
        f"{row['recipe']:<26} peak reserved {told:<13} "
        f"planned {row['planned_bytes'] / 1e9:.2f} GB  {tokens:,.0f} tokens/s"
    )


def main() -> None:
    """The recipes in turn, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", metavar="RECIPE")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.smoke and not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: nothing measured (--smoke for the CPU)")
    if asked.one:
        return train_one(asked.one, asked.steps, asked.smoke, asked.out)
    where = "cpu, no memory measured"
    if torch.cuda.is_available():
        name = torch.cuda.get_device_properties(0).name
        where = f"{name} under a cap of {CAP_BYTES / 1e9:g} GB"
    packages = "torch axolotl transformers peft bitsandbytes accelerate triton".split()
    versions = {package: metadata.version(package) for package in packages}
    rows = []
    paths = [str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "AXOLOTL_DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "disabled",
    }
    for name in asked.recipes or RECIPES:
        written = asked.out / f"gpu_recipe_{name}.json"
        log = asked.out / f"gpu_recipe_{name}.log"
        command = [sys.executable, __file__, "--one", name, "--out", str(written)]
        command += ["--steps", str(asked.steps), *(["--smoke"] if asked.smoke else [])]
        with log.open("w") as file:
            code = subprocess.call(command, stdout=file, stderr=file, env=environment)
        if not written.is_file():
            end = log.read_text().strip().splitlines()[-1:]
            print(f"{name:<26} failed ({code}): {' '.join(end)[:200]} (see {log})")
            continue
        rows.append(json.loads(written.read_text()))
        written.unlink()
        print(summary(rows[-1]), flush=True)
        result = {"where": where, "versions": versions, "rows": rows}
        record(asked.out / "gpu_recipes.json", result)


if __name__ == "__main__":
    main()
