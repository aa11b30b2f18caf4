"""Mixing phases into one dataset: files, bytes, counts of rows, and errors."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from click.testing import CliRunner

from axolotl_sftguide.cli import main
from axolotl_sftguide.errors import MixError
from axolotl_sftguide.mixing import Mixed, mix, verify


def row(i: int, of: str = "a") -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"What is {of} {i}?"},
            {"role": "assistant", "content": f"It is {i * 7}."},
        ]
    }


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(path)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def spec(*phases: list[Any], **overrides: Any) -> dict[str, Any]:
    """Each phase a list of paths or datasets."""
    return {
        "phases": [
            {
                "name": f"p{i}",
                "datasets": [d if isinstance(d, dict) else {"path": d} for d in phase],
            }
            for i, phase in enumerate(phases)
        ],
        **overrides,
    }


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Mixed]:
    def run(*phases: list[Any], workers: int = 1, **overrides: Any) -> Mixed:
        out = tmp_path / "mixes"
        return mix(spec(*phases, **overrides), out, base=tmp_path, workers=workers)

    return run


def counts_add_up(mixed: Mixed) -> bool:
    return all(
        part.rows_read
        == part.filtered
        + sum(part.faults.values())
        + sum(part.duplicates.values())
        + part.excluded
        + part.not_drawn
        + part.held_out
        + part.rows
        - part.repeated
        for part in mixed.manifest.parts
    )


class TestFiles:
    def test_all_file_kinds_give_the_same_rows(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        rows = [row(i) for i in range(40)]
        text = "".join(json.dumps(r) + "\n" for r in rows)
        (tmp_path / "a.jsonl").write_text(text)
        (tmp_path / "a.json").write_text(json.dumps(rows))
        (tmp_path / "lines.json").write_text(text)
        (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(text.encode()))
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
        with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as out:
            out.write_table(table)
        with (tmp_path / "a.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["question", "answer"])
            for r in rows:
                writer.writerow([turn["content"] for turn in r["messages"]])
        names = "a.jsonl a.json lines.json bom.jsonl a.jsonl.gz a.jsonl.zst".split()
        names += ["a.parquet", "a.arrow", "a.csv"]
        made = make(names)
        assert [part.rows for part in made.manifest.parts] == [40] + [0] * 8
        for part in made.manifest.parts[1:]:
            assert part.duplicates == {"a.jsonl": 40}
        found = read(made.data)
        assert sorted(r["row"] for r in found) == list(range(1, 41))
        assert {(r["phase"], r["source"]) for r in found} == {("p0", "a.jsonl")}
        by_row = {r["row"]: r["messages"] for r in found}
        assert all(by_row[i + 1] == row(i)["messages"] for i in range(40))

    def test_row_numbers_are_line_numbers_despite_blank_and_broken_lines(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        lines = [json.dumps(row(0)), "", "{broken", json.dumps(row(3))]
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        made = make(["a.jsonl"], on_error="skip")
        assert sorted(r["row"] for r in read(made.data)) == [1, 4]
        assert made.manifest.parts[0].faults == {"not-json": 1}

    def test_folders_globs_and_data_files_select_several_files(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        for name in ("x/a.jsonl", "x/b.jsonl", "x/c.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            write(tmp_path / name, [row(1, name)])
        for source in ("x", "x/*.jsonl", {"path": "x", "data_files": "*.jsonl"}):
            found = read(make([source]).data)
            assert {r["source"] for r in found} == {"x/a.jsonl", "x/b.jsonl"}

    def test_more_files_than_the_open_file_limit_can_be_mixed(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "many").mkdir()
        for i in range(300):
            write(tmp_path / f"many/{i}.jsonl", [row(i)])
        script = """if True:
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            from axolotl_sftguide import mix
            datasets = [{"path": "many"}]
            spec = {"phases": [{"name": "all", "datasets": datasets}]}
            print(mix(spec, "mixes", workers=2).manifest.parts[0].rows)
        """
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout.strip() == "300", done.stderr

    def test_temporary_files_are_unmapped_after_the_mix(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(20)])
        make(["a.jsonl"], workers=1)
        assert "building" not in Path("/proc/self/maps").read_text()

    def test_an_array_that_breaks_off_is_refused_even_if_rows_are_skipped(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        text = json.dumps([row(0), 7, row(1), row(2)], indent=1)
        (tmp_path / "a.json").write_text("\ufeff" + text[: text.rindex("role") - 2])
        with pytest.raises(MixError, match=r"^a\.json: the file is damaged .* 3 rows"):
            make(["a.json"], on_error="skip")

    def test_a_wrong_comma_in_an_array_costs_one_row(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        texts = [json.dumps(row(i)) for i in range(4)]
        texts[1] = texts[1][:-1] + ",}"
        (tmp_path / "a.json").write_text(f"[{', '.join(texts)}, 7]")
        made = make(["a.json"], on_error="skip")
        assert sorted(r["row"] for r in read(made.data)) == [1, 3, 4]
        assert made.manifest.parts[0].faults == {"not-json": 1, "not-mapping": 1}

    @pytest.mark.parametrize(
        ("source", "why"),
        [
            (
                "nothing.jsonl",
                "nothing.jsonl: no such file or folder; did you mean 'nothin.jsonl'?",
            ),
            ("odd.xyz", "odd.xyz: unknown kind of file"),
            ({"path": "x", "data_files": "../a.jsonl"}, "is outside"),
            ("empty", "no dataset file in this folder"),
            ("bad.parquet", "bad.parquet: not a Parquet file"),
        ],
    )
    def test_missing_and_unreadable_files_get_a_one_line_error(
        self, make: Callable[..., Mixed], tmp_path: Path, source: Any, why: str
    ) -> None:
        for folder in ("x", "empty"):
            (tmp_path / folder).mkdir()
        for name in ("nothin.jsonl", "odd.xyz", "a.jsonl", "x/b.jsonl", "bad.parquet"):
            write(tmp_path / name, [row(0)])
        with pytest.raises(MixError, match=why) as caught:
            make([source])
        assert "\n" not in str(caught.value)

    def test_all_missing_files_are_reported_together(
        self, make: Callable[..., Mixed]
    ) -> None:
        with pytest.raises(MixError) as caught:
            make(["a.jsonl", "b.jsonl"], ["c.jsonl"])
        assert len(str(caught.value).splitlines()) == 3


class TestByName:
    """What `datasets` loads: by a name of the hub, a split, a revision."""

    @pytest.fixture(autouse=True)
    def hub_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A cache as `datasets` leaves it, for no hub is reachable from a test."""
        import datasets

        cache = tmp_path / "cache"
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        folder = tmp_path / "toy"
        folder.mkdir()
        for split, count in (("train", 30), ("test", 10)):
            rows = pa.Table.from_pylist([row(i, split) for i in range(count)])
            pq.write_table(rows, folder / f"{split}.parquet")
        datasets.load_dataset(str(folder), cache_dir=str(cache))
        (cache / "toy").rename(cache / "someone___toy")
        return cache

    def test_a_dataset_name_gives_its_rows_with_their_numbers(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        found = read(make(["someone/toy"]).data)
        assert {r["source"] for r in found} == {"someone/toy:train"}
        by_row = {r["row"]: r["messages"] for r in found}
        assert by_row == {i + 1: row(i, "train")["messages"] for i in range(30)}

    @pytest.mark.parametrize("path", ["someone/toy", "toy", "toy/train.parquet"])
    def test_splits_can_be_sliced_and_added(
        self, make: Callable[..., Mixed], path: str
    ) -> None:
        wanted = [("train", i) for i in range(3, 9)]
        split = "train[10%:30%]"
        if not path.endswith(".parquet"):
            split += "+test[-2:]"
            wanted += [("test", 9), ("test", 10)]
        made = make([{"path": path, "split": split}])
        wanted[:6] = [("train", i + 1) for i in range(3, 9)]
        found = {(r["source"].split(":")[1], r["row"]) for r in read(made.data)}
        assert found == set(wanted)
        asked = [r["messages"][0]["content"] for r in read(made.data)]
        assert "What is train 3?" in asked

    def test_a_mix_of_cached_datasets_verifies(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        made = make(["someone/toy", {"path": "someone/toy", "split": "test"}])
        assert verify(made.folder, base=tmp_path) == []

    @pytest.mark.parametrize(
        ("source", "why"),
        [
            ("someone/else", "someone/else: no such file, and no dataset of this"),
            ({"path": "toy", "split": "tset"}, "toy: split 'tset' cannot be loaded"),
            ({"path": "toy", "split": "train[:"}, "toy: split 'train\\[:' cannot be"),
            ({"path": "someone/toy", "name": "other"}, "someone/toy: no such file"),
            ("tooy", "did you mean 'toy'"),
        ],
    )
    def test_datasets_that_cannot_be_loaded_get_a_one_line_error(
        self, make: Callable[..., Mixed], source: Any, why: str
    ) -> None:
        with pytest.raises(MixError, match=why) as caught:
            make([source])
        assert "\n" not in str(caught.value)


class TestBytes:
    def test_are_the_same_from_any_number_of_workers(
        self,
        make: Callable[..., Mixed],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("axolotl_sftguide.mixing._pieces.PIECE_BYTES", 4096)
        monkeypatch.setattr("axolotl_sftguide.mixing._write._ROWS_A_TASK", 64)
        for name in ("a", "b", "c"):
            write(tmp_path / f"{name}.jsonl", [row(i, name) for i in range(300)])
        phases = [["a.jsonl", "b.jsonl"], [{"path": "c.jsonl", "repeats": 1.5}]]
        seen = set()
        for workers in (1, 2, 4):
            made = make(*phases, workers=workers, held_out=0.1)
            assert made.built
            held_out = made.held_out
            assert held_out is not None
            seen.add((made.data.read_bytes(), held_out.read_bytes()))
            for path in made.folder.iterdir():
                path.unlink()
            made.folder.rmdir()
        assert len(seen) == 1

    def test_unicode_line_separators_in_text_are_kept(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        odd = row(1)
        odd["messages"][0]["content"] = "one\u2028two\x85three\x1cfour"
        write(tmp_path / "a.jsonl", [odd, row(2)])
        with make(["a.jsonl"]).data.open("rb") as lines:
            found = [json.loads(line) for line in lines]
        assert len(found) == 2
        assert odd["messages"] in [r["messages"] for r in found]

    def test_files_respect_the_umask(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(8)])
        before = os.umask(0o077)
        try:
            made = make(["a.jsonl"])
        finally:
            os.umask(before)
        modes = [
            p.stat().st_mode & 0o077 for p in (made.folder, *made.folder.iterdir())
        ]
        assert modes == [0] * len(modes)

    def test_do_not_depend_on_the_folder_of_the_files(self, tmp_path: Path) -> None:
        seen = set()
        for place in ("here", "there"):
            (tmp_path / place).mkdir()
            write(tmp_path / place / "a.jsonl", [row(i) for i in range(50)])
            made = mix(spec(["a.jsonl"]), tmp_path / place, base=tmp_path / place)
            seen.add((made.folder.name, made.data.read_bytes()))
        assert len(seen) == 1

    def test_changed_content_or_settings_give_another_folder(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(20)])
        first = make(["a.jsonl"])
        assert first.built
        assert not make(["a.jsonl"]).built
        other = make(["a.jsonl"], seed=7)
        phased = make(["a.jsonl"], strategy="phased")
        assert phased.folder.name.startswith("phased-")
        write(tmp_path / "a.jsonl", [row(i) for i in range(21)])
        changed = make(["a.jsonl"])
        folders = {m.folder for m in (first, other, phased, changed)}
        assert len(folders) == 4
        assert len(read(first.data)) == 20  # of the older one nothing is lost

    def test_rows_with_more_than_roles_and_texts_are_parquet_with_one_schema(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        call = {"id": "1", "function": {"name": "f", "arguments": {"x": 1}}}
        special = {
            "messages": [
                {"role": "user", "content": "call"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "content": "1", "tool_call_id": "1"},
                {"role": "assistant", "content": "done", "reasoning_content": "hm"},
            ],
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "unmask": True,
        }
        write(tmp_path / "a.jsonl", [row(i) for i in range(30)])
        write(tmp_path / "b.jsonl", [special])
        made = make(["a.jsonl", "b.jsonl"])
        assert made.manifest.trains_by_turn
        assert (made.data.name, made.manifest.ds_type) == ("data.parquet", "parquet")
        loaded = load(made, tmp_path)
        assert loaded.column_names == ["messages", "tools", "phase", "source", "row"]
        (found,) = (r for r in loaded if r["source"] == "b.jsonl")
        assert found["messages"][1]["tool_calls"][0]["function"] == {
            "name": "f",
            "arguments": {"x": 1},
        }
        assert json.loads(found["tools"])[0]["function"]["name"] == "f"
        assert verify(made.folder, base=tmp_path) == []

    @pytest.mark.parametrize("strategy", ["phased", "stacked"])
    def test_a_key_that_only_the_last_of_many_rows_has_can_be_loaded(
        self, make: Callable[..., Mixed], tmp_path: Path, strategy: str
    ) -> None:
        """`datasets` tells the types of JSON from its first 10 MB."""
        long = {"role": "user", "content": "x" * 4000}
        plain = [row(i) for i in range(3000)]
        for i, own in enumerate(plain):
            own["messages"][0] = {**long, "content": f"{i} {long['content']}"}
        write(tmp_path / "a.jsonl", plain)
        last = {"role": "assistant", "content": "b", "reasoning": "c", "weight": 0.0}
        kwargs = {"enable_thinking": False}
        special = {"messages": [long, last], "chat_template_kwargs": kwargs}
        write(tmp_path / "b.jsonl", [special])
        made = make(["a.jsonl"], ["b.jsonl"], strategy=strategy)
        assert made.data.name == "data.parquet"
        loaded = load(made, tmp_path)
        (found,) = (r for r in loaded if r["source"] == "b.jsonl")
        assert found["messages"][1]["reasoning_content"] == "c"
        assert found["messages"][1]["train"] is False
        assert found["chat_template_kwargs"] == kwargs
        assert loaded[0]["chat_template_kwargs"] in ({}, kwargs)

    @pytest.mark.parametrize(
        ("name", "kwargs"),
        [
            ("data.jsonl", {"thinking": False, "reasoning_effort": "low"}),
            ("data.parquet", {"documents": [{"title": "Hills"}], "day": "2025-01-31"}),
        ],
    )
    def test_a_row_has_the_template_arguments_of_its_own_source_and_no_others(
        self,
        make: Callable[..., Mixed],
        tmp_path: Path,
        name: str,
        kwargs: dict[str, Any],
    ) -> None:
        """A template may ask whether one is defined, and TRL unpacks all of them."""
        with_kwargs = [{**row(i), "chat_template_kwargs": kwargs} for i in range(9)]
        write(tmp_path / "a.jsonl", with_kwargs)
        write(tmp_path / "b.jsonl", [row(100 + i) for i in range(9)])
        made = make(["a.jsonl"], ["b.jsonl"])
        assert made.data.name == name
        for own in load(made, tmp_path):
            wanted = kwargs if own["source"] == "a.jsonl" else {}
            assert own["chat_template_kwargs"] == wanted
        assert verify(made.folder, base=tmp_path) == []

    @pytest.mark.parametrize("value", ["2025-01-31", 0.12345678901234, ["a"], {"a": 1}])
    def test_a_template_argument_that_json_files_would_change_is_in_parquet(
        self, make: Callable[..., Mixed], tmp_path: Path, value: Any
    ) -> None:
        own = {**row(1), "chat_template_kwargs": {"a": value}}
        write(tmp_path / "a.jsonl", [row(0), own])
        assert make(["a.jsonl"]).data.name == "data.parquet"

    def test_template_arguments_of_which_the_first_rows_do_not_tell_are_in_parquet(
        self,
        make: Callable[..., Mixed],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("axolotl_sftguide.mixing._kwargs._FIRST_BYTES", 1000)
        one, two = {"thinking": False}, {"enable_thinking": True}
        for name, kwargs in (("a", one), ("b", two)):
            own = [{**row(i, name), "chat_template_kwargs": kwargs} for i in range(9)]
            write(tmp_path / f"{name}.jsonl", own)
        late = make(["a.jsonl"], ["b.jsonl"], strategy="phased")
        assert late.data.name == "data.parquet"
        found = [own["chat_template_kwargs"] for own in load(late, tmp_path)]
        assert found == [one] * 9 + [two] * 9
        assert make(["a.jsonl"], ["b.jsonl"]).data.name == "data.jsonl"

    def test_a_name_that_reads_as_a_date_can_be_loaded(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        """Arrow takes a JSON column of dates for times, up to the first other text."""
        dates = [{"question": f"2024-01-{i:02}", "answer": "2024"} for i in range(1, 5)]
        write(tmp_path / "2024-05-01 10:00:00", dates)
        write(tmp_path / "b.jsonl", [row(i) for i in range(5)])
        first = {"path": "2024-05-01 10:00:00", "ds_type": "json"}
        made = make([first], ["b.jsonl"], strategy="phased")
        sources = {r["source"] for r in load(made, tmp_path)}
        assert sources == {"2024-05-01 10:00:00", "b.jsonl"}


def load(made: Mixed, cache: Path, path: Path | None = None) -> Any:
    """A file of a mix, by default its data, as both hosts load it."""
    from datasets import load_dataset

    return load_dataset(
        made.manifest.ds_type,
        data_files=str(path or made.data),
        split="train",
        cache_dir=str(cache / "hf"),
    )


class TestContent:
    def test_rows_replayed_in_a_later_phase_are_removed_and_counted(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        """As InstructLab's phase 10 holds rows of phase 07, with other ids."""

        def record(i: int, of: str, run: int) -> dict[str, Any]:
            metadata = json.dumps({"sdg_document": f"d{run}"})
            return {**row(i, of), "id": f"{run}-{i}", "metadata": metadata}

        phase07 = [record(i, "knowledge", 7) for i in range(100)]
        replay = [record(i, "knowledge", 10) for i in range(0, 100, 4)]
        phase10 = [record(i, "skill", 10) for i in range(80)]
        write(tmp_path / "phase07.jsonl", phase07)
        write(tmp_path / "phase10.jsonl", phase10 + replay)
        made = make(["phase07.jsonl"], ["phase10.jsonl"])
        one, two = made.manifest.parts
        assert (one.rows, two.rows) == (100, 80)
        assert two.duplicates == {"phase07.jsonl": 25}
        said = Counter(json.dumps(r["messages"]) for r in read(made.data))
        assert len(said) == 180
        assert set(said.values()) == {1}
        assert counts_add_up(made)

    def test_where_filters_rows_by_their_columns(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        rows = [{**row(i), "origin": "web" if i % 3 else "wiki"} for i in range(30)]
        write(tmp_path / "a.jsonl", rows)
        made = make([{"path": "a.jsonl", "where": {"origin": "wiki"}}])
        assert sorted(r["row"] for r in read(made.data)) == list(range(1, 31, 3))
        assert made.manifest.parts[0].filtered == 20

    def test_rows_of_the_evaluation_data_are_left_out(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(30)])
        write(tmp_path / "test.jsonl", [row(i) for i in range(25, 40)])
        made = make(["a.jsonl"], exclude=["test.jsonl"])
        assert made.manifest.parts[0].excluded == 5
        assert len(read(made.data)) == 25

    def test_held_out_rows_are_written_to_their_own_file(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i, "a") for i in range(100)])
        write(tmp_path / "b.jsonl", [row(i, "b") for i in range(50)])
        made = make(["a.jsonl"], ["b.jsonl"], held_out=0.1)
        assert made.held_out is not None
        aside = read(made.held_out)
        assert Counter(r["phase"] for r in aside) == {"p0": 10, "p1": 5}
        trained = {json.dumps(r["messages"]) for r in read(made.data)}
        assert not trained & {json.dumps(r["messages"]) for r in aside}
        assert counts_add_up(made)

    def test_shares_and_repeats_are_in_the_file(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i, "a") for i in range(100)])
        write(tmp_path / "b.jsonl", [row(i, "b") for i in range(100)])
        made = make(
            [{"path": "a.jsonl", "share": 0.75}, {"path": "b.jsonl", "share": 0.25}],
            upsample=True,
        )
        found = Counter(r["source"] for r in read(made.data))
        assert found == {"a.jsonl": 300, "b.jsonl": 100}
        assert counts_add_up(made)


class TestTokens:
    def test_are_counted_with_the_models_own_template(
        self, make: Callable[..., Mixed], tmp_path: Path, base: Path
    ) -> None:
        from transformers import AutoTokenizer

        write(tmp_path / "a.jsonl", [row(i, "valley " * (i % 9)) for i in range(200)])
        write(tmp_path / "b.jsonl", [row(i, "river") for i in range(200)])
        sources = [{"path": "a.jsonl", "share": 0.5}, {"path": "b.jsonl", "share": 0.5}]
        made = make(sources, shares_by="tokens", tokenizer=str(base), workers=1)
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokens: Counter[str] = Counter()
        for r in read(made.data):
            ids = tokenizer.apply_chat_template(r["messages"], return_dict=False)
            tokens[r["source"]] += len(ids)
        counted = {part.path: part.tokens for part in made.manifest.parts}
        assert counted == dict(tokens)
        assert tokens["a.jsonl"] == pytest.approx(tokens["b.jsonl"], rel=0.01)
        assert counts_add_up(made)
        assert verify(made.folder, base=tmp_path) == []  # by workers

    def test_another_tokenizer_is_another_mix(
        self, make: Callable[..., Mixed], tmp_path: Path, base: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(5)])
        own = tmp_path / "tokenizer"
        shutil.copytree(base, own)
        first = make(["a.jsonl"], tokenizer=str(own))
        config = json.loads((own / "tokenizer_config.json").read_text())
        (own / "tokenizer_config.json").write_text(json.dumps(config | {"x": 1}))
        assert make(["a.jsonl"], tokenizer=str(own)).folder != first.folder

    def test_a_missing_tokenizer_gets_a_one_line_error(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(0)])
        with pytest.raises(MixError, match="cannot be loaded") as caught:
            make(["a.jsonl"], tokenizer=str(tmp_path))
        assert "\n" not in str(caught.value)


