"""`sftguide backtest`: stopping rules and pruners, replayed on recorded runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .backtest_runs import groups_of
from .common import echo, echo_json, note, wants_json
from .history import no_runs, require
from .numbers import WholeNumber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..config.rule_settings import EarlyTerminationSettings
    from ..errors import StorageError
    from ..runs.history import Run
    from ..stopping.backtest import Policy, WholePolicy

LEAST_RUNS = 3
"""Fewer runs are not replayed."""


@click.command()
@click.option("--study", required=True, help="Study whose runs are replayed.")
@click.option("--key", help="Only runs with this comparability key.")
@click.option(
    "--metric",
    help="Score to use. Default: `early_termination.metric` of --config, or else the "
    "score that most runs have.",
)
@click.option(
    "--orders",
    type=WholeNumber(1, 100_000),
    default=200,
    show_default=True,
    help="Random orders of arrival to average over.",
)
@click.option(
    "--seed",
    type=WholeNumber(0),
    default=0,
    show_default=True,
    help="Seed of these orders.",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML config whose `sftguide.early_termination` is replayed too.",
)
@click.option("--storage", metavar="URL", help="Run history to read.")
def backtest(
    study: str,
    key: str | None,
    metric: str | None,
    orders: int,
    seed: int,
    config: Path | None,
    storage: str | None,
) -> None:
    """Replay stopping rules and pruners on your finished runs.

    For each policy the table shows the share of runs and steps it would have stopped,
    how often the best run was kept, and how much score was lost, with 95% intervals
    that resample the settings of the runs.
    """
    from ..stopping.backtest import backtest as replay_all
    from ..stopping.backtest import signal_evidence
    from .backtest_progress import Replays
    from .backtest_tables import print_backtest

    history = require(storage)
    runs = history.runs(study=study, key=key)
    if not runs and key is None:
        no_runs(history, study)
        return
    own = _own_settings(config)
    metric = metric or (own.metric if own is not None else None)
    groups = groups_of(runs, metric)
    large = [group for group in groups if len(group.runs) >= LEAST_RUNS]
    if not large:
        raise _too_few(history.url, study, key, metric, runs)
    policies = _policies(own)
    each = [min(orders, math.factorial(len(group.runs))) for group in large]
    with Replays(len(policies) * sum(each)) as replays:
        found = [
            (
                group,
                [
                    replay_all(group.runs, replays.counted(p), orders=orders, seed=seed)
                    for p in policies
                ],
                signal_evidence(group.runs),
            )
            for group in large
        ]
    if wants_json():
        _print_json(found)
        return
    for group, results, evidence in found:
        print_backtest(study, group, results, evidence)
    left = sum(len(group.runs) for group in groups[len(large) :])
    if left:
        echo(
            f"left out: {left} {'run' if left == 1 else 'runs'} with another base "
            f"model or other data, of which there are fewer than {LEAST_RUNS}"
        )
    note(f"storage: {history.url}")


def _too_few(
    url: str, study: str, key: str | None, metric: str | None, runs: Sequence[Run]
) -> StorageError:
    """What a study lacks, and what it has."""
    from ..errors import StorageError

    metrics = sorted({score.metric for run in runs for score in run.scores})
    if metric is not None and metrics and metric not in metrics:
        return StorageError(
            f"study {study!r} has no score {metric!r}; scores: {', '.join(metrics)}"
        )
    keys = sorted({run.key for run in runs})
    if key is not None and not keys:
        return StorageError(
            f"study {study!r} has no run with the key {key!r}; the keys are in "
            f"`sftguide runs list --study {study} --json` ({url})"
        )
    return StorageError(
        f"study {study!r} has {len(runs)} runs, but fewer than {LEAST_RUNS} that are "
        "finished and scored, have a trace, and share the base model and the data. "
        f"A backtest needs at least {LEAST_RUNS} ({url})"
    )


def _own_settings(config: Path | None) -> EarlyTerminationSettings | None:
    from ..config.settings import BLOCK, load_settings
    from ..config.yaml_file import read_config

    if config is None:
        return None
    return load_settings(read_config(config).get(BLOCK)).early_termination


def _policies(own: EarlyTerminationSettings | None) -> list[Policy | WholePolicy]:
    from ..config.rule_settings import EarlyTerminationSettings, ParkingSettings
    from ..stopping.backtest import RulesPolicy
    from ..stopping.parking_replay import ParkingPolicy
    from ..sweep.policy import OptunaPolicy

    stop = EarlyTerminationSettings(action="stop")
    eager = stop.model_copy(
        update={"prediction": stop.prediction.model_copy(update={"chance": 0.1})}
    )
    parking = {"chance": 0.05, "parking": ParkingSettings()}
    parks = stop.model_copy(
        update={"prediction": stop.prediction.model_copy(update=parking)}
    )
    found: list[Policy | WholePolicy] = [
        RulesPolicy("default rules, action: stop", stop),
        RulesPolicy("the same, prediction.chance: 0.1", eager),
        ParkingPolicy("the same, 0.05 and prediction.parking", parks),
    ]
    if own is not None:
        in_sweep = own.prediction.parking is not None
        kind = ParkingPolicy if in_sweep else RulesPolicy
        found.append(kind("rules of the config", own))
    try:
        from optuna import pruners
    except ImportError:
        echo(
            "Optuna's pruners are skipped; to include them: pip install optuna",
            err=True,
        )
        return found
    makers: dict[str, Any] = {
        "Median": pruners.MedianPruner,
        "Percentile 25": lambda: pruners.PercentilePruner(25.0),
        "SuccessiveHalving": pruners.SuccessiveHalvingPruner,
        "Hyperband": pruners.HyperbandPruner,
    }
    return found + [
        OptunaPolicy(f"Optuna {name} on {signal}", make, signal)
        for signal in ("loss", "grad_norm")
        for name, make in makers.items()
    ]


def _print_json(found: Any) -> None:
    from dataclasses import asdict

    groups = [
        {
            "metric": group.metric,
            "runs": [
                {"id": r.id, "key": r.key, "score": r.score, "steps": r.steps}
                for r in group.runs
            ],
            "policies": [asdict(result) for result in results],
            "signals": [asdict(signal) for signal in evidence],
        }
        for group, results, evidence in found
    ]
    echo_json({"groups": groups})
