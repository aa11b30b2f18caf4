"""Mixing three phases of chat rows, beside Hugging Face `datasets`, alternately.

    python benchmarks/mixing.py [--rows 1000000] [--bytes 1000] [--rounds 2] [--alone]

Makes the rows (three phases, about 5% of them rows of an earlier phase) in a temporary
folder, then mixes them in processes of their own: with this package; with `datasets` as
one would by hand (load, concatenate, shuffle, write); and that with a step that leaves
out what was seen before. Memory is the sum over a process and all its children.
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

OURS = """
import sys
from axolotl_sftguide.mixing import mix
names = [f"phase{k}.jsonl" for k in range(3)]
phases = [{"name": n, "datasets": [{"path": n}]} for n in names]
made = mix({"phases": phases}, sys.argv[1] + "/ours", base=sys.argv[1])
print(made.manifest.written["data.jsonl"].rows)
"""
THEIRS = """
import hashlib, sys
from datasets import concatenate_datasets, load_dataset
folder, dedup = sys.argv[1], sys.argv[2] == "dedup"
parts = [
    load_dataset("json", data_files=f"{folder}/phase{k}.jsonl", split="train",
                 cache_dir=f"{folder}/cache")
    for k in range(3)
]
whole = concatenate_datasets(parts)
if dedup:
    seen = set()
    def new(row):
        digest = hashlib.sha256(str(row["messages"]).encode()).digest()
        if digest in seen:
            return False
        seen.add(digest)
        return True
    whole = whole.filter(new, load_from_cache_file=False)
whole.shuffle(seed=42).to_json(f"{folder}/theirs.jsonl", num_proc=2)
print(len(whole))
"""


def make_rows(folder: Path, rows: int, size: int) -> None:
    """Rows of about so many bytes, every tenth of the later phases a replayed one."""
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(5000)]
    text = " ".join(draw.choices(words, k=200_000))
    kept: list[str] = []
    for phase, share in enumerate((0.5, 0.3, 0.2)):
        with (folder / f"phase{phase}.jsonl").open("w") as file:
            for i in range(int(rows * share)):
                if phase and draw.random() < 0.1:
                    file.write(draw.choice(kept))
                    continue
                at = draw.randrange(len(text) - 2 * size)
                cut = draw.randint(size // 8, size // 3)
                end = cut + draw.randint(size // 2, size)
                turns = [
                    {"role": "user", "content": f"{phase} {i} {text[at : at + cut]}"},
                    {"role": "assistant", "content": text[at + cut : at + end]},
                ]
                line = json.dumps({"messages": turns, "id": f"{phase}-{i}"}) + "\n"
                file.write(line)
                if draw.random() < 0.05:
                    kept.append(line)


def run(name: str, script: str, folder: Path, *words: str) -> float:
    """Wall time, and the peak memory of the whole family, printed."""
    started = time.perf_counter()
    command = [sys.executable, "-c", script, str(folder), *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.1)
    taken = time.perf_counter() - started
    rows = (process.communicate()[0].split() or ["none"])[-1]
    print(
        f"{name:<34} {taken:7.1f} s {peak / 2**20:7.0f} MiB {rows:>9} rows", flush=True
    )
    return taken


def resident(pid: int) -> int:
    """Memory of a process and its children that no file lies behind, in bytes."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            memory = process.memory_info()
            total += memory.rss - memory.shared
    except psutil.Error:
        pass
    return total


def main() -> None:
    """All arms, alternately."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without `datasets`")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_rows(folder, asked.rows, asked.bytes)
        os.sync()  # else the first arm shares the disk with what was just written
        size = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
        print(f"{asked.rows} rows, {size / 1e9:.2f} GB", flush=True)
        for _ in range(asked.rounds):
            ours = run("this package", OURS, folder)
            clear(folder)
            if asked.alone:
                continue
            plain = run("datasets, no duplicates removed", THEIRS, folder, "plain")
            clear(folder)
            dedup = run("datasets, duplicates removed", THEIRS, folder, "dedup")
            clear(folder)
            print(f"ratios: {plain / ours:.1f} and {dedup / ours:.1f}", flush=True)


def clear(folder: Path) -> None:
    """All but the rows."""
    subprocess.run(["rm", "-rf", folder / "ours", folder / "cache"], check=True)
    (folder / "theirs.jsonl").unlink(missing_ok=True)
    os.sync()


if __name__ == "__main__":
    main()
