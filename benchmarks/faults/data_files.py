"""Half-written and hostile data: JSON, CSV, Parquet, Arrow, and their folders."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import mutate
from campaign import Campaign, Wrong
from command import sftguide

TRIES = 10_000
_MIXED = 0.015
"""The share of tries that also build a mix, and build it again to verify it."""


def rows_of_each_form() -> list[list[dict[str, Any]]]:
    """Rows of each form that a mix reads."""
    call = {"id": "1", "function": {"name": "f", "arguments": '{"x": 1}'}}
    turns = [
        {"role": "user", "content": "q {i}"},
        {"role": "assistant", "content": "a {i}", "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "1", "name": "f"},
        {"role": "assistant", "content": [{"type": "text", "text": "b {i}"}]},
    ]
    shared = [
        {"from": "system", "value": "s"},
        {"from": "human", "value": "q {i}"},
        {"from": "gpt", "value": "a {i}", "weight": 1},
    ]
    tree = {
        "role": "prompter",
        "text": "q {i}",
        "replies": [{"role": "assistant", "text": "a {i}", "replies": []}],
    }
    function = {"name": "f", "parameters": {"type": "object"}}
    tools = [{"type": "function", "function": function}]
    forms: list[dict[str, Any]] = [
        {"messages": turns, "tools": tools, "id": 3},
        {
            "messages": turns,
            "tools": json.dumps(tools),
            "chat_template_kwargs": {"x": 1},
        },
        {"conversations": shared, "source": "x"},
        {"conversations": json.dumps(shared)},
        {"instruction": "q {i}", "input": "i", "output": "a {i}"},
        {"prompt": "q {i}", "completion": "a {i}"},
        {"question": "q {i}", "answer": "a {i}", "history": [["a", "b"]]},
        {"prompt": turns[:1], "completion": turns[-1:]},
        {"instances": [{"input": "i", "output": "a {i}"}], "instruction": "q {i}"},
        {"message_tree_id": "t", "prompt": tree},
        {"text": "raw {i}"},
        {"prompt": "q", "chosen": "a", "rejected": "b"},
    ]
    return [[_numbered(form, i) for i in range(1, 6)] for form in forms]


def _numbered(value: Any, number: int) -> Any:
    text = json.dumps(value).replace("{i}", str(number))
    return json.loads(text)


def _read(path: str, rng: Random, lines: int | None = None, **keys: Any) -> None:
    """Read a file in each way that the commands read one."""
    from axolotl_sftguide.config.mix_settings import SourceSettings
    from axolotl_sftguide.mixing import faulty_rows, scan

    found = list(scan(SourceSettings(path=path, **keys), Path.cwd()))
    for row in found:
        if row.fault is not None:
            str(row.fault)
        elif row.conversation is None:
            raise Wrong("a row is neither a conversation nor a fault")
    own = [row for row in found if not row.place.endswith(": row 0")]
    if lines is not None and len(own) < lines:
        raise Wrong("rows of a file are neither read nor reported")
    for faulty in faulty_rows({"path": path, **keys}, Path.cwd()):
        str(faulty)
    if rng.random() < _MIXED:
        _mix(path, rng, keys)


def _mix(path: str, rng: Random, keys: dict[str, Any]) -> None:
    from axolotl_sftguide.mixing import mix, preview, read_mix, verify

    source = {"path": path, **keys}
    spec = {
        "phases": [{"name": "p", "datasets": [source]}],
        "on_error": "skip",
        "held_out": rng.choice([0, 0.2]),
        "near_duplicates": rng.choice([None, 0.8]),
    }
    shutil.rmtree("mixes", ignore_errors=True)
    kind = rng.randrange(4)
    if kind == 0:
        Path("spec.json").write_text(json.dumps(spec))
        sftguide("mix", "spec.json", "--preview", "-o", "mixes")
        preview(read_mix("spec.json"))
        return
    if kind == 1:
        Path("spec.json").write_text(json.dumps(spec))
        sftguide("mix", "spec.json", "-o", "mixes", "--workers", 1)
        return
    made = mix(spec, "mixes", workers=1)
    for part in made.manifest.parts:
        left = part.filtered + part.excluded + part.not_drawn + part.held_out
        left += sum(part.faults.values()) + sum(part.duplicates.values())
        left += sum(part.near_duplicates.values()) + part.rows - part.repeated
        if left != part.rows_read:
            raise Wrong(f"of {part.rows_read} rows, {left} are accounted for")
    problems = verify(made.folder)
    if problems:
        raise Wrong(f"a mix does not verify: {problems[0][-120:]}")


def as_text(value: Any) -> str:
    try:
        return json.dumps(mutate.as_json_can(value), ensure_ascii=False)
    except (RecursionError, ValueError):
        return "{}"


def _json_lines(forms: list[list[dict[str, Any]]], rng: Random) -> None:
    rows = rng.choice(forms)
    lines = [
        as_text(row) for row in (mutate.tree(rows, rng) if rng.random() < 0.5 else rows)
    ]
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    if rng.random() < 0.5:
        content = mutate.data(content, rng)
    if rng.random() < 0.02:
        content = mutate.in_another_encoding("\n".join(lines), rng)
    Path("data.jsonl").write_bytes(content)
    # Lines of a file that begins as an array are its values, not its rows.
    head = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    whole = head.startswith(b'{"') and head.partition(b"\n")[0].endswith(b"}")
    count = sum(bool(line.strip()) for line in content.split(b"\n"))
    plain = whole and b"instances" not in content and b"message_tree_id" not in content
    _read("data.jsonl", rng, count if plain and _parses(head) else None)


def _parses(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text.partition(b"\n")[0]), dict)
    except (ValueError, RecursionError):
        return False


def _json_array(forms: list[list[dict[str, Any]]], rng: Random) -> None:
    rows = rng.choice(forms)
    rows = mutate.tree(rows, rng) if rng.random() < 0.5 else rows
    text = as_text(rows)
    if text != "{}" and rng.random() < 0.5:
        text = json.dumps(json.loads(text), indent=1)
    content = text.encode("utf-8", "surrogatepass")
    content = mutate.data(content, rng) if rng.random() < 0.6 else content
    Path("data.json").write_bytes(content)
    _read("data.json", rng)


def _bomb(_: Path) -> tuple[list[list[dict[str, Any]]], bytes]:
    return rows_of_each_form(), gzip.compress(b"0" * 100_000_000, 1)


def _packed(prepared: tuple[list[list[dict[str, Any]]], bytes], rng: Random) -> None:
    import zstandard

    forms, bomb = prepared
    content = "\n".join(map(as_text, rng.choice(forms))).encode()
    name = rng.choice(["data.jsonl.gz", "data.jsonl.zst", "data.csv.gz"])
    if name.endswith("zst"):
        packed = zstandard.ZstdCompressor().compress(content)
    else:
        packed = gzip.compress(content, 1)
    packed = bomb if rng.random() < 0.003 else mutate.binary(packed, rng)
    Path(name).write_bytes(packed)
    _read(name, rng)
    Path(name).unlink()


def _csv(forms: list[list[dict[str, Any]]], rng: Random) -> None:
    rows = rng.choice(forms)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    for row in rows:
        known = {k: v if isinstance(v, str) else as_text(v) for k, v in row.items()}
        writer.writerow(known)
    content = mutate.data(out.getvalue().encode(), rng)
    Path("data.csv").write_bytes(content)
    _read("data.csv", rng)


def _tables(_: Path) -> tuple[list[Any], Any]:
    import pyarrow as pa

    good = []
    for rows in rows_of_each_form():
        try:
            good.append(pa.Table.from_pylist(rows))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            # Parts of text beside a text have no common type.
            plain = [{**row, "messages": row["messages"][:-1]} for row in rows]
            good.append(pa.Table.from_pylist(plain))
    return good, pa


def _other_table(pa: Any, table: Any, rng: Random) -> Any:
    """A table with a column of another type, or values that no row should have."""
    name = rng.choice(table.column_names)
    n = table.num_rows
    columns: list[Callable[[], Any]] = [
        lambda: pa.array([None] * n),
        lambda: pa.array([rng.choice([0, -1, 2**62]) for _ in range(n)]),
        lambda: pa.array(
            [rng.choice([float("nan"), float("inf"), 1.0]) for _ in range(n)]
        ),
        lambda: pa.array([b"\xff\x00" for _ in range(n)]),
        lambda: pa.array([rng.choice(mutate.WORDS[:11]) for _ in range(n)]),
        lambda: pa.array([[None, {"role": "user"}] for _ in range(n)]),
        lambda: pa.array([{"role": "user", "content": None} for _ in range(n)]),
        lambda: pa.array([True for _ in range(n)]),
        lambda: pa.array([10**18 for _ in range(n)], pa.timestamp("ns")),
        lambda: pa.array([2**52 for _ in range(n)], pa.timestamp("ms")),
        lambda: pa.array([2**62 for _ in range(n)], pa.duration("s")),
        lambda: pa.array([2**40 for _ in range(n)], pa.date64()),
        lambda: pa.array(["x" for _ in range(n)]).dictionary_encode(),
        lambda: pa.array(
            [[("a", 1)] for _ in range(n)], pa.map_(pa.string(), pa.int64())
        ),
        lambda: pa.nulls(n, pa.struct([("role", pa.string())])),
    ]
    place = table.column_names.index(name)
    return table.set_column(place, name, rng.choice(columns)())


def _parquet(prepared: tuple[list[Any], Any], rng: Random) -> None:
    import pyarrow.parquet as pq

    tables, pa = prepared
    table = rng.choice(tables)
    changed = rng.random() < 0.3
    table = _other_table(pa, table, rng) if changed else table
    out = io.BytesIO()
    compression = rng.choice(["snappy", "none", "zstd"])
    pq.write_table(table, out, compression=compression, row_group_size=3)
    content = out.getvalue() if changed else mutate.binary(out.getvalue(), rng)
    Path("data.parquet").write_bytes(content)
    _read("data.parquet", rng)


def _arrow(prepared: tuple[list[Any], Any], rng: Random) -> None:
    tables, pa = prepared
    table = rng.choice(tables)
    changed = rng.random() < 0.3
    table = _other_table(pa, table, rng) if changed else table
    out = io.BytesIO()
    new = rng.choice([pa.ipc.new_stream, pa.ipc.new_file])
    with new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    content = out.getvalue() if changed else mutate.binary(out.getvalue(), rng)
    Path("data.arrow").write_bytes(content)
    _read("data.arrow", rng)


def _campaign(what: str, prepare: Any, attempt: Any, tries: int = TRIES) -> Campaign:
    return Campaign("data_files", what, tries, prepare, attempt)


CAMPAIGNS = (
    _campaign("data: JSON lines", lambda _: rows_of_each_form(), _json_lines),
    _campaign("data: JSON arrays", lambda _: rows_of_each_form(), _json_array),
    _campaign("data: packed", _bomb, _packed),
    _campaign("data: CSV", lambda _: rows_of_each_form(), _csv),
    _campaign("data: Parquet", _tables, _parquet),
    _campaign("data: Arrow", _tables, _arrow),
)
