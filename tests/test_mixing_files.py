"""Which files a source names, and what a file is that is not what it seems."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from axolotl_sftguide.errors import MixError
from axolotl_sftguide.mixing import Mixed, mix
from axolotl_sftguide.mixing import _json_values as json_values
from axolotl_sftguide.mixing._folders import splits_of


def row(i: int) -> dict[str, Any]:
    return {"question": f"How many are {i}?", "answer": f"There are {i}."}


def write(path: Path, *numbers: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row(i)) + "\n" for i in numbers))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Mixed]:
    def run(source: Any, base: Path = tmp_path, **settings: Any) -> Mixed:
        dataset = source if isinstance(source, dict) else {"path": source}
        spec = {"phases": [{"name": "p", "datasets": [dataset]}], **settings}
        return mix(spec, tmp_path / "mixes", base=base, workers=1)

    return run


def numbers(made: Mixed) -> list[int]:
    lines = made.data.read_text().splitlines()
    asked = [json.loads(line)["messages"][0]["content"] for line in lines]
    return sorted(int(text.split()[-1].rstrip("?")) for text in asked)


class TestFolders:
    def test_give_their_training_split_by_the_names_of_files(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a" / "train.jsonl", 1, 2)
        write(tmp_path / "a" / "test.jsonl", 8)
        write(tmp_path / "b" / "data" / "train-00000-of-00001.jsonl", 3)
        write(tmp_path / "b" / "data" / "validation-00000-of-00001.jsonl", 9)
        write(tmp_path / "c" / "train" / "x.jsonl", 4)
        write(tmp_path / "c" / "dev" / "x.jsonl", 7)
        assert [numbers(make(name)) for name in "abc"] == [[1, 2], [3], [4]]

    def test_without_a_training_split_ask_for_the_split(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a" / "test.jsonl", 8)
        with pytest.raises(MixError, match="no split 'train', but test; set split"):
            make("a")

    def test_give_the_split_that_the_readme_configures(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a" / "learn.jsonl", 1)
        write(tmp_path / "a" / "later.jsonl", 2)
        write(tmp_path / "a" / "more" / "x.jsonl", 3)
        configs = (
            "- config_name: default\n  data_files:\n"
            "  - {split: train, path: [learn.jsonl, 'more/*.jsonl']}\n"
            "  - {split: test, path: later.jsonl}\n"
        )
        (tmp_path / "a" / "README.md").write_text(f"---\nconfigs:\n{configs}---\nText")
        made = make("a")
        assert numbers(made) == [1, 3]
        assert made.manifest.notes == []

    @pytest.mark.parametrize(
        "files",
        ["{train: learn.jsonl, test: [later.jsonl]}", "{path: learn.jsonl}"],
    )
    def test_give_the_splits_of_a_mapping_in_the_readme(
        self, files: str, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a" / "learn.jsonl", 1)
        write(tmp_path / "a" / "later.jsonl", 2)
        text = f"---\nconfigs: [{{config_name: default, data_files: {files}}}]\n---\n"
        (tmp_path / "a" / "README.md").write_text(text)
        assert numbers(make("a")) == [1]

    def test_written_by_save_to_disk_are_read_by_their_state(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        import datasets

        rows = datasets.Dataset.from_list([row(1), row(2)])
        rows.save_to_disk(str(tmp_path / "one"))
        both = datasets.DatasetDict({"train": rows, "test": rows.select([0])})
        both.save_to_disk(str(tmp_path / "both"))
        assert numbers(make("one")) == [1, 2]
        assert numbers(make("both")) == [1, 2]
        assert numbers(make({"path": "both", "split": "test"})) == [1]
        with pytest.raises(MixError, match="no split 'tset', but train, test"):
            make({"path": "both", "split": "tset"})
        with pytest.raises(MixError, match="whole splits only"):
            make({"path": "both", "split": "train[:1]"})

    def test_hide_what_begins_with_a_dot(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a" / "x.jsonl", 1)
        write(tmp_path / "a" / ".ipynb_checkpoints" / "x-checkpoint.jsonl", 7)
        write(tmp_path / "a" / "__pycache__" / "y.jsonl", 8)
        write(tmp_path / "a" / ".z.jsonl", 9)
        assert numbers(make("a")) == [1]

    def test_name_what_they_do_not_read(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a" / "x.jsonl", 1)
        write(tmp_path / "a" / "y.jsonl", 2)
        (tmp_path / "a" / "z.csv").write_text("question,answer\nq,a\n")
        write(tmp_path / "elsewhere" / "x.jsonl", 3)
        (tmp_path / "a" / "there").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "a" / "gone.jsonl").symlink_to(tmp_path / "nowhere")
        (tmp_path / "a" / "as_text").write_text("../elsewhere")
        made = make("a")
        assert numbers(made) == [1, 2]
        notes = "\n".join(made.manifest.notes)
        for words in (
            "the linked folder there is not read",
            "gone.jsonl is a link to a file that is missing",
            "as_text is a linked folder or file that Git wrote as text",
            "z.csv",
        ):
            assert words in notes

    @pytest.mark.parametrize(
        "name",
        ["b.jsonl.xz", "b.jsonl.bz2", "b.tsv", "rows.zip", "b.parquet.zip", "b.XLSX"],
    )
    def test_name_files_whose_kind_no_reader_knows(
        self, make: Callable[..., Mixed], tmp_path: Path, name: str
    ) -> None:
        write(tmp_path / "ds" / "a.jsonl", 1)
        (tmp_path / "ds" / name).write_bytes(b"rows")
        (tmp_path / "ds" / "LICENSE.txt").write_text("free")
        (note,) = make("ds").manifest.notes
        assert f"{name} is not read" in note

    def test_read_files_whose_endings_have_capitals(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "ds" / "a.JSONL", 1)
        write(tmp_path / "ds" / "b.jsonl", 2)
        (tmp_path / "ds" / "c.jsonl.GZ").write_bytes(
            gzip.compress((json.dumps(row(3)) + "\n").encode())
        )
        assert numbers(make("ds")) == [1, 2, 3]
        assert numbers(make("ds/a.JSONL")) == [1]

    def test_give_the_split_of_the_folder_that_the_readme_names(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "ds" / "en" / "train.jsonl", 1)
        write(tmp_path / "ds" / "en" / "test.jsonl", 2)
        write(tmp_path / "ds" / "fr" / "train.jsonl", 3)
        card = "---\nconfigs:\n- config_name: default\n  data_dir: en\n---\n"
        (tmp_path / "ds" / "README.md").write_text(card)
        assert numbers(make("ds")) == [1]

    def test_that_are_excluded_are_excluded_whole(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", 1, 2, 3)
        write(tmp_path / "eval" / "test.jsonl", 1)
        write(tmp_path / "eval" / "validation.jsonl", 2)
        assert numbers(make("a.jsonl", exclude=["eval"])) == [3]

    @pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
    def test_have_the_splits_that_datasets_finds(
        self, tmp_path: Path, count: int
    ) -> None:
        from datasets.data_files import DataFilesDict, get_data_patterns

        draw = random.Random(3)
        words = (
            "train training test dev val valid eval evaluation x mytrain trains".split()
        )
        for number in range(count):
            folder = tmp_path / str(number)
            names = set()
            for _ in range(draw.randint(1, 5)):
                word = draw.choice(words)
                names.add(
                    draw.choice(
                        ["", "data/", f"{draw.choice(words)}/", "a b/", "sub_x/"]
                    )
                    + draw.choice(["", "my_", "my-", "0", "a "])
                    + word
                    + draw.choice(["", "_1", "-00000-of-00002", "s", "0"])
                    + ".jsonl"
                )
            for name in names:
                write(folder / name, 1)
            try:
                patterns = get_data_patterns(str(folder))
            except ValueError:  # a part of a name that cannot be a split
                continue
            found = DataFilesDict.from_patterns(patterns, str(folder))
            expected = {
                str(split): sorted(os.path.relpath(f, folder) for f in set(files))
                for split, files in found.items()
            }
            own = {s: sorted(f) for s, f in splits_of(sorted(names)).items()}
            assert own == expected, names


class TestPaths:
    def test_may_have_brackets(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        base = tmp_path / "in [a]"
        write(base / "my[data]" / "x.jsonl", 1)
        for source in (
            "my[data]",
            "my[data]/x.jsonl",
            "m*/*.jsonl",
            {"path": "my[data]", "data_files": "x.jsonl"},
            {"path": "my[data]", "data_files": "*.jsonl"},
        ):
            assert numbers(make(source, base=base)) == [1]

    def test_that_match_folders_alone_are_refused(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a1" / "x.jsonl", 1)
        with pytest.raises(MixError, match=r"a\*: matches folders only"):
            make("a*")


def zipped(text: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("x.jsonl", text)
    return out.getvalue()


LINES = "".join(json.dumps(row(i)) + "\n" for i in range(3))


class TestHeads:
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (LINES.encode("utf-16"), "UTF-16"),
            (LINES.encode("utf-16-le"), "UTF-16"),
            (b"version https://git-lfs.github.com/spec/v1\noid x\n", "git lfs pull"),
            (b"<!DOCTYPE html><html>Sign in</html>", "HTML"),
            (zipped(LINES.encode()), "ZIP"),
            (b"PAR1" + b"\0" * 80, "ds_type: parquet"),
            (LINES.replace("\n", "\r").encode(), "CR alone"),
            (
                json.dumps({"version": 1, "data": [row(1), row(2)]}, indent=2).encode(),
                "its key `data` holds a list of rows",
            ),
        ],
    )  # fmt: skip
    def test_of_another_kind_of_file_are_told_in_one_line(
        self, make: Callable[..., Mixed], tmp_path: Path, content: bytes, why: str
    ) -> None:
        (tmp_path / "a.jsonl").write_bytes(content)
        for on_error in ("fail", "skip"):
            with pytest.raises(MixError, match=why) as caught:
                make("a.jsonl", on_error=on_error)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid x\n", "git lfs pull"),
            (b"/annex/objects/SHA256E-s10--ab.parquet\n", "git annex get"),
            (b"<!DOCTYPE html><html>Sign in</html>", "HTML"),
            (gzip.compress(b"PAR1", mtime=0), "packed with gzip; unpack it"),
        ],
    )
    def test_of_no_table_are_told_in_one_line(
        self,
        make: Callable[..., Mixed],
        tmp_path: Path,
        name: str,
        content: bytes,
        why: str,
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MixError, match=why) as caught:
            make(name)
        assert "\n" not in str(caught.value)

    def test_of_two_columns_of_one_name_are_refused(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        (tmp_path / "a.csv").write_text("question,answer,answer\nq,first,second\n")
        with pytest.raises(MixError, match="two columns are called 'answer'"):
            make("a.csv")
        (tmp_path / "a.csv").write_text(",question,answer,\n0,How many are 7?,7.,\n")
        assert numbers(make("a.csv")) == [7]

    @pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
    @pytest.mark.parametrize(
        "content",
        [
            "\n".join(json.dumps(row(i), indent=1) for i in range(3)),
            json.dumps([row(i) for i in range(3)], indent=2),
            LINES,
            LINES.replace("\n", "\r\n"),
            "\ufeff" + LINES,
            LINES.replace('"answer"', '"score": NaN, "answer"'),
        ],
    )
    def test_of_rows_in_any_layout_are_read(
        self, make: Callable[..., Mixed], tmp_path: Path, content: str, name: str
    ) -> None:
        for pack in (bytes, gzip.compress, zstandard.compress):
            (tmp_path / name).write_bytes(pack(content.encode()))
            assert numbers(make(name)) == [0, 1, 2]

    def test_of_lines_that_are_lists_of_turns_are_read(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        lines = [
            [
                {"role": "user", "content": row(i)["question"]},
                {"role": "assistant", "content": row(i)["answer"]},
            ]
            for i in range(3)
        ]
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
        assert numbers(make("a.jsonl")) == [0, 1, 2]

    @pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
    def test_a_lone_surrogate_is_refused(
        self, make: Callable[..., Mixed], tmp_path: Path, name: str
    ) -> None:
        text = json.dumps(row(1)).replace("There", "\\ud83d There")
        (tmp_path / name).write_text(f"[{text}]" if name == "a.json" else text)
        with pytest.raises(MixError, match="surrogate"):
            make(name)


def values(text: bytes, array: bool) -> list[Any]:
    return [json.loads(v) for v in json_values.values_of(io.BytesIO(text), array, 9999)]


def test_json_values_are_cut_out_whatever_the_size_of_the_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(1)
    pieces = ['"', "\\", "{", "}", "[", "]", "\n", "\u00e9", ",", 'a\\"b']
    for _ in range(400):
        rows = [
            {
                "k": "".join(draw.choices(pieces, k=draw.randint(0, 6))),
                "l": [{"m": "]"}],
            }
            for _ in range(draw.randint(0, 4))
        ]
        monkeypatch.setattr(json_values, "_READ_BYTES", draw.randint(1, 30))
        indent, ascii_only = draw.choice([None, 1]), draw.choice([True, False])
        text = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
        assert values(text.encode(), array=True) == rows
        lines = "\n".join(json.dumps(r, indent=indent) for r in rows)
        assert values(lines.encode(), array=False) == rows


@pytest.mark.parametrize(
    "text", [b"[{}", b'[{"a": 1', b'["a', b"[{}] {}", b'[{"a": "b}]']
)
def test_an_array_that_does_not_end_is_known(text: bytes) -> None:
    with pytest.raises(json_values.CutOff):
        values(text, array=True)
