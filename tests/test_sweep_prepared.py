"""Trials that read their data in different orders do not share prepared data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from axolotl_sftguide.runs.history import resolve_storage
from axolotl_sftguide.sweep import Objective, Sweep, SweepStudy, read_space

RECIPE: dict[str, Any] = {
    "base_model": "base",
    "dataset_prepared_path": "prepared",
    "datasets": [{"path": "one.jsonl"}, {"path": "two.jsonl"}],
    "seed": 42,
}


@pytest.fixture
def prepared(tmp_path: Path) -> Any:
    """The prepared folders of all trials of a space, in the order of the trials."""

    def folders(space_text: str, **recipe: Any) -> list[Any]:
        path = tmp_path / "space.yml"
        path.write_text(space_text)
        space = read_space(path)
        config = RECIPE | recipe
        study = SweepStudy(
            resolve_storage(str(tmp_path / "runs.db")),
            "s",
            space=space,
            recipe=config,
            objective=Objective("m", "max"),
            output_dir=tmp_path / "out",
            sampler="grid",
        )
        study.plan(None)
        storage = str(tmp_path / "runs.db")
        sweep = Sweep(study, recipe=config, space=space, storage=storage)
        found = []
        while (trial := study.claim()) is not None:
            found.append(sweep.config_of(trial).get("dataset_prepared_path"))
        return found

    return folders


def test_shuffled_and_sequential_trials_have_folders_of_their_own(
    prepared: Any,
) -> None:
    space = """
        learning_rate: [1.0e-4, 1.0e-3]
        _:
          - {shuffle_merged_datasets: true, curriculum_sampling: false}
          - {shuffle_merged_datasets: false, curriculum_sampling: true}
    """
    shuffled, sequential, *again = prepared(space)
    assert Path(shuffled).parent == Path(sequential).parent == Path("prepared")
    assert shuffled != sequential
    assert again == [shuffled, sequential]


def test_a_data_set_order_that_a_trial_reverses_has_its_own_folder(
    prepared: Any,
) -> None:
    space = "datasets: [[{path: one.jsonl}, {path: two.jsonl}], "
    space += "[{path: two.jsonl}, {path: one.jsonl}]]"
    assert len(set(prepared(space))) == 2


def test_seeds_share_prepared_data_unless_the_data_are_read_in_sequence(
    prepared: Any,
) -> None:
    assert prepared("seed: [1, 2]") == ["prepared", "prepared"]


def test_seeds_of_data_read_in_sequence_do_not_share_them(prepared: Any) -> None:
    folders = prepared("seed: [1, 2]", curriculum_sampling=True)
    assert len({*folders, "prepared"}) == 3


@pytest.mark.parametrize(
    ("space", "recipe"),
    [
        ("learning_rate: [1.0e-4, 1.0e-3]", {}),
        (
            "curriculum_sampling: [true, false]",
            {
                "sftguide": {
                    "mix": {
                        "phases": [{"name": "a", "datasets": [{"path": "one.jsonl"}]}]
                    }
                }
            },
        ),
        ("{curriculum_sampling: [true], dataset_prepared_path: prepared}", {}),
    ],
    ids=["order not set", "a mix", "set by the space"],
)
def test_the_folder_is_the_recipe_s_otherwise(
    prepared: Any, space: str, recipe: dict[str, Any]
) -> None:
    assert set(prepared(space, **recipe)) == {"prepared"}


def test_without_a_prepared_path_none_is_added(prepared: Any) -> None:
    space = "curriculum_sampling: [true, false]"
    assert prepared(space, dataset_prepared_path=None) == [None, None]
