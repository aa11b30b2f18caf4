"""`sftguide sweep`: an Optuna study whose trials are Axolotl runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..runs.history import Goal
    from ..sweep import SearchSpace, Sweep

_FEW_TRIALS = 20


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("space", type=click.Path(path_type=Path))
@click.argument("axolotl_args", nargs=-1, type=click.UNPROCESSED)
@click.option("--study", help="Its name; else the space's `sftguide.study` or name.")
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    help="How many in all, over all workers; else every combination of a space of "
    f"lists, or {_FEW_TRIALS}.",
)
@click.option(
    "--sampler",
    type=click.Choice(["grid", "tpe", "random", "qmc"]),
    help="Who chooses the values: every combination once, or a sampler of Optuna.",
)
@click.option("--seed", type=int, help="Of the sampler.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="A worker's CUDA_VISIBLE_DEVICES, such as 0; give it once for each worker.",
)
@click.option("--metric", help="What trials are judged by: a score or `eval_` metric.")
@click.option(
    "--command",
    help="Run after each training; its last number is the value. {output_dir} in it "
    "is the trial's folder.",
)
@click.option("--goal", type=click.Choice(["max", "min"]), help="Which is better.")
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the trials train; else outputs/STUDY.",
)
@click.option("--storage", metavar="URL", help="Of the run history and of the study.")
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
    """Train RECIPE with the values of SPACE; hopeless trials are stopped.

    SPACE is YAML: a key of the recipe with a list of values, or with {low:, high:,
    log:, step:}. Called again, it goes on where it ended; called in several terminals
    or on several machines with one --storage, they share the trials. What follows
    `--` goes to `axolotl train`.
    """
    from ..config.settings import BLOCK
    from ..config.yaml_file import read_config
    from ..runs.history import resolve_storage
    from ..sweep import Sweep, SweepStudy, choose_objective, read_space
    from .sweep_display import SweepDisplay

    config = read_config(recipe)
    found = read_space(space)
    first = found.apply(config, _first_values(found))
    _check(first, found, config)
    objective = choose_objective(first, metric=metric, command=command, goal=goal)
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
        output_dir=output_dir or Path("outputs") / name,
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
        )
        again = work.take_up()
        display.begin(entered.plan(wanted), again, chosen)
        _train(work, display)


def _train(work: Sweep, display: Any) -> None:
    import signal

    def end_kindly(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end_kindly)
    try:
        work.run(on_wait=lambda: display.show(work.running()))
    except KeyboardInterrupt:
        display.interrupted()
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)
    display.done()


def _check(first: dict[str, Any], space: SearchSpace, recipe: dict[str, Any]) -> None:
    """Refuse what would fail, or be passed over, in every trial."""
    from ..config.settings import BLOCK, load_settings
    from ..hosts.known_keys import check_keys

    load_settings(first.get(BLOCK))
    check_keys(space.keys, recipe)


def _first_values(space: SearchSpace) -> dict[str, Any]:
    """Some values of the space, to see what a config looks like."""
    from ..sweep import Choice

    return {
        name: parameter.values[0] if isinstance(parameter, Choice) else parameter.low
        for name, parameter in space.parameters.items()
    }


def _sampling(
    space: SearchSpace, sampler: str | None, trials: int | None
) -> tuple[Any, int]:
    """The sampler, and how many trials."""
    from ..errors import Problem, SettingsError

    combinations = space.combinations()
    if sampler == "grid" and combinations is None:
        message = "grid wants a list for every key; a range has no end of values"
        raise SettingsError([Problem("--sampler", message)])
    if combinations is None:
        return sampler or "tpe", trials or _FEW_TRIALS
    if sampler in (None, "grid") and (trials is None or trials >= len(combinations)):
        return "grid", len(combinations)
    if sampler == "grid":
        message = f"grid has {len(combinations)} combinations, --trials is {trials}"
        raise SettingsError([Problem("--sampler", message, "leave one of them out")])
    return sampler or "tpe", trials or _FEW_TRIALS
