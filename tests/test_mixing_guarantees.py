"""What a mix guarantees: nothing excluded or held out is trained, nothing is stale."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from axolotl_sftguide.cli import main
from axolotl_sftguide.errors import MixError
from axolotl_sftguide.mixing import Mixed, mix, verify
from axolotl_sftguide.mixing import _build as build


def row(i: int, **more: Any) -> dict[str, Any]:
    return {"question": f"How many are {i}?", "answer": f"There are {i}.", **more}


def write(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))


def spec(*sources: Any, **settings: Any) -> dict[str, Any]:
    datasets = [s if isinstance(s, dict) else {"path": s} for s in sources]
    return {"phases": [{"name": "p", "datasets": datasets}], **settings}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Mixed]:
    def run(*sources: Any, **settings: Any) -> Mixed:
        out = tmp_path / "mixes"
        return mix(spec(*sources, **settings), out, base=tmp_path, workers=1)

    return run


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def run(*sources: Any, **settings: Any) -> Any:
        Path("spec.yml").write_text(json.dumps(spec(*sources, **settings)))
        return CliRunner().invoke(main, ["mix", "spec.yml", "-o", "out"])

    return run


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    return [json.loads(line) for line in path.read_text().splitlines()]


def contents(path: Path | None) -> list[str]:
    assert path is not None
    return [json.dumps(r["messages"]) for r in rows_of(path)]


class TestExcluded:
    def test_rows_that_cannot_be_read_are_a_fault(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(1), row(2)])
        write(tmp_path / "test.jsonl", [{"question": "q", "expected_answer": "a"}])
        for on_error in ("fail", "skip"):
            with pytest.raises(MixError, match=r"^exclude: test\.jsonl: row 1: "):
                make("a.jsonl", exclude=["test.jsonl"], on_error=on_error)

    def test_files_that_break_off_are_a_fault(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(1)])
        (tmp_path / "test.json").write_text(f"[{json.dumps(row(1))}, {{")
        with pytest.raises(MixError, match=r"exclude: test\.json: .* after 1 row"):
            make("a.jsonl", exclude=["test.json"])

    @pytest.mark.parametrize(
        "own",
        [
            {"question": "How many  are 3?"},
            {"question": "How many are 3?", "expected_answer": "another"},
            {"prompt": [{"role": "user", "content": "How many are 3?"}]},
            {"messages": [{"role": "user", "content": "How many are 3?"}]},
            {"question_id": 81, "turns": ["How many are 3?"], "category": "math"},
            {"question_id": 82, "turns": ["How many are 3?", "And twice that?"]},
        ],
    )
    def test_questions_need_no_answer(
        self, make: Callable[..., Mixed], tmp_path: Path, own: dict[str, Any]
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(5)])
        write(tmp_path / "test.jsonl", [own, {"question": "What else?"}])
        made = make("a.jsonl", exclude=["test.jsonl"], exclude_by="question")
        assert sorted(r["row"] for r in rows_of(made.data)) == [1, 2, 3, 5]
        (file,) = made.manifest.excluded_files
        assert (file["rows"], file["matched"]) == (2, 1)
        assert verify(made.folder, base=tmp_path) == []

    def test_rows_that_matched_are_printed(
        self, command: Callable[..., Any], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(5)])
        write(tmp_path / "test.jsonl", [row(3), row(4), row(5)])
        write(tmp_path / "other.jsonl", [row(9)])
        said = command("a.jsonl", exclude=["test.jsonl", "other.jsonl"]).output
        assert "test.jsonl: 2 of 3 rows matched and excluded" in said
        assert "other.jsonl: 0 of 1 row matched and excluded" in said


class TestHeldOut:
    @pytest.mark.parametrize("deduplicate", [True, False])
    @pytest.mark.parametrize("repeats", [1.0, 3.0])
    def test_conversations_are_not_trained(
        self,
        make: Callable[..., Mixed],
        tmp_path: Path,
        deduplicate: bool,
        repeats: float,
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i % 20) for i in range(60)])
        write(tmp_path / "b.jsonl", [row(i) for i in range(40)])
        a = {"path": "a.jsonl", "repeats": repeats}
        made = make(a, "b.jsonl", held_out=0.2, deduplicate=deduplicate)
        aside = contents(made.held_out)
        assert aside
        assert not set(aside) & set(contents(made.data))
        for part in made.manifest.parts:
            duplicates = sum(part.duplicates.values())
            rest = part.rows - part.repeated + part.held_out + part.not_drawn
            assert part.rows_read == duplicates + rest

    def test_share_of_less_than_a_row_is_refused(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(10)])
        with pytest.raises(MixError, match=r"held_out: 0\.01 of 10 rows is less"):
            make("a.jsonl", held_out=0.01)


class TestDuplicates:
    def test_programs_of_other_indentation_are_not(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        texts = [
            "for i in x:\n    a(i)\n    b(i)",
            "for i in x:\n    a(i)\nb(i)",
            "for i in x:\n\ta(i)\n\tb(i)",
        ]
        rows = [{"question": "q", "answer": text} for text in texts]
        write(tmp_path / "a.jsonl", [*rows, {**rows[0], "answer": texts[0] + "\n "}])
        made = make("a.jsonl")
        assert made.manifest.parts[0].duplicates == {"a.jsonl": 1}
        assert made.manifest.parts[0].rows == 3

    def test_calls_of_another_order_of_keys_are(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        def called(arguments: Any) -> dict[str, Any]:
            call = {"name": "f", "arguments": arguments}
            answer = {"role": "assistant", "content": "", "tool_calls": [call]}
            return {"messages": [{"role": "user", "content": "q"}, answer]}

        same = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, '{"b":2,"a":1}']
        write(tmp_path / "a.jsonl", [called(own) for own in [*same, {"a": 2}]])
        assert make("a.jsonl").manifest.parts[0].rows == 2


class TestEmpty:
    def test_share_of_duplicates_alone_is_refused_with_counts(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(5)])
        write(tmp_path / "b.jsonl", [row(i) for i in range(3)])
        with pytest.raises(MixError) as caught:
            make("a.jsonl", {"path": "b.jsonl", "share": 0.2})
        assert str(caught.value) == (
            "b.jsonl: share is 0.2, but none of its 3 rows is left (3 duplicates)"
        )

    def test_share_of_less_than_a_row_is_refused(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(i) for i in range(5)])
        write(tmp_path / "b.jsonl", [row(9)])
        with pytest.raises(MixError, match=r"share is 0\.01, but none of its 1 row"):
            make("a.jsonl", {"path": "b.jsonl", "share": 0.01})

    def test_mix_of_excluded_rows_alone_is_refused(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(1)])
        with pytest.raises(MixError, match="Nothing to mix: none of 1 row is left"):
            make("a.jsonl", exclude=["a.jsonl"])


def test_rows_that_a_share_costs_are_reported_with_what_would_keep_them(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [row(i) for i in range(100)])
    write(tmp_path / "b.jsonl", [row(i) for i in range(100, 110)])
    b = {"path": "b.jsonl", "share": 0.5}
    assert (
        "b.jsonl has too few rows for share: 0.5, so that 90 rows of a.jsonl are left "
        "out; upsample: true keeps them"
    ) in command("a.jsonl", b).output
    assert "too few rows" not in command("a.jsonl", b, upsample=True).output
    fitting = {"path": "b.jsonl", "share": 10 / 110}
    assert "too few rows" not in command("a.jsonl", fitting).output


class TestWhere:
    @pytest.mark.parametrize(
        ("where", "why"),
        [
            ({"langauge": "en"}, "no row has this column; did you mean 'language'?"),
            ({"language": False}, "quote them"),
            ({"language": [True, "en"]}, "True is a boolean"),
            ({"level": "2"}, "'2' is a text, and no row has one there"),
            ({"language": 5}, "quote the value"),
            ({"language": "sv"}, "where: none of 4 rows matches"),
        ],
    )
    def test_that_cannot_match_is_refused(
        self, make: Callable[..., Mixed], tmp_path: Path, where: Any, why: str
    ) -> None:
        rows = [row(i, language=["en", "no"][i % 2], level=i) for i in range(4)]
        write(tmp_path / "a.jsonl", rows)
        write(tmp_path / "b.jsonl", [row(9)])
        for on_error in ("fail", "skip"):
            with pytest.raises(MixError) as caught:
                make({"path": "a.jsonl", "where": where}, "b.jsonl", on_error=on_error)
            assert why in str(caught.value)
            assert "\n" not in str(caught.value)

    def test_does_not_take_true_for_one(
        self, make: Callable[..., Mixed], tmp_path: Path
    ) -> None:
        write(tmp_path / "a.jsonl", [row(1, ok=True), row(2, ok=1), row(3, ok=1.0)])
        made = make({"path": "a.jsonl", "where": {"ok": 1}})
        assert sorted(r["row"] for r in rows_of(made.data)) == [2, 3]


def test_text_that_would_be_lost_is_one_line_for_a_source(
    make: Callable[..., Mixed], tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [row(i, hint=f"hint {i}") for i in range(2000)])
    for on_error in ("fail", "skip"):
        with pytest.raises(MixError) as caught:
            make("a.jsonl", on_error=on_error)
        assert str(caught.value) == (
            "a.jsonl: 2,000 rows with content in the column `hint`, which the mix "
            "would lose. Append to the question with field_input: hint, or leave out "
            "with ignore: [hint]"
        )
    made = make({"path": "a.jsonl", "ignore": ["hint"]})
    assert made.manifest.parts[0].not_read == {"hint": 2000}
    assert (
        make({"path": "a.jsonl", "field_input": "hint"}).manifest.parts[0].rows == 2000
    )


def test_a_mix_of_a_mix_has_the_same_conversations(
    make: Callable[..., Mixed], tmp_path: Path
) -> None:
    ask = {"role": "user", "content": "q"}
    parts = [
        {"type": "text", "text": "a", "train": False},
        {"type": "text", "text": " b"},
    ]
    call = {"name": "f", "arguments": {"b": 1, "a": None}}
    rows = [
        {"messages": [ask, {"role": "assistant", "content": parts}], "tools": [call]},
        {"messages": [ask, {"role": "assistant", "content": "a", "thinking": "hm"}]},
        {
            "messages": [ask, {"role": "assistant", "content": "c", "weight": 0.0}],
            "chat_template_kwargs": {"enable_thinking": False},
        },
        {"messages": [ask, {"role": "assistant", "content": "", "tool_calls": [call]}]},
    ]
    write(tmp_path / "a.jsonl", rows)
    first = make("a.jsonl")
    again = make(str(first.data))
    wanted, found = (
        sorted(
            json.dumps({k: r[k] for k in r if k not in ("source", "row")})
            for r in rows_of(made.data)
        )
        for made in (first, again)
    )
    assert found == wanted
    assert again.manifest.parts[0].not_read == {"phase": 4, "row": 4, "source": 4}


def test_columns_that_are_left_out_are_printed(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [row(i, id=i, origin_url="x") for i in range(3)])
    said = command("a.jsonl").output
    assert "a.jsonl: not part of the conversations: id (3), origin_url (3)" in said


def test_the_masks_of_completions_are_explained_to_users_of_trl(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [{"prompt": "q", "completion": "a"}])
    assert "assistant_only_loss=True" in command("a.jsonl").output


def test_the_table_fits_into_80_columns(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    write(folder / "rows.jsonl", [row(i % 50) for i in range(60)])
    path = str(folder / "rows.jsonl")
    own = {"path": path, "repeats": 2.0}
    said = command(own, held_out=0.1).output
    table = [line for line in said.splitlines() if line[:1] in "┏┃┡│└"]
    assert table
    assert max(map(len, table)) <= 80
    assert "10 rows left out: duplicate of a row in" in said


class TestFound:
    @pytest.fixture(params=["jsonl", "parquet"])
    def made(self, make: Callable[..., Mixed], tmp_path: Path, request: Any) -> Mixed:
        more = {} if request.param == "jsonl" else {"reasoning": "hm"}
        write(tmp_path / "a.jsonl", [row(i, **more) for i in range(30)])
        made = make("a.jsonl", held_out=0.1)
        assert made.data.name == f"data.{request.param}"
        return made

    @pytest.mark.parametrize("damage", ["deleted", "cut off", "changed", "manifest"])
    def test_damaged_it_is_built_again(
        self, make: Callable[..., Mixed], made: Mixed, damage: str
    ) -> None:
        whole = made.data.read_bytes()
        if damage == "deleted":
            made.data.unlink()
        elif damage == "cut off":
            os.truncate(made.data, len(whole) // 2)
        elif damage == "changed":
            made.data.write_bytes(whole[:50] + b"#" + whole[51:])
        else:
            (made.folder / "manifest.json").write_text("{}")
        again = make("a.jsonl", held_out=0.1)
        assert again.built
        assert again.data.read_bytes() == whole
        assert not make("a.jsonl", held_out=0.1).built

    def test_it_is_verified(self, made: Mixed, tmp_path: Path) -> None:
        assert verify(made.folder, base=tmp_path) == []

    @pytest.mark.parametrize(
        "path",
        [
            ["parts", 0, "rows"],
            ["parts", 0, "duplicates"],
            ["parts", 0, "not_read"],
            ["trains_by_turn"],
            ["largest_prefix_deviation_rows"],
            ["settings", "seed"],
            ["settings", "phases", 0, "datasets", 0, "train_on_eos"],
            ["form"],
        ],
    )
    def test_a_manifest_that_was_edited_is_not(
        self, made: Mixed, tmp_path: Path, path: list[Any]
    ) -> None:
        manifest = json.loads((made.folder / "manifest.json").read_text())
        holder: Any = manifest
        for key in path[:-1]:
            holder = holder[key]
        other = {bool: True, int: 77, float: 0.5, dict: {"x": 1}}
        holder[path[-1]] = other.get(type(holder[path[-1]]), "last")
        (made.folder / "manifest.json").write_text(json.dumps(manifest))
        assert verify(made.folder, base=tmp_path)

    def test_a_file_that_was_added_is_named(self, made: Mixed, tmp_path: Path) -> None:
        (made.folder / "data-2.jsonl").write_text("{}\n")
        (problem,) = verify(made.folder, base=tmp_path)
        assert problem.endswith("data-2.jsonl: not part of the mix")

    def test_a_folder_of_another_name_is_named(
        self, made: Mixed, tmp_path: Path
    ) -> None:
        other = made.folder.with_name("stacked-0123456789ab")
        shutil.move(made.folder, other)
        (problem,) = verify(other, base=tmp_path)
        assert "the id of its settings and sources is" in problem


def test_parquet_that_another_version_of_pyarrow_wrote_is_verified_by_its_rows(
    make: Callable[..., Mixed], tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [row(i, reasoning="hm") for i in range(30)])
    made = make("a.jsonl")

    def written_anew(table: pa.Table) -> list[str]:
        import hashlib

        pq.write_table(table, made.data, compression="none")
        path = made.folder / "manifest.json"
        manifest = json.loads(path.read_text())
        own = manifest["written"]["data.parquet"]
        own["sha256"] = hashlib.sha256(made.data.read_bytes()).hexdigest()
        own["size_bytes"] = made.data.stat().st_size
        path.write_text(json.dumps(manifest))
        return verify(made.folder, base=tmp_path)

    table = pq.read_table(made.data)
    assert written_anew(table) == []
    (problem,) = written_anew(table.take(list(range(29, -1, -1))))
    assert "different rows" in problem


def test_an_edited_size_of_a_parquet_file_is_named(
    make: Callable[..., Mixed], tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [row(i, reasoning="hm") for i in range(3)])
    made = make("a.jsonl")
    path = made.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["written"]["data.parquet"]["size_bytes"] += 1
    path.write_text(json.dumps(manifest))
    (problem,) = verify(made.folder, base=tmp_path)
    assert "(size of data.parquet)" in problem


@pytest.mark.parametrize("value", [[], {"a": 1}, None, 5, ""])
def test_a_manifest_whose_checksum_is_no_text_is_refused(
    value: Any, make: Callable[..., Mixed], tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [row(i) for i in range(3)])
    made = make("a.jsonl")
    path = made.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["parts"][0]["files"][0]["sha256"] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(MixError, match="a file has no name"):
        verify(made.folder, base=tmp_path)


def test_a_source_that_changes_while_it_is_read_is_noticed(
    make: Callable[..., Mixed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.jsonl", [row(i) for i in range(30)])
    write(tmp_path / "b.jsonl", [row(i) for i in range(30)])
    spool = build.spool

    def replacing(*arguments: Any) -> Any:
        (tmp_path / "b.jsonl").replace(tmp_path / "a.jsonl")
        monkeypatch.setattr(build, "spool", spool)
        return spool(*arguments)

    monkeypatch.setattr(build, "spool", replacing)
    with pytest.raises(MixError, match=r"^a\.jsonl: changed while it was read"):
        make("a.jsonl")
    assert make("a.jsonl").built


def test_the_tokenizer_that_is_checked_is_the_one_that_counts(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies below `base`, and another of its name in the working folder."""
    write(tmp_path / "a.jsonl", [row(i) for i in range(5)])
    shutil.copytree(base, tmp_path / "own")
    here = tmp_path / "here"
    shutil.copytree(base, here / "own")
    config = json.loads((here / "own" / "tokenizer_config.json").read_text())
    longer = config | {"chat_template": "{{ messages }} and more"}
    (here / "own" / "tokenizer_config.json").write_text(json.dumps(longer))
    (here / "own" / "chat_template.jinja").unlink()
    monkeypatch.chdir(here)
    settings = spec("a.jsonl", shares_by="tokens", tokenizer="own")
    made = mix(settings, tmp_path / "mixes", base=tmp_path, workers=1)
    monkeypatch.chdir(tmp_path)
    again = mix(settings, tmp_path / "again", base=tmp_path, workers=1)
    assert made.manifest.parts[0].tokens == again.manifest.parts[0].tokens
