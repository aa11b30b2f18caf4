"""Recipes are listed, shown and copied with what they need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from axolotl_sftguide.errors import RecipeError
from axolotl_sftguide.evidence import CLAIMS, Claim
from axolotl_sftguide.planning import KNOWN, plan_memory
from axolotl_sftguide.recipes import Recipe, find_recipe, shipped_recipes
from scripts import load_script

QUICKSTART = find_recipe("quickstart-cpu")
MAKER = load_script(Path(__file__).parents[1] / "scripts" / "make_recipes.py")
TABLE = MAKER.read_table()


def test_each_is_found_by_its_name_with_and_without_a_suffix() -> None:
    for recipe in shipped_recipes():
        assert find_recipe(recipe.name) == recipe
        assert find_recipe(f"{recipe.name}.yml") == recipe


def test_each_has_a_header_and_a_reason_on_each_number() -> None:
    for recipe in shipped_recipes():
        assert len(recipe.summary) > 20
        for line in recipe.text.splitlines():
            key, _, value = line.partition(":")
            if key.isidentifier() and value.split("#")[0].strip().isdigit():
                assert value.partition("#")[2].strip(), line


def test_each_recipe_but_those_for_a_cpu_is_what_the_table_makes_today() -> None:
    shipped = {recipe.name: recipe.text for recipe in shipped_recipes()}
    for name, text in MAKER.texts(TABLE):
        assert shipped.pop(name) == text, "python scripts/make_recipes.py writes it"
    assert set(shipped) == {"quickstart-cpu", "quickstart-cpu-qlora"}


@pytest.mark.parametrize("name", TABLE["recipes"])
def test_the_table_states_no_value_that_would_be_chosen_anyway(name: str) -> None:
    entry = TABLE["recipes"][name]
    for each in entry.get("set", ()):
        assert each.get("why") or each["claims"]
        others = [other for other in entry["set"] if other is not each]
        table = {**TABLE, "recipes": {name: {**entry, "set": others}}}
        chosen = MAKER.authored(table, name).choices.value(each["key"])
        assert chosen != each["value"], each["key"]


TUNED = {
    "learning_rate",
    "effective_batch_size",
    "sftguide.effective_batch_size",
    "warmup_steps",
    "warmup_ratio",
    "num_epochs",
    "adam_beta1",
    "adam_beta2",
    "weight_decay",
    "max_grad_norm",
    "lora_r",
    "lora_alpha",
}
"""What evidence is for: each number of these names the claim that it rests on."""

WRITTEN = [recipe.path for recipe in shipped_recipes()]
WRITTEN += sorted((QUICKSTART.path.parent / "sweeps").glob("[!q]*.yml"))
WRITTEN += [QUICKSTART.path.parent / "sweeps" / "qlora.yml"]


def numbers(text: str) -> Iterator[tuple[str, float, str]]:
    """The key, the value and the comment of each number in a YAML file."""

    def walk(node: yaml.Node, key: str) -> Iterator[tuple[str, yaml.ScalarNode]]:
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                inner = key if name.value in ("low", "high") else name.value
                yield from walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                yield from walk(value, key)
        elif node.tag.rpartition(":")[2] in ("int", "float"):
            yield key, node  # type: ignore[misc]

    lines = text.splitlines()
    for key, node in walk(yaml.compose(text), ""):
        yield key, float(node.value), lines[node.start_mark.line].partition("#")[2]


def claims_of(comment: str) -> list[tuple[Claim, float | None]]:
    """Each claim that a comment names, and the number that it works out to, if any."""
    found = []
    for key, result in re.findall(r"\[([\w-]+)(?:: [^\]=]*= ([\d.]+))?\]", comment):
        if key != "fits":
            found.append((CLAIMS[key], float(result) if result else None))
    return found


def rests_on_a_claim(value: float, comment: str) -> bool:
    claims = claims_of(comment)
    if len(claims) == 2:  # from one to the other
        low, high = (claim for claim, _ in claims)
        return (low.low or 0) <= value <= (high.high or high.low or 0)
    return any(
        claim.allows(value) if result is None else claim.allows(result)
        for claim, result in claims
    )


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_each_number_has_its_reason_and_each_tuned_one_its_claim(path: Path) -> None:
    found = list(numbers(path.read_text()))
    assert found
    for key, value, comment in found:
        assert comment.strip(), (key, value)
        if key in TUNED:
            assert rests_on_a_claim(value, comment), (key, value, comment)


def test_a_number_without_its_claim_is_found() -> None:
    (_, value, comment) = next(numbers("learning_rate: 3.0e-2  # [adapter-rate]"))
    assert not rests_on_a_claim(value, comment)
    (_, value, comment) = next(numbers("lora_r: 64"))
    assert not comment
    (_, value, comment) = next(numbers("num_epochs: 9  # [steps-enough: 9 x 9 = 81]"))
    assert not rests_on_a_claim(value, comment)


def test_no_adapter_recipe_copies_the_papers_batch() -> None:
    for recipe in shipped_recipes():
        config = yaml.safe_load(recipe.text)
        if config.get("adapter"):
            assert config["sftguide"].get("effective_batch_size", 32) <= 64


@pytest.mark.parametrize("recipe", shipped_recipes(), ids=lambda recipe: recipe.name)
def test_a_header_has_the_requirements_and_the_next_steps(recipe: Recipe) -> None:
    header = recipe.text.partition("base_model:")[0]
    sentences = " ".join(header.replace("#", " ").split())
    for word in ("# What:", "# Run:"):
        assert word in header
    assert f"axolotl train recipes/{recipe.name}.yml" in header
    if not recipe.name.startswith("quickstart"):
        for word in ("# Data:", "# Need:", "# Steps:", "# Then:"):
            assert word in header
        assert "not measured" in sentences
        assert ("merge-lora" in header) == ("\nadapter:" in recipe.text)


PLANNED = [r for r in shipped_recipes() if "# Memory:" in r.text]


@pytest.mark.parametrize("recipe", PLANNED, ids=lambda recipe: recipe.name)
def test_the_memory_in_a_header_is_what_the_planner_estimates(recipe: Recipe) -> None:
    config = yaml.safe_load(recipe.text)
    gpus = 8 if "# Node:   8 GPUs of 80 GB" in recipe.text else 1
    made = plan_memory(config, KNOWN[config["base_model"]], gpus=gpus)
    told = re.search(r"# Memory: ([\d.]+) GiB", recipe.text)
    assert told is not None
    assert float(told[1]) == round(made.peak_bytes / 2**30, 1)
    assert made.peak_bytes <= (80 if gpus > 1 else 24) * 10**9


def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'quickstart-cpu'") as caught:
        find_recipe("quikstart-cpu")
    assert "(available: " in str(caught.value)


def test_a_copy_brings_all_that_its_paths_name(tmp_path: Path) -> None:
    written = QUICKSTART.copy_to(tmp_path)
    config = yaml.safe_load((tmp_path / QUICKSTART.relative_path).read_text())
    needed = [
        config["base_model"],
        config["sftguide"]["score"]["data_path"],
        *(d["path"] for d in config["datasets"]),
    ]
    for path in needed:
        assert (tmp_path / path).exists()
    assert tmp_path / "recipes" / "sweeps" / "quickstart-lr.yml" in written
    assert not [p for p in written if "__pycache__" in p.parts]


@pytest.mark.parametrize("recipe", shipped_recipes(), ids=lambda recipe: recipe.name)
def test_a_copy_brings_the_sweeps_that_its_header_names(
    recipe: Recipe, tmp_path: Path
) -> None:
    recipe.copy_to(tmp_path)
    for named in re.findall(r"recipes/sweeps/[\w-]+\.yml", recipe.text):
        assert (tmp_path / named).is_file()


def test_a_second_copy_writes_nothing(tmp_path: Path) -> None:
    assert QUICKSTART.copy_to(tmp_path)
    assert QUICKSTART.copy_to(tmp_path) == []


def test_a_users_own_changes_are_kept_unless_forced(tmp_path: Path) -> None:
    QUICKSTART.copy_to(tmp_path)
    own = tmp_path / QUICKSTART.relative_path
    own.write_text("mine: true\n")
    with pytest.raises(RecipeError, match=r"already exists with diff.*--force"):
        QUICKSTART.copy_to(tmp_path)
    assert own.read_text() == "mine: true\n"
    assert QUICKSTART.copy_to(tmp_path, overwrite=True) == [own]
    assert own.read_text() == QUICKSTART.text


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "recipes").write_text("a file")
    with pytest.raises(RecipeError, match="cannot be written"):
        QUICKSTART.copy_to(tmp_path)
