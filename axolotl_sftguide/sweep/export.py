"""A study of the run history as an Optuna study, for example for optuna-dashboard."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ..config.differences import flatten, varied_keys
from ..errors import StorageError, SweepError
from ..runs.history import Run, RunHistory, chosen_metric
from ..signals import Point, thinned
from .storage import CURVE_POINTS, RUN, open_storage, optuna_module


def export_to_optuna(
    history: RunHistory, study: str, url: str, name: str | None = None
) -> tuple[str, int]:
    """Write the ended runs of a study as trials of an Optuna study.

    The parameters are the keys in which the configs differ, the value is the score by
    which the runs are judged (`chosen_metric`), and the intermediate values are the
    loss by samples seen. Runs that were exported before are skipped, unless a parameter
    has new categories: then all are written anew.

    Args:
        history: The history with the runs.
        study: Their study.
        url: SQLAlchemy URL of Optuna's storage.
        name: Name of the Optuna study; the same by default.

    Returns:
        The name of the Optuna study, and the number of trials written.

    Raises:
        SweepError: If there is no run to export, or the study contains other trials.
        StorageError: If a storage cannot be read or written.
    """
    optuna = optuna_module()
    runs = [run for run in history.runs(study=study) if run.shown_status != "running"]
    if not runs:
        raise SweepError(f"study {study!r} has no ended run in {history.url}")
    metric = chosen_metric(runs)
    goals = {s.goal for run in runs for s in run.scores if s.metric == metric}
    direction = "minimize" if goals == {"min"} else "maximize"
    named = name or study
    try:
        storage = open_storage(url)
        create = partial(
            optuna.create_study,
            storage=storage,
            study_name=named,
            direction=direction,
            load_if_exists=True,
        )
        made = create()
        _require_own(made, named, direction)
        varied = varied_keys([run.config for run in runs])
        distributions = _distributions(optuna, runs, varied)
        if not _fits(optuna, made, distributions):
            # Optuna never changes the categories of a parameter. The study holds
            # nothing but exported runs, so it is written anew.
            optuna.delete_study(study_name=named, storage=storage)
            made = create()
        if metric is not None:
            with warnings.catch_warnings():  # of its interface, which tests hold
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                made.set_metric_names([metric])
        known = {trial.user_attrs.get(RUN) for trial in made.trials}
        new = [run for run in runs if run.id not in known]
        for run in new:
            points = thinned(history.points(run.id), CURVE_POINTS)
            made.add_trial(_trial(optuna, run, metric, points, distributions))
    except optuna.exceptions.OptunaError as error:
        raise StorageError(f"Optuna's storage: {error}".partition("\n")[0]) from None
    return named, len(new)


def _fits(optuna: Any, made: Any, distributions: Mapping[str, Any]) -> bool:
    """Whether Optuna accepts these distributions beside those of earlier trials."""
    check = optuna.distributions.check_distribution_compatibility
    for trial in made.trials:
        for name in distributions.keys() & trial.distributions.keys():
            try:
                check(trial.distributions[name], distributions[name])
            except ValueError:
                return False
    return True


def _require_own(made: Any, name: str, direction: str) -> None:
    trials = made.trials
    if any(RUN not in trial.user_attrs for trial in trials):
        raise SweepError(
            f"the Optuna study {name!r} contains trials that were not exported "
            "from runs; choose another --name"
        )
    if made.direction.name.lower() != direction:
        raise SweepError(
            f"the Optuna study {name!r} has direction {made.direction.name.lower()!r}, "
            f"but the score of these runs needs {direction!r}; choose another --name"
        )


def _distributions(
    optuna: Any, runs: Sequence[Run], keys: Sequence[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    flat = [flatten(run.config) for run in runs]
    for key in keys:
        values = [_plain(one.get(key)) for one in flat]
        numbers = [v for v in values if _is_number(v)]
        if len(numbers) < len(values):
            labels = list(dict.fromkeys(values))
            found[key] = optuna.distributions.CategoricalDistribution(labels)
            continue
        low, high = min(numbers), max(numbers)
        log = low > 0 and high / low >= 10
        whole = all(isinstance(v, int) for v in numbers)
        kind = "IntDistribution" if whole else "FloatDistribution"
        found[key] = getattr(optuna.distributions, kind)(low, high, log=log)
    return found


def _trial(
    optuna: Any,
    run: Run,
    metric: str | None,
    points: Sequence[Point],
    distributions: Mapping[str, Any],
) -> Any:
    score = run.score(metric) if metric is not None else None
    usable = score is not None and not math.isnan(score.value)
    states = optuna.trial.TrialState
    if run.status == "finished" and score is not None and usable:
        state, value = states.COMPLETE, score.value
    else:
        stopped = run.status in ("terminated", "parked")
        state = states.PRUNED if stopped else states.FAIL
        value = None
    flat = flatten(run.config)
    trial = optuna.create_trial(
        state=state,
        value=value,
        params={key: _plain(flat.get(key)) for key in distributions},
        distributions=dict(distributions),
        intermediate_values={point.samples_seen: point.loss for point in points},
        user_attrs={
            RUN: run.id,
            "name": run.name,
            "status": run.shown_status,
            "why": run.reason,
            "steps": run.step,
            "steps_saved": run.steps_saved,
            "key": run.key,
        },
    )
    trial.datetime_start = datetime.fromtimestamp(run.started_at)
    trial.datetime_complete = datetime.fromtimestamp(run.ended_at or run.heartbeat_at)
    return trial


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _plain(value: Any) -> Any:
    """A value that Optuna can store."""
    if value is None or isinstance(value, (bool, int, str)) or _is_number(value):
        return value
    return str(value)
