"""What a sweep varies, and by what it judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner

from axolotl_sftguide.cli import main
from axolotl_sftguide.errors import SettingsError, SweepError
from axolotl_sftguide.hosts.known_keys import check_keys
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, trace_path
from axolotl_sftguide.sweep import (
    Choice,
    Objective,
    Range,
    SearchSpace,
    check_arguments,
    choose_objective,
    read_space,
)

SHIPPED = Path(__file__).parent.parent / "recipes" / "sweeps"


@pytest.fixture
def space(tmp_path: Path) -> Any:
    def read(text: str) -> SearchSpace:
        path = tmp_path / "space.yml"
        path.write_text(text)
        return read_space(path)

    return read


def problems(read: Any, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(text)
    return [str(problem).partition(": ")[2] for problem in caught.value.problems]


def test_a_list_is_a_choice_a_mapping_with_bounds_a_range_all_else_is_fixed(
    space: Any,
) -> None:
    found = space(
        "learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}\n"
        "lora_r: [8, 16]\nmax_steps: 100\nseed: [1]\nlora_modules: {a: 1}\n"
    )
    assert found.parameters == {
        "learning_rate": Range(low=1e-5, high=1e-3, log=True),
        "lora_r": Choice((8, 16)),
    }
    assert found.fixed == {"max_steps": 100, "seed": 1, "lora_modules": {"a": 1}}


def test_a_number_that_yaml_takes_for_text_is_a_number(space: Any) -> None:
    found = space("learning_rate: [1e-4, 2.5E-3]\nweight_decay: {low: 1e-5, high: 1}")
    assert found.parameters["learning_rate"].values == (1e-4, 2.5e-3)
    assert found.parameters["weight_decay"].low == 1e-5


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: {low: 2, high: 1}", "a: low 2 is not below high 1"),
        ("a: {low: 0, high: 1, log: true}", "log: true needs low above zero"),
        ("a: {low: 1}", "a.high: is required"),
        ("a: {low: 1, high: 2, steps: 1}", "a.steps: is not a setting. Did you mean"),
        ("a: []", "a: is an empty list"),
        ("a: [1, 1]", "a: contains a value twice"),
        ("a: [.nan, 1.0]", "a: must contain only finite numbers"),
        ("_: [1, 2]", "_: must list mappings"),
    ],
)
def test_what_is_wrong_with_a_space_is_one_line(
    space: Any, text: str, fault: str
) -> None:
    (line,) = problems(space, text)
    assert fault in line


def test_all_errors_are_reported_together(space: Any) -> None:
    assert len(problems(space, "a: []\nb: {low: 2, high: 1}\nc: [1, 1]")) == 3


def test_dotted_keys_reach_into_blocks_and_leave_the_rest(space: Any) -> None:
    recipe = {"sftguide": {"study": "s", "monitor": {"trace": True}}, "seed": 1}
    found = space("sftguide.monitor.noise_scale: [true]\nnew.inner: 3\n")
    config = found.apply(recipe, {"seed": 2})
    assert config == {
        "sftguide": {"study": "s", "monitor": {"trace": True, "noise_scale": True}},
        "seed": 2,
        "new": {"inner": 3},
    }
    assert recipe["sftguide"]["monitor"] == {"trace": True}  # is not touched


def test_a_block_without_a_dot_replaces_the_whole_block(space: Any) -> None:
    found = space("sftguide: [{study: other}]")
    assert found.apply({"sftguide": {"study": "s", "seed_adapter": True}}, {}) == {
        "sftguide": {"study": "other"}
    }


def test_keys_that_vary_together_come_from_one_choice(space: Any) -> None:
    found = space("_:\n  - {lora_r: 8, lora_alpha: 16}\n  - {lora_r: 64}\nseed: [1, 2]")
    assert found.keys == ["seed", "lora_r", "lora_alpha"]
    assert len(found.combinations()) == 4
    first = found.parameters["_"].values[0]
    assert found.apply({}, {"_": first}) == {"lora_r": 8, "lora_alpha": 16}


def test_a_space_with_a_range_has_no_end_of_combinations(space: Any) -> None:
    assert space("a: [1, 2]\nb: {low: 0, high: 1}").combinations() is None
    assert space("a: [1, 2]\nb: [x, null]").combinations() == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": None},
        {"a": 2, "b": "x"},
        {"a": 2, "b": None},
    ]


def test_a_file_for_axolotls_own_sweep_is_a_space_unchanged() -> None:
    found = read_space(SHIPPED / "quickstart-lr.yml")
    assert list(found.parameters) == ["learning_rate"]
    assert found.fixed["sftguide"]["study"] == "quickstart-lr"


def test_optuna_chooses_within_the_bounds_and_whole_numbers_stay_whole() -> None:
    space = SearchSpace(
        {
            "rate": Range(low=1e-5, high=1e-2, log=True),
            "rank": Range(low=8, high=64, step=8),
            "drop": Range(low=0.0, high=0.5, step=0.25),
            "plan": Choice(({"a": 1}, None, "text")),
        },
        {},
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    chosen = [space.suggest(study.ask()) for _ in range(60)]
    assert all(1e-5 <= c["rate"] <= 1e-2 for c in chosen)
    assert sum(c["rate"] < 3e-4 for c in chosen) > 15  # equal ratios, equally likely
    assert {c["rank"] for c in chosen} == set(range(8, 65, 8))
    assert {c["drop"] for c in chosen} == {0.0, 0.25, 0.5}
    assert any(c["plan"] == {"a": 1} for c in chosen)
    assert any(c["plan"] is None for c in chosen)


def test_a_key_of_the_recipe_needs_no_question_to_axolotl(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("subprocess.run", None)
    check_keys(["learning_rate", "sftguide.study"], {"learning_rate": 1, "sftguide": 2})


SCORED = {"sftguide": {"score": {"data_path": "x.jsonl", "metric": "exact"}}}


@pytest.mark.parametrize(
    ("config", "given", "expected"),
    [
        (SCORED, {}, Objective("exact", "max")),
        ({"val_set_size": 0.1}, {}, Objective("eval_loss", "min")),
        ({**SCORED, "val_set_size": 0.1}, {}, Objective("exact", "max")),
        (SCORED, {"metric": "eval_loss"}, Objective("eval_loss", "min")),
        ({}, {"command": "c", "goal": "max"}, Objective("command", "max", "c")),
        (
            SCORED,
            {"command": "c", "goal": "min", "metric": "perplexity"},
            Objective("perplexity", "min", "c"),
        ),
    ],
)
def test_the_objective_is_the_given_one_or_what_the_config_records(
    config: Any, given: Any, expected: Objective
) -> None:
    assert choose_objective(config, **given) == expected


@pytest.mark.parametrize(
    ("config", "given", "fault"),
    [
        ({}, {}, "no metric to compare the trials by"),
        ({}, {"metric": "eval_accuracy"}, "--goal max or --goal min"),
        ({}, {"command": "c"}, "--goal max or --goal min"),
        ({}, {"command": "'c", "goal": "max"}, "is not a command line"),
    ],
)
def test_an_unknown_objective_is_requested(config: Any, given: Any, fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        choose_objective(config, **given)


@pytest.fixture
def trace(tmp_path: Path) -> Any:
    writer = TraceWriter(trace_path(tmp_path, "r"))
    writer.begin({"id": "r", "output_dir": str(tmp_path)})
    writer.event("evaluation", step=1, metrics={"eval_loss": 3.0})
    writer.event("evaluation", step=2, metrics={"eval_loss": 2.0, "eval_bad": "NaN"})
    writer.event("score", metric="exact", value=0.25, goal="max")
    writer.close()
    return read_trace(writer.path)


def test_a_metric_of_the_run_is_its_last_value(trace: Any) -> None:
    assert Objective("exact", "max").of(trace) == 0.25
    assert Objective("eval_loss", "min").of(trace) == 2.0


@pytest.mark.parametrize(
    ("objective", "fault"),
    [
        (
            Objective("bleu", "max"),
            "recorded: eval_loss, eval_bad, exact",
        ),
        (Objective("eval_bad", "max"), "is nan"),
        (Objective("c", "max", "false"), "false: exit status 1: no error message"),
        (Objective("c", "max", "echo none"), "echo none: printed no number"),
        (Objective("c", "max", "no-such-program 1"), "cannot be run"),
        (Objective("c", "max", "sh -c 'echo bad >&2; exit 3'"), "exit status 3: bad"),
    ],
)
def test_a_missing_value_gets_a_one_line_error(
    trace: Any, objective: Objective, fault: str
) -> None:
    with pytest.raises(SweepError, match=fault):
        objective.of(trace)


@pytest.mark.parametrize(
    "command",
    [
        "echo step 3 accuracy: -1.5e-2",
        "sh -c 'echo 7; test $SFTGUIDE_OUTPUT_DIR = {output_dir} && echo -0.015'",
    ],
)
def test_a_commands_value_is_the_last_number_it_prints(
    trace: Any, command: str
) -> None:
    assert Objective("c", "max", command).of(trace) == -0.015


class TestArgumentsAfterTheDashes:
    """`sftguide sweep RECIPE SPACE -- ...`."""

    @pytest.mark.parametrize(
        ("words", "remedy"),
        [
            ("--dataset_prepared_path prep", "dataset_prepared_path: prep"),
            ("--dataset-prepared-path=prep", "dataset_prepared_path: prep"),
            ("--launcher python --max-steps 8", "max_steps: 8"),
            ("--no-bf16", "bf16: false"),
            ("--sample-packing --debug", "sample_packing: true"),
            ("--trl.beta 0.1", "trl.beta: 0.1"),
        ],
    )
    def test_a_key_of_the_config_belongs_in_the_space(
        self, words: str, remedy: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            check_arguments(words.split())
        (problem,) = caught.value.problems
        assert f"Write `{remedy}` in SPACE" in problem.text

    @pytest.mark.parametrize(
        "words",
        [
            "",
            "--launcher torchrun",
            "--num-processes 2 --main_process_port 29501 --debug",
            "--launcher accelerate -- --num_processes 2 --fsdp_version 2",
            "--use-ray",
        ],
    )
    def test_what_starts_a_training_is_passed_on(self, words: str) -> None:
        check_arguments(words.split())

    def test_the_command_refuses_it_before_the_first_trial(
        self, tmp_path: Path
    ) -> None:
        recipe = SHIPPED.parent / "quickstart-cpu.yml"
        words = [str(recipe), str(SHIPPED / "quickstart-lr.yml"), "--storage"]
        words += [f"sqlite:///{tmp_path}/runs.db", "--", "--dataset_prepared_path", "x"]
        done = CliRunner().invoke(main, ["sweep", *words])
        assert done.exit_code == 2
        (line,) = done.output.splitlines()
        assert line.startswith("Error: --dataset_prepared_path: is a key of the")
        assert not list(tmp_path.iterdir())

    def test_a_space_in_the_place_of_the_recipe_starts_no_trial(
        self, tmp_path: Path
    ) -> None:
        recipe = SHIPPED.parent / "quickstart-cpu.yml"
        space = SHIPPED / "quickstart-search.yml"
        storage = ["--storage", f"sqlite:///{tmp_path}/runs.db"]
        done = CliRunner().invoke(main, ["sweep", str(space), str(recipe), *storage])
        assert done.exit_code == 2
        assert done.output == (
            f"Error: {space}: has no base_model, which {recipe} sets; the recipe comes "
            f"first: sftguide sweep {recipe} {space}\n"
        )
        assert not list(tmp_path.iterdir())
