"""`sftguide sweep`: an Optuna study whose trials are Axolotl runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import echo, progress, sigterm_as_ctrl_c
from .numbers import MOST_SEED, WholeNumber

if TYPE_CHECKING:
    from ..runs.history import Goal
    from ..sweep import SearchSpace, Sweep

_FEW_TRIALS = 20


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("space", type=click.Path(path_type=Path))
@click.argument("axolotl_args", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--study",
    help="Name of the study. Default: `sftguide.study` in SPACE, or its file name.",
)
@click.option(
    "--trials",
    type=WholeNumber(1),
    help="Number of trials over all workers. Default: all combinations of lists; "
    f"{_FEW_TRIALS} if SPACE has a range.",
)
@click.option(
    "--sampler",
    type=click.Choice(["grid", "tpe", "random", "qmc"]),
    help="How values are chosen. Default: grid for lists, tpe for ranges.",
)
@click.option("--seed", type=WholeNumber(0, MOST_SEED), help="Seed of the sampler.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=WholeNumber(1),
    help="Trials to train at the same time.",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="CUDA_VISIBLE_DEVICES of one worker, such as 0; repeat it for each worker.",
)
@click.option("--metric", help="Score or `eval_` metric that trials are compared by.")
@click.option(
    "--command",
    help="Command to run after each training; the last number it prints is the "
    "trial's value. {output_dir} stands for the trial's folder.",
)
@click.option(
    "--goal",
    type=click.Choice(["max", "min"]),
    help="Whether a higher (max) or a lower (min) value is better.",
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the trials. Default: outputs/STUDY.",
)
@click.option("--storage", metavar="URL", help="Database for runs and study.")
def sweep(
    recipe: Path,
    space: Path,
    axolotl_args: tuple[str, ...],
    study: str | None,
    trials: int | None,
    sampler: Any,
    seed: int | None,
    workers: int,
    devices: tuple[str, ...],
    metric: str | None,
    command: str | None,
    goal: Goal | None,
    output_dir: Path | None,
    storage: str | None,
) -> None:
    """Train RECIPE with the values in SPACE and stop hopeless trials.

    SPACE is a YAML file that maps keys of the recipe to a list of values or to a range
    {low:, high:, log:, step:}.

    Run the same command again to resume. Run it in several terminals, or on several
    machines with the same --storage, to share the trials.

    Arguments after `--` are for `axolotl train` and its launcher, such as
    `-- --launcher torchrun`; keys of the config belong in RECIPE or SPACE.
    """
    from ..config.settings import BLOCK
    from ..config.yaml_file import read_config
    from ..errors import Problem, SettingsError
    from ..runs.history import resolve_storage
    from ..sweep import (
        Sweep,
        SweepStudy,
        check_arguments,
        choose_objective,
        output_folder_of,
        read_space,
        require_program,
    )
    from .sweep_display import SweepDisplay

    check_arguments(axolotl_args)
    config = read_config(recipe)
    found = read_space(space)
    if "base_model" not in config and "base_model" in found.fixed:
        raise SettingsError(
            [
                Problem(
                    str(recipe),
                    f"has no base_model, which {space} sets; the recipe comes first: "
                    f"sftguide sweep {space} {recipe}",
                )
            ]
        )
    first = found.apply(config, _first_values(found))
    _check(first, found, config)
    objective = choose_objective(first, metric=metric, command=command, goal=goal)
    if command is not None:
        require_program(command)
    varied = found.apply({}, {}).get(BLOCK) or {}
    name = study or varied.get("study") or space.stem
    url = resolve_storage(storage or (first.get(BLOCK) or {}).get("storage"))
    chosen, wanted = _sampling(found, sampler, trials)
    entered = SweepStudy(
        url,
        name,
        space=found,
        recipe=config,
        objective=objective,
        output_dir=output_dir or output_folder_of(name),
        sampler=chosen,
        seed=seed,
    )
    with SweepDisplay(entered) as display:
        work = Sweep(
            entered,
            recipe=config,
            space=found,
            storage=url,
            workers=workers,
            devices=devices,
            arguments=axolotl_args,
            on_end=display.ended,
            on_note=display.note,
        )
        lost = work.requeue_lost()
        display.begin(entered.plan(wanted), lost, chosen)
        _train(work, display)


def _train(work: Sweep, display: Any) -> None:
    with sigterm_as_ctrl_c():
        try:
            work.run(on_wait=lambda: display.show(work.running()))
        except KeyboardInterrupt:
            display.interrupted()
            raise SystemExit(130) from None
    display.done()
    if work.study.best() is None and not work.study.counts().get("RUNNING"):
        echo("Error: no trial of the study has a value", err=True)
        raise SystemExit(1)


def _check(first: dict[str, Any], space: SearchSpace, recipe: dict[str, Any]) -> None:
    """Refuse settings that would fail, or be ignored, in every trial."""
    from ..config.settings import BLOCK, load_settings
    from ..hosts.known_keys import check_keys

    load_settings(first.get(BLOCK))
    with progress("asking Axolotl for its keys"):  # which imports it, with torch
        check_keys(space.keys, recipe)


def _first_values(space: SearchSpace) -> dict[str, Any]:
    """The values of one possible trial, to check a config with."""
    from ..sweep import Choice

    return {
        name: parameter.values[0] if isinstance(parameter, Choice) else parameter.low
        for name, parameter in space.parameters.items()
    }


def _sampling(
    space: SearchSpace, sampler: str | None, trials: int | None
) -> tuple[Any, int]:
    """The sampler and the number of trials."""
    from ..errors import Problem, SettingsError

    combinations = space.combinations()
    if sampler == "grid" and combinations is None:
        message = "grid needs a list of values for every key, not a range"
        raise SettingsError([Problem("--sampler", message)])
    if combinations is None:
        return sampler or "tpe", trials or _FEW_TRIALS
    if sampler in (None, "grid") and (trials is None or trials >= len(combinations)):
        return "grid", len(combinations)
    if sampler == "grid":
        every = len(combinations)
        message = f"grid trains all {every} combinations, but --trials is {trials}"
        raise SettingsError(
            [Problem("--sampler", message, "omit one of the two options")]
        )
    return sampler or "tpe", trials or _FEW_TRIALS