class TestFaults:
    BAD = (
        "{broken",
        "[1, 2]",
        '{"messages": []}',
        json.dumps({"messages": [{"role": "user", "content": "x"}]}),
        '{"text": "x"}',
    )

    def test_fail_names_file_row_and_reason_and_leaves_no_folder(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        lines = [json.dumps(row(0)), *self.BAD]
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        with pytest.raises(MixError) as caught:
            make(["a.jsonl"])
        told = str(caught.value).splitlines()
        assert told[0].startswith("a.jsonl: row 2: invalid JSON (")
        assert told[1] == "a.jsonl: row 3: the row is not a JSON object (list)"
        assert told[4].startswith("a.jsonl: row 6: a row of raw text is not a")
        assert told[-1] == (
            "5 rows cannot be used. Fix them, or set on_error: skip to leave them out."
        )
        left = [p for p in (tmp_path / "mixes").iterdir() if p.suffix != ".lock"]
        assert left == []

    def test_skip_leaves_rows_out_and_counts_them_by_reason(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        lines = [json.dumps(row(0)), *self.BAD * 30]
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        made = make(["a.jsonl"], on_error="skip")
        assert sum(made.manifest.parts[0].faults.values()) == 150
        assert len(made.manifest.parts[0].faults) == 5
        assert counts_add_up(made)

    def test_a_mix_without_usable_rows_names_each_reason_and_its_first_row(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        bad = [{"messages": [{"role": "user", "content": str(i)}]} for i in range(40)]
        write(tmp_path / "a.jsonl", [*bad, {"text": "x"}])
        with pytest.raises(MixError) as caught:
            make(["a.jsonl"], on_error="skip")
        assert str(caught.value).splitlines() == [
            "Nothing to mix: none of 41 rows can be used.",
            "40 rows: the last message is not from the assistant; "
            "the first is a.jsonl: row 1",
            "1 row: a row of raw text is not a conversation; split it into messages, "
            "or train on all of it in Axolotl with type: completion; the first is "
            "a.jsonl: row 41",
        ]

    def test_a_mix_of_empty_files_is_refused(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        (tmp_path / "a.jsonl").write_text("")
        with pytest.raises(MixError, match="Nothing to mix: the files contain no rows"):
            make(["a.jsonl"])

    def test_wrong_encoding_and_huge_rows_are_row_faults(
        self,
        make: Callable[..., Mixed],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("axolotl_sftguide.mixing._readers.MAX_ROW_BYTES", 2**20)
        monkeypatch.setattr("axolotl_sftguide.mixing._pieces.PIECE_BYTES", 2**16)
        huge = json.dumps(row(1)).replace("What", "x" * 2**21)
        latin = json.dumps(row(2)).replace("What", "Wh\xe4t").encode("latin-1")
        lines = [json.dumps(row(0)).encode(), huge.encode(), latin]
        lines.append(json.dumps(row(3)).encode())
        for name, pack in (("a.jsonl", bytes), ("b.jsonl.gz", gzip.compress)):
            (tmp_path / name).write_bytes(pack(b"\n".join(lines)))
            made = make([name], on_error="skip")
            assert made.manifest.parts[0].faults == {
                "too-long": 1,
                "not-json": 1,
            }
            assert sorted(r["row"] for r in read(made.data)) == [1, 4]

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.jsonl.gz", gzip.compress(b"x" * 9000, mtime=0)[:20]),
            ("a.jsonl.zst", zstandard.compress(b"x" * 9000)[:12]),
            ("a.arrow", b"this is no arrow"),
            ("a.csv", b'question,answer\na,"never closed\nb,c\n'),
            ("a.json", b"[{]"),
        ],
    )
    def test_a_damaged_file_is_one_line_and_is_not_skipped(
        self, make: Callable[..., Mixed], tmp_path: Path, name: str, content: bytes
    ) -> None:
        (tmp_path / name).write_bytes(content)
        write(tmp_path / "b.jsonl", [row(0)])
        for on_error in ("fail", "skip"):
            with pytest.raises(MixError, match=rf"^{name}: the file is damaged") as e:
                make([name, "b.jsonl"], on_error=on_error)
            assert "\n" not in str(e.value)

    @pytest.mark.parametrize(
        "count", [300, pytest.param(10_000, marks=pytest.mark.slow)]
    )
    def test_every_row_of_a_damaged_file_is_accounted_for(
        self, tmp_path: Path, count: int
    ) -> None:
        """Bytes flipped, cut out, doubled, put in: no traceback, no row forgotten."""
        draw = random.Random(1)
        told: Counter[str] = Counter()
        for i in range(count):
            text = bytearray(
                "".join(json.dumps(row(j)) + "\n" for j in range(4)).encode()
            )
            for _ in range(draw.randint(1, 6)):
                damage(text, draw)
            path = tmp_path / draw.choice(["a.jsonl", "a.json", "a.csv", "a.jsonl.gz"])
            path.write_bytes(bytes(text))
            try:
                made = mix(
                    spec([path.name], on_error="skip"),
                    tmp_path / "out",
                    base=tmp_path,
                    workers=1,
                )
            except MixError as error:
                told[str(error).partition(": ")[0]] += 1
                continue
            assert counts_add_up(made), i
            assert len(read(made.data)) == sum(p.rows for p in made.manifest.parts)
            for part in made.manifest.parts:
                told.update(part.faults)
        print(dict(told.most_common()))
        assert told["not-json"] > count / 10


def damage(text: bytearray, draw: random.Random) -> None:
    """One change of one place."""
    if not text:
        return
    at = draw.randrange(len(text))
    kind = draw.randrange(5)
    if kind == 0:
        text[at] = draw.randrange(256)
    elif kind == 1:
        del text[at : at + draw.randint(1, 40)]
    elif kind == 2:
        text[at:at] = text[at : at + draw.randint(1, 40)]
    elif kind == 3:
        text[at:at] = draw.choice([b"\0", b"\n", b'"', b"{", b"[", b"\xff", b"null"])
    else:
        words = [b"user", b"assistant", b"messages", b"content", b"role"]
        word = draw.choice(words)
        text[:] = bytes(text).replace(word, draw.choice([b"", b"x", b"\\u0000"]), 1)


SCRIPT = """
import sys
from axolotl_sftguide.mixing import load_mix, mix
import json
made = mix(json.loads(sys.argv[1]), sys.argv[2], base=sys.argv[2], workers=2)
print(made.built)
"""


class TestWorkers:
    @pytest.mark.parametrize("module", ["orjson", "logging", "axolotl_sftguide"])
    def test_import_nothing_from_the_working_folder(
        self, tmp_path: Path, module: str
    ) -> None:
        for name in ("a", "b"):
            write(tmp_path / f"{name}.jsonl", [row(i, name) for i in range(5)])
        trap = tmp_path / f"{module}.py"
        trap.write_text("import pathlib; pathlib.Path('executed').touch()")
        # The parent imports everything before it enters the folder.
        script = """if True:
            import os, sys
            from axolotl_sftguide.mixing import mix
            os.chdir(sys.argv[1])
            datasets = [{"path": "a.jsonl"}, {"path": "b.jsonl"}]
            spec = {"phases": [{"name": "all", "datasets": datasets}]}
            print(sum(p.rows for p in mix(spec, "mixes", workers=2).manifest.parts))
        """
        run = [sys.executable, "-c", script, str(tmp_path)]
        done = subprocess.run(run, capture_output=True, text=True, timeout=120)
        assert done.stdout.strip() == "10", done.stderr
        assert not (tmp_path / "executed").exists()

    def test_load_the_package_from_where_the_parent_has_it(
        self, tmp_path: Path
    ) -> None:
        """A clone on the path of one script only, and nothing in PYTHONPATH."""
        for name in ("a", "b"):
            write(tmp_path / f"{name}.jsonl", [row(i, name) for i in range(5)])
        script = """if True:
            import sys
            sys.path.insert(0, sys.argv[1])
            from axolotl_sftguide.mixing import mix
            datasets = [{"path": "a.jsonl"}, {"path": "b.jsonl"}]
            spec = {"phases": [{"name": "all", "datasets": datasets}]}
            print(sum(p.rows for p in mix(spec, "mixes", workers=2).manifest.parts))
        """
        project = str(Path(__file__).parent.parent)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, "-c", script, project],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout.strip() == "10", done.stderr


class TestConcurrency:
    def begin(self, tmp_path: Path) -> subprocess.Popen[str]:
        text = json.dumps(spec(["a.jsonl"], ["b.jsonl"]))
        words = [sys.executable, "-c", SCRIPT, text, str(tmp_path)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    @pytest.fixture
    def two_phases(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write(tmp_path / f"{name}.jsonl", [row(i, name) for i in range(20_000)])

    def test_one_of_several_concurrent_processes_builds(
        self, two_phases: None, tmp_path: Path
    ) -> None:
        begun = [self.begin(tmp_path) for _ in range(3)]
        said = [p.communicate(timeout=120)[0].strip() for p in begun]
        assert sorted(said) == ["False", "False", "True"]
        assert len(list(tmp_path.glob("stacked-*"))) == 1

    def test_a_kill_at_any_moment_leaves_no_partial_mix(
        self, two_phases: None, tmp_path: Path
    ) -> None:
        draw = random.Random(0)
        for _ in range(10):
            process = self.begin(tmp_path)
            time.sleep(draw.uniform(0.05, 1.2))
            process.kill()
            process.communicate()
            for folder in tmp_path.glob("stacked-*"):
                assert verify(folder, base=tmp_path) == []
        said, _ = self.begin(tmp_path).communicate(timeout=120)
        assert said.strip() in ("True", "False")
        (folder,) = tmp_path.glob("stacked-*")
        assert verify(folder, base=tmp_path) == []
        assert [p for p in tmp_path.iterdir() if ".building" in p.name] == []


def test_ctrl_c_ends_it_in_one_line_and_leaves_nothing_half_written(
    tmp_path: Path,
) -> None:
    """A terminal sends the signal to all processes of the command."""
    turns = [
        {"role": "user", "content": "a" * 9000},
        {"role": "assistant", "content": "b"},
    ]
    line = json.dumps({"messages": turns}) + "\n"
    (tmp_path / "a.jsonl").write_text(line * 5000)
    spec = {"phases": [{"name": "p", "datasets": [{"path": "a.jsonl"}]}]}
    (tmp_path / "spec.yml").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "axolotl_sftguide", "mix", "spec.yml", "-o", "o"]
    process = subprocess.Popen(
        [*command, "--workers", "2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (workers := psutil.Process(process.pid).children()):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said == "Interrupted: no mix was written.\n"
    assert process.returncode == 130
    assert [p.name for p in (tmp_path / "o").iterdir() if p.suffix != ".lock"] == []
    assert psutil.wait_procs(workers, timeout=10)[1] == []


class TestVerify:
    def test_a_mix_of_version_0_1_0_is_verified_and_gives_the_same_bytes(
        self, tmp_path: Path
    ) -> None:
        """Its manifest counts faults by their text; its id has another form."""
        old = Path(__file__).parent / "assets" / "version-0.1.0" / "mix"
        shutil.copytree(old, tmp_path, dirs_exist_ok=True)
        (folder,) = (tmp_path / "mixes").iterdir()
        assert verify(folder, base=tmp_path) == []
        before = json.loads((folder / "manifest.json").read_text())
        again = mix(tmp_path / "spec.yml", tmp_path / "mixes", base=tmp_path)
        assert (again.built, again.folder == folder) == (True, False)
        assert again.data.read_bytes() == (folder / "data.jsonl").read_bytes()
        (part,) = before["parts"]
        assert part["faults"] == {"is not JSON": 1, "the answer is empty": 2}
        (part,) = again.manifest.parts
        assert part.faults == {"answer-empty": 2, "not-json": 1}

    @pytest.fixture
    def made(self, make: Callable[..., Mixed], tmp_path: Path) -> Mixed:
        write(tmp_path / "a.jsonl", [row(i) for i in range(50)])
        write(tmp_path / "test.jsonl", [row(i) for i in range(5)])
        return make(["a.jsonl"], held_out=0.1, exclude=["test.jsonl"])

    def test_a_new_mix_verifies(self, made: Mixed, tmp_path: Path) -> None:
        assert verify(made.folder, base=tmp_path) == []

    def test_a_changed_byte_is_reported(self, made: Mixed, tmp_path: Path) -> None:
        data = bytearray(made.data.read_bytes())
        data[100] ^= 1
        made.data.write_bytes(bytes(data))
        assert verify(made.folder, base=tmp_path) == [
            f"{made.data}: changed since it was written"
        ]

    def test_a_missing_file_is_reported(self, made: Mixed, tmp_path: Path) -> None:
        assert made.held_out is not None
        made.held_out.unlink()
        (problem,) = verify(made.folder, base=tmp_path)
        assert problem.endswith("held-out.jsonl: missing")

    @pytest.mark.parametrize("name", ["a.jsonl", "test.jsonl"])
    def test_a_changed_source_is_reported(
        self, made: Mixed, tmp_path: Path, name: str
    ) -> None:
        write(tmp_path / name, [row(99)])
        assert verify(made.folder, base=tmp_path) == [
            f"{name}: changed since the mix was built"
        ]

    def test_a_missing_source_is_reported(self, made: Mixed, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").unlink()
        (problem,) = verify(made.folder, base=tmp_path)
        assert problem.startswith("a.jsonl: no such file")

    def test_a_forged_file_with_a_forged_checksum_is_reported(
        self, made: Mixed, tmp_path: Path
    ) -> None:
        """A forged manifest, whose checksum fits a forged file."""
        import hashlib

        lines = made.data.read_text().splitlines(keepends=True)
        forged = "".join(reversed(lines)).encode()
        made.data.write_bytes(forged)
        path = made.folder / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["written"]["data.jsonl"]["sha256"] = hashlib.sha256(forged).hexdigest()
        path.write_text(json.dumps(manifest))
        assert verify(made.folder, base=tmp_path) == [
            f"{made.folder}: building again from the same sources gives different bytes"
        ]

    def test_a_folder_without_a_mix_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MixError, match=r"nowhere: no such folder$"):
            verify(tmp_path / "nowhere")
        with pytest.raises(MixError, match=r"not a mix, as it has no manifest\.json"):
            verify(tmp_path)
        (tmp_path / "manifest.json").write_text("{}")
        with pytest.raises(MixError, match="not a manifest of this version"):
            verify(tmp_path)
        with pytest.raises(MixError) as caught:
            verify(tmp_path.parent)
        assert str(caught.value).endswith(f"name a mix in it, such as {tmp_path}")


class TestCommand:
    @pytest.fixture
    def run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[dict[str, Any]], Any]:
        monkeypatch.chdir(tmp_path)

        def mix_of(settings: dict[str, Any]) -> Any:
            (tmp_path / "spec.yml").write_text(json.dumps(settings))
            return CliRunner().invoke(main, ["mix", "spec.yml"])

        return mix_of

    def test_it_prints_the_row_counts_and_the_config_lines(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "a.jsonl", [row(i) for i in range(20)] + [row(0)])
        (tmp_path / "spec.yml").write_text(json.dumps(spec(["a.jsonl"])))
        words = ["mix", "spec.yml", "-o", "out", "--strategy", "phased"]
        done: Any = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        assert "a.jsonl: 1 row left out: duplicate of a row in a.jsonl" in done.output
        (data,) = tmp_path.glob("out/phased-*/data.jsonl")
        assert f"path: {data.relative_to(tmp_path)}" in done.output
        assert "shuffle_merged_datasets: false" in done.output
        again: Any = CliRunner().invoke(main, words)
        assert "already exists" in again.output
        proof: Any = CliRunner().invoke(main, ["mix", "verify", str(data.parent)])
        assert proof.exit_code == 0
        data.write_text("")
        proof = CliRunner().invoke(main, ["mix", "verify", str(data.parent)])
        assert proof.exit_code == 1

    def test_the_help_shows_all_options_and_verify(self) -> None:
        runner = CliRunner()
        for flag in ("-h", "--help"):
            done: Any = runner.invoke(main, ["mix", flag])
            assert done.exit_code == 0
            for text in ("SPEC", "--output-dir", "--strategy", "--seed", "--workers"):
                assert text in done.output
            assert "--json" in done.output
            assert "verify FOLDER" in done.output
            done = runner.invoke(main, ["mix", "verify", flag])
            assert "mix verify [OPTIONS] FOLDER" in done.output
        done = runner.invoke(main, ["mix"])
        assert "Missing argument 'SPEC'" in done.output

    def test_a_strategy_that_conflicts_with_the_spec_gets_a_one_line_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        settings = spec([{"path": "a.jsonl", "share": 0.5}, "b.jsonl"])
        (tmp_path / "spec.yml").write_text(json.dumps(settings))
        words = ["mix", "spec.yml", "--strategy", "phased"]
        done: Any = CliRunner().invoke(main, words)
        assert done.exit_code == 2
        assert "share needs strategy: stacked" in done.output

    def test_without_its_dependencies_it_names_the_extra_to_install(
        self, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [n for n in sys.modules if n.startswith("axolotl_sftguide.mixing")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr("axolotl_sftguide.mixing", raising=False)
        monkeypatch.setitem(sys.modules, "orjson", None)
        done = run(spec(["a.jsonl"]))
        assert done.exit_code == 2
        assert "pip install 'axolotl-sftguide[mix]'" in done.output

    def test_host_settings_are_in_the_config_lines(
        self, run: Callable[..., Any], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(3)])
        dataset = {"path": "a.jsonl", "chat_template": "chatml", "train_on_eos": "last"}
        said = run(spec([dataset])).output
        assert "chat_template: chatml" in said
        assert "train_on_eos: last" in said

    def test_host_settings_must_agree_between_datasets(
        self, run: Callable[..., Any], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(0)])
        other = {"path": "a.jsonl", "train_on_eos": "last"}
        said = run(spec(["a.jsonl", other])).output
        assert "train_on_eos is None in one dataset and 'last' in another" in said

    def test_training_flags_are_mentioned_with_what_each_host_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "a.jsonl", [{**row(0), "unmask": True}])
        (tmp_path / "spec.yml").write_text(json.dumps(spec(["a.jsonl"])))
        done: Any = CliRunner().invoke(main, ["mix", "spec.yml"])
        assert "TRL ignores them" in done.output
        assert "message_field_training: train" in done.output

    def test_an_error_has_the_file_a_colon_and_the_dotted_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        wrong = {"sed": 1, "phases": [{"name": "one"}]}
        of_config = {"sftguide": {"mix": {"phases": 1}}}
        for config, lines in (
            (
                wrong,
                [
                    "Error: spec.yml: phases.0.datasets: is required",
                    "spec.yml: sed: is not a setting. Did you mean 'seed'?",
                ],
            ),
            (
                of_config,
                ["Error: spec.yml: sftguide.mix.phases: must be a list, got 1"],
            ),
        ):
            (tmp_path / "spec.yml").write_text(json.dumps(config))
            done: Any = CliRunner().invoke(main, ["mix", "spec.yml"])
            assert done.exit_code == 2
            assert done.output.splitlines() == lines

    def test_an_error_is_printed_without_a_traceback(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "spec.yml").write_text("seed: 1")
        done: Any = CliRunner().invoke(main, ["mix", "spec.yml"])
        assert done.exit_code == 2
        assert "contains neither `phases` nor `sftguide.mix`\n" in done.output
        (tmp_path / "spec.yml").write_text("seed: 1\nphazes: []")
        done = CliRunner().invoke(main, ["mix", "spec.yml"])
        assert "`sftguide.mix`; did you mean 'phases'?" in done.output
