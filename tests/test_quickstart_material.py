"""The quickstart's data and base model: our own, the same bytes, nothing leaked."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parent.parent
MATERIAL = PROJECT / "recipes" / "quickstart"


def rows(name: str) -> list[dict[str, object]]:
    text = (MATERIAL / name).read_text()
    return [json.loads(line) for line in text.splitlines()]


def asked(row: dict[str, object]) -> str:
    return row["messages"][0]["content"]  # type: ignore[index,no-any-return]


def answered(row: dict[str, object]) -> str:
    return row["messages"][-1]["content"]  # type: ignore[index,no-any-return]


def test_every_file_has_its_checksum() -> None:
    lines = (MATERIAL / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    made = {
        str(p.relative_to(MATERIAL))
        for p in MATERIAL.rglob("*")
        if p.suffix in (".jsonl", ".json", ".safetensors", ".jinja")
    }
    assert set(sums) == made
    for name, digest in sums.items():
        assert hashlib.sha256((MATERIAL / name).read_bytes()).hexdigest() == digest


def test_the_generator_makes_the_same_bytes_again(tmp_path: Path) -> None:
    script = MATERIAL / "make_data.py"
    command = [sys.executable, str(script), "--out", str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (MATERIAL / path.name).read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def test_another_seed_makes_other_data(tmp_path: Path) -> None:
    script = MATERIAL / "make_data.py"
    command = [sys.executable, str(script), "--out", str(tmp_path), "--seed", "7"]
    subprocess.run(command, check=True, timeout=120)
    for path in tmp_path.iterdir():
        assert path.read_bytes() != (MATERIAL / path.name).read_bytes()


def test_all_of_it_is_at_most_five_megabytes() -> None:
    files = [p for p in MATERIAL.rglob("*") if "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files if p.is_file()) <= 5_000_000


def test_each_phase_has_a_few_thousand_rows() -> None:
    assert 2000 <= len(rows("knowledge.jsonl")) <= 5000
    assert 2000 <= len(rows("skills.jsonl")) <= 5000


def test_no_held_out_question_is_in_a_phase() -> None:
    taught = {asked(r) for n in ("knowledge", "skills") for r in rows(f"{n}.jsonl")}
    assert not taught & {asked(row) for row in rows("heldout.jsonl")}


def test_no_phase_names_a_person_who_is_held_out() -> None:
    held = [r for r in rows("heldout.jsonl") if str(r["category"]).startswith("know")]
    names = {w for row in held for w in re.findall(r"\b[A-Z][a-z]+\b", asked(row))}
    names -= {"What", "Which", "Where", "In", "On"}
    assert len(names) == 50
    text = (MATERIAL / "knowledge.jsonl").read_text()
    assert not [name for name in names if re.search(rf"\b{name}\b", text)]


def test_the_control_has_the_same_questions_and_random_answers() -> None:
    taught = {
        asked(r): answered(r)
        for n in ("knowledge", "skills")
        for r in rows(f"{n}.jsonl")
    }
    control = rows("control.jsonl")
    assert {asked(row) for row in control} == set(taught)
    right = sum(answered(row) == taught[asked(row)] for row in control)
    assert right / len(control) < 0.25


def test_the_chance_that_the_recipe_prints_is_that_of_a_guess_among_the_choices() -> (
    None
):
    held = rows("heldout.jsonl")
    chance = sum(1 / int(str(row["choices"])) for row in held) / len(held)
    recipe = yaml.safe_load((PROJECT / "recipes" / "quickstart-cpu.yml").read_text())
    shown = recipe["sftguide"]["score"]["compare_with"]["chance"]
    assert shown == pytest.approx(chance, abs=0.005)


def test_the_base_is_a_small_llama_with_a_real_tokenizer() -> None:
    config = json.loads((MATERIAL / "base" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["num_hidden_layers"] == 4
    size = (MATERIAL / "base" / "model.safetensors").stat().st_size
    assert size < 2 * 1_000_000 + 50_000  # bf16, under a million parameters


def test_the_tokenizer_gives_every_text_back() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MATERIAL / "base")
    for row in [*rows("heldout.jsonl"), *rows("skills.jsonl")[:200]]:
        for text in (asked(row), answered(row)):
            assert tokenizer.decode(tokenizer(text).input_ids).strip() == text
