"""`sftguide backtest`: stopping rules and pruners, replayed on recorded runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .history import no_runs, require

if TYPE_CHECKING:
    from ..config.settings import EarlyTerminationSettings
    from ..runs.history import Run
    from ..stopping.backtest import Policy
    from ..stopping.baselines import RecordedRun


@click.command()
@click.option("--study", required=True, help="Study whose runs are replayed.")
@click.option("--key", help="Comparability key. Default: the key with most runs.")
@click.option("--metric", help="Score to use. Default: the score that most runs have.")
@click.option(
    "--orders",
    default=200,
    show_default=True,
    help="Random orders of arrival to average over.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of these orders.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML config whose `sftguide.early_termination` is replayed too.",
)
@click.option("--storage", metavar="URL", help="Run history to read.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backtest(
    study: str,
    key: str | None,
    metric: str | None,
    orders: int,
    seed: int,
    config: Path | None,
    storage: str | None,
    as_json: bool,
) -> None:
    """Replay stopping rules and pruners on your finished runs.

    For each policy the table shows the share of runs and steps it would have stopped,
    how often the best run was kept, and how much score was lost, with 95% intervals
    that resample the settings of the runs.
    """
    from ..errors import StorageError
    from ..stopping.backtest import backtest as replay_all
    from ..stopping.backtest import signal_evidence
    from .backtest_progress import Replays

    history = require(storage)
    found = history.runs(study=study, key=key)
    if not found and key is None:
        no_runs(history, study)
    runs, goal = _recorded(found, metric)
    if len(runs) < 3:
        raise StorageError(
            f"study {study!r} has {len(runs)} finished and scored runs with traces and "
            f"the same comparability key; a backtest needs at least 3 ({history.url})"
        )
    policies = _policies(_own_settings(config))
    with Replays(len(policies), min(orders, math.factorial(len(runs)))) as replays:
        results = [
            replay_all(runs, replays.counted(policy), orders=orders, seed=seed)
            for policy in policies
        ]
    evidence = signal_evidence(runs)
    if as_json:
        _print_json(runs, results, evidence)
        return
    from .backtest_tables import print_backtest

    print_backtest(study, runs, goal, results, evidence)
    click.echo(f"storage: {history.url}")


def _recorded(found: list[Run], metric: str | None) -> tuple[list[RecordedRun], str]:
    """The finished, scored runs with a trace, of the key that most of them share."""
    from collections import Counter

    from ..config.differences import setting_of
    from ..errors import TraceError
    from ..runs.traces import read_trace
    from ..stopping.baselines import RecordedRun

    usable = [
        run
        for run in found
        if run.status == "finished" and run.comparable and run.trace_path
    ]
    metrics = Counter(s.metric for run in usable for s in run.scores)
    chosen = metric or next((name for name, _ in metrics.most_common(1)), "")
    scored = [(run, run.score(chosen)) for run in usable]
    keys = Counter(run.key for run, score in scored if score is not None)
    largest = next((name for name, _ in keys.most_common(1)), None)
    runs = []
    for run, score in scored:
        if score is None or run.key != largest:
            continue
        try:
            observations = read_trace(run.trace_path or "").observations
        except TraceError as error:
            click.echo(f"skipped: {error}", err=True)
            continue
        value = score.value if score.goal == "max" else -score.value
        if observations and value == value:
            setting = setting_of(run.config) if run.config else ""
            sign = 1.0 if score.goal == "max" else -1.0
            runs.append(
                RecordedRun(
                    run.id, run.name, value, observations, chosen, sign, setting
                )
            )
    return runs, chosen


def _own_settings(config: Path | None) -> EarlyTerminationSettings | None:
    from ..config.settings import BLOCK, load_settings
    from ..config.yaml_file import read_config

    if config is None:
        return None
    return load_settings(read_config(config).get(BLOCK)).early_termination


def _policies(own: EarlyTerminationSettings | None) -> list[Policy]:
    from ..config.settings import EarlyTerminationSettings
    from ..stopping.backtest import RulesPolicy
    from ..sweep.policy import OptunaPolicy

    stop = EarlyTerminationSettings(action="stop")
    eager = stop.model_copy(
        update={"prediction": stop.prediction.model_copy(update={"chance": 0.1})}
    )
    found: list[Policy] = [
        RulesPolicy("default rules, action: stop", stop),
        RulesPolicy("the same, prediction.chance: 0.1", eager),
    ]
    if own is not None:
        found.append(RulesPolicy("rules of the config", own))
    try:
        from optuna import pruners
    except ImportError:
        click.echo(
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


def _print_json(runs: Any, results: Any, evidence: Any) -> None:
    import json
    from dataclasses import asdict

    from ..runs.redaction import json_safe

    found = {
        "runs": [{"id": r.id, "score": r.score, "steps": r.steps} for r in runs],
        "policies": [asdict(result) for result in results],
        "signals": [asdict(signal) for signal in evidence],
    }
    click.echo(json.dumps(json_safe(found), indent=2))
