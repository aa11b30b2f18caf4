"""`sftguide backtest`: rules and pruners, replayed on the runs of the history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..config.settings import EarlyTerminationSettings
    from ..runs.history import Run
    from ..stopping.backtest import Policy
    from ..stopping.baselines import RecordedRun


@click.command()
@click.option("--study", required=True, help="The study whose runs are replayed.")
@click.option("--key", help="The comparability key; else the one with most runs.")
@click.option("--metric", help="The score; else the one that most runs have.")
@click.option("--orders", default=200, show_default=True, help="Orders of arrival.")
@click.option("--seed", default=0, show_default=True, help="Of the orders.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML config: its `sftguide: early_termination:` is replayed too.",
)
@click.option("--storage", metavar="URL", help="The run history.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
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
    """Say what rules and pruners would have saved on your runs, and lost."""
    from ..errors import StorageError
    from ..runs.history import RunHistory
    from ..stopping.backtest import backtest as replay_all
    from ..stopping.backtest import signal_evidence

    history = RunHistory(storage)
    runs, goal = _recorded(history.runs(study=study, key=key), metric)
    if len(runs) < 3:
        raise StorageError(
            f"run history {history.url}: study {study!r} has {len(runs)} finished and "
            "scored runs of one key with their traces; a backtest needs 3"
        )
    results = [
        replay_all(runs, policy, orders=orders, seed=seed)
        for policy in _policies(_own_settings(config))
    ]
    evidence = signal_evidence(runs)
    if as_json:
        _print_json(runs, results, evidence)
        return
    from .backtest_tables import print_backtest

    print_backtest(study, runs, goal, results, evidence)
    click.echo(f"storage: {history.url}")


def _recorded(found: list[Run], metric: str | None) -> tuple[list[RecordedRun], str]:
    """The runs of the largest key that finished, were scored and left a trace."""
    from collections import Counter

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
            click.echo(f"left out: {error}", err=True)
            continue
        value = score.value if score.goal == "max" else -score.value
        if observations and value == value:
            runs.append(RecordedRun(run.id, run.name, value, observations))
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
    alone = stop.model_copy(
        update={"cohort": stop.cohort.model_copy(update={"action": "off"})}
    )
    found: list[Policy] = [
        RulesPolicy("default rules, action: stop", stop),
        RulesPolicy("the same without the cohort", alone),
    ]
    if own is not None:
        found.append(RulesPolicy("the config's rules", own))
    try:
        from optuna import pruners
    except ImportError:
        click.echo("Optuna's pruners are left out: pip install optuna", err=True)
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
