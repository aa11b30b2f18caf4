"""Mixing three phases of chat rows, beside what people use instead, in turns.

    python benchmarks/mixing.py [--rows 1000000] [--bytes 1000] [--rounds 5]
        [--arms mix duckdb] [--out FILE.json]

Makes the rows (three phases, about 5% of them rows of an earlier phase) in a temporary
folder, then mixes them in processes of their own with two threads or workers:

mix       this package: parse, check, remove duplicates, spread, write, provenance
duckdb    the same work in SQL: parse, check that roles alternate and texts are there,
          remove duplicates but for white space, spread each phase, write
polars    whole lines, without parsing: remove equal lines, shuffle, write
datasets  by hand: load, concatenate, remove duplicates, shuffle, write

Time is wall time, and the CPU time of a process and its children; on a shared machine,
only the second says what the work costs. Memory is the sum over all of them. `duckdb`,
`polars` and `datasets` are needed for their arms.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from record import record

OURS = """
import sys
from axolotl_sftguide.mixing import mix
names = [f"phase{k}.jsonl" for k in range(3)]
phases = [{"name": n, "datasets": [{"path": n}]} for n in names]
made = mix({"phases": phases}, sys.argv[1] + "/ours", base=sys.argv[1], workers=2)
print(made.manifest.written["data.jsonl"].rows)
"""
DATASETS = """
import hashlib, sys
from datasets import concatenate_datasets, load_dataset
folder = sys.argv[1]
parts = [
    load_dataset("json", data_files=f"{folder}/phase{k}.jsonl", split="train",
                 cache_dir=f"{folder}/cache")
    for k in range(3)
]
whole = concatenate_datasets(parts)
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
DUCKDB = r"""
import sys
import duckdb
folder = sys.argv[1]
run = duckdb.connect().execute
run("SET threads = 2")
turns = "STRUCT(role VARCHAR, content VARCHAR)[]"
parts = " UNION ALL ".join(
    f"SELECT {k} AS phase, row_number() OVER () AS row, messages FROM "
    f"read_ndjson('{folder}/phase{k}.jsonl', columns = {{messages: '{turns}'}})"
    for k in range(3)
)
run(f'''
    CREATE TEMP TABLE whole AS SELECT *,
        array_to_string(list_transform(messages, lambda m: m.role), ',') AS roles,
        md5(regexp_replace(array_to_string(list_transform(
            messages, lambda m: m.role || chr(1) || trim(m.content)
        ), chr(2)), '\s+', ' ', 'g')) AS key
    FROM ({parts})
''')
wrong = run('''
    SELECT count(*) FROM whole WHERE NOT coalesce(
        regexp_full_match(roles, '(system,)?user,assistant(,user,assistant)*')
        AND len(list_filter(
            messages, lambda m: coalesce(trim(m.content), '') = ''
        )) = 0,
        false
    )
''').fetchone()[0]
assert not wrong, wrong
(rows,) = run(f'''
    COPY (
        SELECT messages, 'phase' || phase AS phase,
            'phase' || phase || '.jsonl' AS source, row
        FROM (
            SELECT *, (
                row_number() OVER (PARTITION BY phase ORDER BY hash(key, 42)) - 1
                + (hash(key, 43) >> 11) / 9007199254740992.0
            ) / count(*) OVER (PARTITION BY phase) AS place
            FROM (
                SELECT * FROM whole QUALIFY
                row_number() OVER (PARTITION BY key ORDER BY phase, row) = 1
            )
        ) ORDER BY place
    ) TO '{folder}/theirs.jsonl' (FORMAT json)
''').fetchone()
print(rows)
"""
POLARS = r"""
import os, sys
os.environ["POLARS_MAX_THREADS"] = "2"
import polars
folder = sys.argv[1]
lines = dict(has_header=False, separator="\x01", quote_char=None, new_columns=["line"])
whole = polars.concat(
    [polars.scan_csv(f"{folder}/phase{k}.jsonl", **lines) for k in range(3)]
).collect()
whole = whole.unique(keep="first", maintain_order=True)
whole = whole.sample(fraction=1.0, shuffle=True, seed=42)
whole.write_csv(f"{folder}/theirs.jsonl", include_header=False, quote_style="never",
                separator="\x01")
print(len(whole))
"""
COLUMNS = ("seconds", "cpu_seconds", "memory_mib")
ARMS = {"mix": OURS, "duckdb": DUCKDB, "polars": POLARS, "datasets": DATASETS}


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


def run(name: str, folder: Path) -> tuple[float, float, float]:
    """Wall time, CPU time and the peak memory of the whole family, printed."""
    started, before = time.perf_counter(), os.times()
    process = subprocess.Popen(
        [sys.executable, "-c", ARMS[name], str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.1)
    taken, after = time.perf_counter() - started, os.times()
    used = sum(after[2:4]) - sum(before[2:4])
    rows = (process.communicate()[0].split() or ["none"])[-1]
    print(
        f"{name:<9}{taken:7.1f} s, CPU {used:7.1f} s, {peak / 2**20:7.0f} MiB, "
        f"{rows:>9} rows",
        flush=True,
    )
    return taken, used, peak / 2**20


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
    """All arms, in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found: dict[str, list[tuple[float, float, float]]] = {a: [] for a in asked.arms}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_rows(folder, asked.rows, asked.bytes)
        os.sync()  # else the first arm shares the disk with what was just written
        size = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
        print(f"{asked.rows} rows, {size / 1e9:.2f} GB", flush=True)
        for _ in range(asked.rounds):
            for arm in asked.arms:
                found[arm].append(run(arm, folder))
                clear(folder)
    print("minimum, median and maximum")
    arms = {
        arm: {
            name: {"min": min(of), "median": statistics.median(of), "max": max(of)}
            for name, of in zip(COLUMNS, zip(*turns, strict=True), strict=True)
        }
        for arm, turns in found.items()
    }
    for arm, columns in arms.items():
        spreads = (" ".join(f"{x:.1f}" for x in c.values()) for c in columns.values())
        print(f"{arm:<9}wall {{}}  CPU {{}}  MiB {{}}".format(*spreads))
    if asked.out:
        ratios = {
            arm: arms["mix"]["cpu_seconds"]["median"] / columns["cpu_seconds"]["median"]
            for arm, columns in arms.items()
            if "mix" in arms
        }
        results = {"rows": asked.rows, "gb": size / 1e9, "arms": arms}
        record(asked.out, {**results, "cpu_of_mix_over": ratios}, keep=True)


def clear(folder: Path) -> None:
    """Remove all but the rows."""
    subprocess.run(["rm", "-rf", folder / "ours", folder / "cache"], check=True)
    (folder / "theirs.jsonl").unlink(missing_ok=True)
    os.sync()


if __name__ == "__main__":
    main()
