"""Near-duplicates, and rows that share n-grams with excluded questions."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from axolotl_sftguide.cli import main
from axolotl_sftguide.errors import MixError, SettingsError
from axolotl_sftguide.mixing import Mixed, load_mix, mix, verify

WORDS = [f"w{i}" for i in range(2000)]


def text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(WORDS, k=words))


def write(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(question: str, answer: str = "It is so.", system: str = "") -> dict[str, Any]:
    turns = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    first = [{"role": "system", "content": system}] if system else []
    return {"messages": [*first, *turns]}


def edited(draw: random.Random, given: str, changes: int) -> str:
    words = given.split()
    for _ in range(changes):
        words[draw.randrange(len(words))] = draw.choice(WORDS)
    return " ".join(words)


def shingles(row: dict[str, Any]) -> set[tuple[str, ...]]:
    found = set()
    for message in row["messages"]:
        words = re.findall(r"\w+", message["content"].lower())
        found |= {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}
    return found


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Mixed]:
    def run(workers: int = 1, **settings: Any) -> Mixed:
        phases = [{"name": "p", "datasets": [{"path": "a.jsonl"}]}]
        spec = {"phases": phases, **settings}
        return mix(spec, tmp_path / f"out{workers}", base=tmp_path, workers=workers)

    return run


def kept(made: Mixed) -> list[int]:
    lines = made.data.read_text().splitlines()
    return sorted(json.loads(line)["row"] for line in lines)


def test_the_library_that_decides_the_rows_is_named_if_another_version_is_installed(
    make: Callable[..., Mixed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(f"question {i}", f"answer {i}") for i in range(9)]
    write(tmp_path / "a.jsonl", rows)
    assert make().manifest.versions == {}
    made = make(near_duplicates=0.8)
    installed = version("rensa")
    assert made.manifest.versions == {"rensa": installed}
    path = made.folder / "manifest.json"
    path.write_text(path.read_text().replace(f'"rensa": "{installed}"', '"rensa": "0"'))
    monkeypatch.chdir(tmp_path)
    same = CliRunner().invoke(main, ["mix", "verify", str(made.folder)])
    note = f"made with rensa 0, and {installed} is installed"
    assert same.exit_code == 0
    assert same.output.splitlines()[1] == f"Note: {note}"
    made.data.write_text(made.data.read_text().replace("answer 3", "answer 4"))
    other = CliRunner().invoke(main, ["mix", "verify", str(made.folder)])
    assert other.exit_code == 1
    assert other.output.splitlines()[-1] == f"{made.folder}: {note}"


class TestNearDuplicates:
    @pytest.fixture
    def rows(self) -> list[dict[str, Any]]:
        draw = random.Random(0)
        rows = [row(text(draw, 60), text(draw, 60)) for _ in range(150)]
        for changes in (1, 2, 3, 4, 6, 9):
            for own in draw.sample(rows[:150], 25):
                ask, say = (message["content"] for message in own["messages"])
                rows.append(row(ask, edited(draw, say, changes)))
        return rows

    def test_exactly_the_rows_above_the_similarity_are_left_out(
        self, rows: list[dict[str, Any]], tmp_path: Path, make: Callable[..., Mixed]
    ) -> None:
        write(tmp_path / "a.jsonl", rows)
        expected: list[int] = []
        sets = [shingles(own) for own in rows]
        for i, own in enumerate(sets):
            if all(len(own & sets[j]) / len(own | sets[j]) < 0.7 for j in expected):
                expected.append(i)
        assert 200 < len(expected) < 280
        made = make(near_duplicates=0.7)
        assert kept(made) == [i + 1 for i in expected]
        (part,) = made.manifest.parts
        assert part.near_duplicates == {"a.jsonl": len(rows) - len(expected)}
        least, *_ = made.manifest.near_duplicate_examples
        assert least["row"].startswith("a.jsonl:")
        assert 0.7 <= least["similarity"] < 0.8

    def test_are_the_same_with_any_number_of_workers(
        self, rows: list[dict[str, Any]], tmp_path: Path, make: Callable[..., Mixed]
    ) -> None:
        write(tmp_path / "a.jsonl", rows)
        one, three = make(1, near_duplicates=0.8), make(3, near_duplicates=0.8)
        for name in ("data.jsonl", "manifest.json"):
            bytes_of = [(made.folder / name).read_bytes() for made in (one, three)]
            assert bytes_of[0] == bytes_of[1]
        assert verify(one.folder, base=tmp_path) == []

    def test_are_kept_by_default(
        self, rows: list[dict[str, Any]], tmp_path: Path, make: Callable[..., Mixed]
    ) -> None:
        write(tmp_path / "a.jsonl", rows)
        assert len(kept(make())) == len(rows)

    def test_do_not_count_the_system_message(
        self, tmp_path: Path, make: Callable[..., Mixed]
    ) -> None:
        draw = random.Random(1)
        system = text(draw, 500)
        rows = [row(text(draw, 20), text(draw, 20), system) for _ in range(20)]
        write(tmp_path / "a.jsonl", rows)
        assert len(kept(make(near_duplicates=0.7))) == 20

    def test_are_found_in_text_without_spaces(
        self, tmp_path: Path, make: Callable[..., Mixed]
    ) -> None:
        ask = "请用简单的语言解释一下为什么天空在白天看起来是蓝色的而在傍晚却是红色的"
        say = "阳光穿过大气层时蓝光比红光更容易被空气分子散射所以白天的天空看起来是蓝色"
        other = "鲸鱼是生活在海洋里的哺乳动物它们用肺呼吸需要定期浮到水面上来换气"
        rows = [row(ask, say), row(ask, f"{say}的"), row(other, say[::-1])]
        write(tmp_path / "a.jsonl", rows)
        assert kept(make(near_duplicates=0.7)) == [1, 3]

    def test_need_a_library_that_the_error_names(
        self,
        tmp_path: Path,
        make: Callable[..., Mixed],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        write(tmp_path / "a.jsonl", [row("What is it?")])
        monkeypatch.setitem(sys.modules, "rensa", None)
        with pytest.raises(MixError, match=r"rensa; pip install .*\[mix\]"):
            make(near_duplicates=0.7)

    def test_need_duplicates_to_be_removed(self) -> None:
        with pytest.raises(SettingsError, match="deduplicate: true"):
            load_mix(
                {
                    "phases": [{"name": "p", "datasets": [{"path": "a"}]}],
                    "near_duplicates": 0.8,
                    "deduplicate": False,
                }
            )


class TestNgrams:
    QUESTION = (
        "A farmer has seventeen sheep and sells all but nine of them at the market on "
        "Friday; how many sheep are left on the farm?"
    )

    @pytest.fixture
    def excluding(self, tmp_path: Path, make: Callable[..., Mixed]) -> Any:
        def run(rows: list[Any], *excluded: Any, **settings: Any) -> Mixed:
            write(tmp_path / "a.jsonl", rows)
            write(tmp_path / "test.jsonl", list(excluded))
            own = {"exclude": ["test.jsonl"], "exclude_by": "ngrams"}
            return make(**own, **settings)

        return run

    def test_a_row_with_the_question_anywhere_is_left_out(self, excluding: Any) -> None:
        words = re.findall(r"\w+", self.QUESTION)
        rows = [
            row("Write a question.", f"Here is one. {self.QUESTION.upper()} Enjoy!"),
            row(" ".join(words[:13]) + " and nothing else"),
            row(" ".join(words[:12]) + " and nothing else"),
            row("What is a farm?"),
        ]
        made = excluding(rows, {"question": self.QUESTION, "answer": "Nine."})
        assert kept(made) == [3, 4]
        assert made.manifest.parts[0].excluded == 2
        (file,) = made.manifest.excluded_files
        assert (file["rows"], file["matched"]) == (1, 1)
        first, second = made.manifest.overlap_examples
        assert (first["row"], first["excluded"]) == ("a.jsonl:2", "test.jsonl:1")
        assert first["overlap"] < 0.2
        assert second["overlap"] == 1

    def test_the_length_and_the_least_share_are_settings(self, excluding: Any) -> None:
        words = re.findall(r"\w+", self.QUESTION)
        rows = [row(" ".join(words[:12])), row(" ".join(words[:22])), row("Other?")]
        benchmark = {"prompt": self.QUESTION}
        assert kept(excluding(rows, benchmark, exclude_ngram=8)) == [3]
        most = excluding(rows, benchmark, exclude_ngram=8, exclude_overlap=0.5)
        assert kept(most) == [1, 3]

    def test_a_short_question_matches_only_the_same_one(self, excluding: Any) -> None:
        rows = [row("Who wrote Hamlet?"), row("Please tell me: who wrote Hamlet?")]
        made = excluding(rows, {"question": "who wrote hamlet", "answer": "He did."})
        assert kept(made) == [2]

    def test_an_answer_in_common_is_no_reason(self, excluding: Any) -> None:
        answer = " ".join(WORDS[:40])
        made = excluding([row("What?", answer)], {"question": "Why?", "answer": answer})
        assert kept(made) == [1]

    def test_a_row_without_a_question_is_an_error(self, excluding: Any) -> None:
        with pytest.raises(MixError, match=r"exclude: test\.jsonl: row 2"):
            excluding([row("What?")], {"question": "Why?"}, {"note": "nothing"})

    @pytest.mark.parametrize("by", ["ngrams", "conversation"])
    def test_an_empty_excluded_file_excludes_nothing(
        self, by: str, tmp_path: Path, make: Callable[..., Mixed]
    ) -> None:
        write(tmp_path / "a.jsonl", [row("What?")])
        write(tmp_path / "test.jsonl", [])
        made = make(exclude=["test.jsonl"], exclude_by=by)
        assert kept(made) == [1]
        assert made.manifest.excluded_files[0]["matched"] == 0

    def test_the_command_shows_what_was_left_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        draw = random.Random(2)
        say = text(draw, 80)
        rows = [row("First?", say), row("First?", f"{say} yes"), row(self.QUESTION)]
        write(tmp_path / "a.jsonl", rows)
        write(tmp_path / "test.jsonl", [{"prompt": self.QUESTION}])
        spec = {
            "phases": [{"name": "p", "datasets": [{"path": "a.jsonl"}]}],
            "near_duplicates": 0.8,
            "exclude": ["test.jsonl"],
            "exclude_by": "ngrams",
        }
        Path("spec.yml").write_text(json.dumps(spec))
        done = CliRunner().invoke(main, ["mix", "spec.yml", "--workers", "1"])
        assert done.exit_code == 0, done.output
        shown = " ".join(done.output.split())
        assert "near-duplicate of a row in a.jsonl" in shown
        assert "a.jsonl:2: left out, because it is 99% similar to a.jsonl:1" in shown
        assert "a.jsonl:3: left out, because it has 100% of the n-grams" in shown
