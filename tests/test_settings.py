"""The `sftguide:` block: one definition, every problem reported at once."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import yaml

from axolotl_sftguide.config.settings import (
    Settings,
    early_termination_settings,
    load_settings,
    misspelt_block,
)
from axolotl_sftguide.errors import Problem, SettingsError


def problems(block: Any) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as refusal:
        load_settings(block)
    return refusal.value.problems


def test_no_block_is_all_defaults() -> None:
    assert load_settings(None) == load_settings({}) == Settings()


def test_the_defaults_stop_on_non_finite_steps_only() -> None:
    rules = Settings().early_termination
    assert (rules.action, rules.non_finite.action) == ("warn", "stop")
    assert rules.divergence.action is None


def test_all_problems_are_reported_with_their_full_paths() -> None:
    told = problems(
        {
            "study": 3,
            "monitr": {},
            "early_termination": {"divergence": {"patience": "many", "windw": 8}},
        }
    )
    assert len(told) == 4
    paths = sorted(problem.path for problem in told)
    assert paths == [
        "sftguide.early_termination.divergence.patience",
        "sftguide.early_termination.divergence.windw",
        "sftguide.monitr",
        "sftguide.study",
    ]


@pytest.mark.parametrize(
    ("block", "path", "meant"),
    [
        ({"studdy": "x"}, "sftguide.studdy", "study"),
        (
            {"early_termination": {"non_finit": {}}},
            "sftguide.early_termination.non_finit",
            "non_finite",
        ),
        ({"score": {"data_pth": "x"}}, "sftguide.score.data_pth", "data_path"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_key(
    block: dict[str, Any], path: str, meant: str
) -> None:
    (told,) = [problem for problem in problems(block) if problem.path == path]
    assert told.remedy == f"did you mean {meant!r}?"
    assert str(told) == f"{path}: is not a setting. Did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"early_termination": {"action": "halt"}}, "'off', 'warn' or 'stop'"),
        (
            {"early_termination": {"non_finite": {"steps": 0}}},
            "must be at least 1, got 0",
        ),
        ({"early_termination": {"non_finite": {"steps": True}}}, "whole number"),
        ({"early_termination": {"non_finite": {"steps": "5"}}}, "whole number"),
        ({"early_termination": 3}, "must be a mapping of settings, got 3"),
        ({"score": {}}, "sftguide.score.data_path: is required"),
        ({"seed_adapter": "yes"}, "true or false, got 'yes'"),
        ([1, 2], "sftguide: must be a mapping of settings, got [1, 2]"),
        ("on", "sftguide: must be a mapping of settings, got 'on'"),
        ({"study": ""}, "sftguide.study: must not be empty, got ''"),
        (
            {"effective_batch_size": "x"},
            "sftguide.effective_batch_size: must be a whole number or 'auto', got 'x'",
        ),
        ({"effective_batch_size": 0}, "must be at least 1 or 'auto', got 0"),
        (
            {"score": {"data_path": "x", "compare_with": {"int": "b"}}},
            "sftguide.score.compare_with.int: must be a number, got 'b'",
        ),
    ],
)
def test_a_wrong_type_or_value_is_one_line_that_shows_rule_and_value(
    block: Any, says: str
) -> None:
    (told,) = problems(block)
    assert says in str(told)
    assert "\n" not in str(told)


def test_a_number_that_yaml_reads_as_text_comes_with_how_to_write_it() -> None:
    block = yaml.safe_load("early_termination: {divergence: {margin: 1e-1}}")
    (told,) = problems(block)
    assert told.remedy == "YAML reads this as text, write 1.0e-1"
    assert str(told).endswith("got '1e-1'. YAML reads this as text, write 1.0e-1")


def test_a_problem_carries_path_message_and_remedy() -> None:
    (told,) = problems({"study": 3})
    assert told == Problem("sftguide.study", "must be a string, got 3")
    (told,) = problems("on")
    message = "must be a mapping of settings, got 'on'"
    assert told == Problem("sftguide", message, "See docs/settings.md")
    assert told.text == f"{message}. See docs/settings.md"
    assert str(told) == f"sftguide: {told.text}"


def test_a_path_may_hold_blanks_and_a_line_break() -> None:
    (told,) = problems({"my\nown key": 1})
    assert told.path == "sftguide.my\nown key"
    assert str(told).startswith("sftguide.my own key: is not a setting. Known: ")


def test_a_problem_without_a_path_is_its_message() -> None:
    problem = Problem("", "nothing to judge by", "add one")
    assert str(problem) == "nothing to judge by. Add one"
    assert str(Problem("a.yml", "is not YAML")) == "a.yml: is not YAML"


def test_an_error_keeps_its_problems_from_one_process_to_another() -> None:
    error = SettingsError([Problem("a", "is wrong", "remove it"), Problem("b", "is")])
    again = pickle.loads(pickle.dumps(error))
    assert again.problems == error.problems
    assert str(again) == "a: is wrong. Remove it\nb: is"


def test_yaml_off_is_off() -> None:
    block = yaml.safe_load("early_termination: {action: off}")
    assert block == {"early_termination": {"action": False}}
    assert load_settings(block).early_termination.action == "off"


def test_a_section_with_nothing_below_it_is_its_defaults() -> None:
    block = yaml.safe_load("monitor:\nearly_termination:\n  divergence:\n")
    assert load_settings(block) == Settings()


def test_whole_numbers_are_numbers() -> None:
    settings = load_settings({"early_termination": {"divergence": {"sigmas": 6}}})
    assert settings.early_termination.divergence.sigmas == 6.0


def test_settings_survive_what_axolotl_does_to_them() -> None:
    settings = load_settings(
        {
            "early_termination": {"action": "stop", "comparison": {"action": False}},
            "score": {"data_path": "x.jsonl", "compare_with": {"chance": 0.1}},
        }
    )
    dumped = settings.model_dump(exclude_none=True)
    assert load_settings(dumped) == settings


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().study = "other"  # type: ignore[misc]


def test_the_callbacks_arguments_are_checked_like_the_block() -> None:
    with pytest.raises(SettingsError, match=r"EarlyTerminationCallback\.patience"):
        early_termination_settings(patience=3)


@pytest.mark.parametrize("key", ["sftguid", "sft_guide", "SFTGuide", "sft-guide"])
def test_a_misspelt_block_is_noticed(key: str) -> None:
    assert misspelt_block(["base_model", key]) == key


@pytest.mark.parametrize(
    "keys", [["sftguide"], ["base_model", "plugins", "guidance_scale", "strict", "gui"]]
)
def test_other_keys_are_not_taken_for_the_block(keys: list[str]) -> None:
    assert misspelt_block(keys) is None
