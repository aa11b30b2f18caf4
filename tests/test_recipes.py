"""Recipes are listed, shown and copied with what they need."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from axolotl_sftguide.errors import RecipeError
from axolotl_sftguide.recipes import find_recipe, shipped_recipes

QUICKSTART = find_recipe("quickstart-cpu")


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


def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'quickstart-cpu'") as caught:
        find_recipe("quikstart-cpu")
    assert "(there are: " in str(caught.value)


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


def test_a_second_copy_writes_nothing(tmp_path: Path) -> None:
    assert QUICKSTART.copy_to(tmp_path)
    assert QUICKSTART.copy_to(tmp_path) == []


def test_a_users_own_changes_are_kept_unless_forced(tmp_path: Path) -> None:
    QUICKSTART.copy_to(tmp_path)
    own = tmp_path / QUICKSTART.relative_path
    own.write_text("mine: true\n")
    with pytest.raises(RecipeError, match=r"there already, and different.*--force"):
        QUICKSTART.copy_to(tmp_path)
    assert own.read_text() == "mine: true\n"
    assert QUICKSTART.copy_to(tmp_path, overwrite=True) == [own]
    assert own.read_text() == QUICKSTART.text


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "recipes").write_text("a file")
    with pytest.raises(RecipeError, match="cannot be written"):
        QUICKSTART.copy_to(tmp_path)
