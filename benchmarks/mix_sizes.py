"""A mix of one row, of 10 MB and of 1 GB, trained on by Axolotl and by TRL.

    python benchmarks/mix_sizes.py [--sizes 1row 10MB 1GB] [--out FILE.json]

Makes chat rows of about 10 kB from the quickstart's texts, mixes two phases, and trains
three steps on the result with each host on the CPU. Prints the rows that the manifest
lists and those that each host has after its own preparation, with time and peak memory
of the host's processes. A host that loses a row ends the script with an error.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml
from record import record

ROOT = Path(__file__).parents[1]
BASE = ROOT / "recipes" / "quickstart" / "base"
SIZES = {"1row": 1, "10MB": 1_000, "1GB": 100_000}
SEQUENCE = 8192

AXOLOTL = """
import sys
from axolotl.cli.main import main
sys.argv = ["axolotl", sys.argv[1], sys.argv[2]]
main()
"""
COUNT = """
import sys
from pathlib import Path
from datasets import load_from_disk
(prepared,) = [f.parent for f in Path(sys.argv[1]).rglob("dataset_info.json")]
print(load_from_disk(str(prepared)).num_rows)
"""
TRL = """
import sys
from datasets import load_dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer
base, data, out, length = sys.argv[1:]
trainer = SFTTrainer(
    base,
    args=SFTConfig(
        out, max_steps=3, max_length=int(length), per_device_train_batch_size=1,
        report_to="none", save_strategy="no", use_cpu=True, bf16=False,
        gradient_checkpointing=False,
    ),
    train_dataset=load_dataset("json", data_files=data, split="train",
                               cache_dir=out + "/cache"),
    processing_class=AutoTokenizer.from_pretrained(base),
)
trainer.train()
print(len(trainer.train_dataset), trainer.state.global_step)
"""


def main() -> None:
    """Print one line for each size and host."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as scratch:
            found.append(measure(size, Path(scratch)))
    if options.out:
        record(options.out, {"sizes": found})


def measure(size: str, folder: Path) -> dict[str, object]:
    """The rows of a mix, and of each host that trained on it."""
    phases = write_phases(SIZES[size], folder)
    spec = folder / "mix.yml"
    spec.write_text(yaml.safe_dump({"phases": phases}))
    _, mixing, memory = run("-m", "axolotl_sftguide", "mix", spec, "-o", folder / "m")
    (manifest,) = (folder / "m").rglob("manifest.json")
    data = manifest.parent / "data.jsonl"
    rows = sum(part["rows"] for part in json.loads(manifest.read_text())["parts"])
    line: dict[str, object] = {
        "size": size,
        "mb": round(data.stat().st_size / 1e6, 2),
        "rows": rows,
        "mix": {"seconds": round(mixing), "mib": round(memory)},
    }
    print(f"{size}: {rows} rows, {data.stat().st_size / 1e6:.2f} MB,", end=" ")
    print(f"mixed in {mixing:.0f} s and {memory:.0f} MiB")
    for host, train in (("axolotl", train_with_axolotl), ("trl", train_with_trl)):
        seen, seconds, memory = train(data, folder)
        print(f"  {host}: {seen} rows, three steps, {seconds:.0f} s, {memory:.0f} MiB")
        line[host] = {"rows": seen, "seconds": round(seconds), "mib": round(memory)}
        if seen != rows:
            sys.exit(f"{host} has {seen} rows of {rows}")
    return line


def write_phases(rows: int, folder: Path) -> list[dict[str, object]]:
    """Two files with different rows; of a single row, one file."""
    source = ROOT / "recipes" / "quickstart" / "knowledge.jsonl"
    texts = [
        turn["content"]
        for line in source.read_text().splitlines()
        for turn in json.loads(line)["messages"]
    ]
    draw = random.Random(0)
    names = ["first", "second"] if rows > 1 else ["first"]
    for number, name in enumerate(names):
        with (folder / f"{name}.jsonl").open("w") as out:
            for _ in range(rows // len(names)):
                words = " ".join(draw.choices(texts, k=450 if number else 550))
                turns = [
                    {"role": "user", "content": draw.choice(texts)},
                    {"role": "assistant", "content": words},
                ]
                out.write(json.dumps({"messages": turns}) + "\n")
    return [
        {"name": name, "datasets": [{"path": str(folder / f"{name}.jsonl")}]}
        for name in names
    ]


def train_with_axolotl(data: Path, folder: Path) -> tuple[int, float, float]:
    """The rows of the prepared dataset, seconds and MiB."""
    config = folder / "axolotl.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "base_model": str(BASE),
                "datasets": [
                    {"path": str(data), "ds_type": "json", "type": "chat_template"}
                ],
                "dataset_prepared_path": str(folder / "prepared"),
                "output_dir": str(folder / "axolotl"),
                "sequence_len": SEQUENCE,
                "pad_to_sequence_len": False,
                "micro_batch_size": 1,
                "gradient_accumulation_steps": 1,
                "max_steps": 3,
                "learning_rate": 1e-4,
                "optimizer": "adamw_torch",
                "lr_scheduler": "constant",
                "attn_implementation": "sdpa",
                "bf16": False,
                "fp16": False,
                "tf32": False,
                "save_strategy": "no",
            }
        )
    )
    # Not `axolotl preprocess`: 0.19.0 ends with an error if there is a single row.
    _, seconds, memory = run("-c", AXOLOTL, "train", config)
    said, _, _ = run("-c", COUNT, folder / "prepared")
    return int(said.split()[-1]), seconds, memory


def train_with_trl(data: Path, folder: Path) -> tuple[int, float, float]:
    """The rows of the trainer's dataset, seconds and MiB."""
    said, seconds, memory = run("-c", TRL, BASE, data, folder / "trl", SEQUENCE)
    rows, steps = map(int, said.split()[-2:])
    assert steps == 3
    return rows, seconds, memory


def run(*arguments: object) -> tuple[str, float, float]:
    """What a Python process printed, its seconds, and MiB with its children."""
    started = time.monotonic()
    peak = 0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"},
        )
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.2)
        output.seek(0)
        said = output.read()
    if process.returncode:
        sys.exit(said)
    return said, time.monotonic() - started, peak / 2**20


def resident(pid: int) -> int:
    """Bytes of a process and its children; pages that they share count once each."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main()
