"""One trial: its values, folder and worker; how it runs and how it ended."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runs.history import Run, is_alive

FOLDER = "folder"
WORKER = "worker"
CLAIMED_AT = "claimed_at"
PARKED = "parked"
"""The attribute of a parked trial: the step, and the id of its run."""
RESUMED = "resumed"
"""The attribute of a trial that was parked: where, and why it was resumed."""

_TRAINED = ("recipe", "space", "fixed")
"""The parts of a sweep's definition that decide what is trained."""


@dataclass(frozen=True)
class Trial:
    """One claimed trial."""

    number: int
    values: Mapping[str, Any]
    """The values that it varies, by dotted key of the config."""
    folder: Path
    """Its output folder; a repeated trial keeps the folder of the first attempt."""
    resumed: Mapping[str, Any] | None = None
    """If it was parked: at which `step`, and why it was resumed."""

    @property
    def name(self) -> str:
        """The name of the trial and of its run, such as `trial-0003`."""
        return self.folder.name

    @property
    def resumed_at(self) -> int | None:
        """The step at which it was parked, if it was resumed."""
        return None if self.resumed is None else int(self.resumed["step"])


@dataclass(frozen=True)
class Running:
    """A trial in training, and its run once it has begun."""

    trial: Trial
    run: Run | None


@dataclass(frozen=True)
class Ended:
    """A trial that has ended in any way."""

    trial: Trial
    run: Run | None
    value: float | None
    """Value of the objective; None if the trial was stopped or failed."""
    why: str | None
    """Why it was stopped or failed."""
    best: bool
    """Whether it is the best trial of the study so far."""


def worker_lives(trial: Any, run: Run | None) -> bool:
    """Whether the worker of a running trial is alive."""
    worker = trial.user_attrs.get(WORKER)
    if worker is None:
        # Claimed a moment ago, or by a worker that died in that moment.
        return bool(time.time() - trial.datetime_start.timestamp() < 60.0)
    seen_at = max(
        trial.user_attrs.get(CLAIMED_AT) or trial.datetime_start.timestamp(),
        run.heartbeat_at if run is not None else 0.0,
    )
    return is_alive(**worker, heartbeat_at=seen_at)


def name_of(trial: Any) -> str:
    """The name of a trial: that of its folder."""
    folder = trial.user_attrs.get(FOLDER)
    return Path(folder).name if folder else default_name(trial.number)


def default_name(number: int) -> str:
    """The name of the trial with a number."""
    return f"trial-{number:04d}"


def state_of(trial: Any) -> str:
    """The name of Optuna's state, or `PARKED`."""
    parked = trial.state.name == "RUNNING" and trial.user_attrs.get(PARKED)
    return "PARKED" if parked else str(trial.state.name)


def new_folder(output_dir: Path, number: int) -> Path:
    """A folder for a trial that no earlier sweep of the same name has used."""
    first = folder = output_dir / default_name(number)
    attempt = 1
    while folder.exists():
        attempt += 1
        folder = first.with_name(f"{first.name}-{attempt}")
    folder.mkdir(parents=True)
    return folder.resolve()


def as_text(parameters: Mapping[str, Any]) -> str:
    """The same text for equal parameters, whatever their order."""
    return json.dumps(parameters, sort_keys=True, default=str)


def fixed(trial: Any) -> dict[str, Any]:
    """The values that a trial was queued with."""
    return dict(trial.system_attrs.get("fixed_params") or {})


def plain(parameter: Any) -> Any:
    """A parameter of a search space as a value for JSON."""
    return (
        parameter.model_dump() if hasattr(parameter, "model_dump") else parameter.labels
    )


def difference(known: Any, definition: Mapping[str, Any]) -> str:
    """What differs between the definitions of two sweeps."""
    if known is None:
        return "it was not created by `sftguide sweep`"
    for part, now in definition.items():
        before = known.get(part)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            keys = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
            return f"{part}: {', '.join(keys[:5])} differ{'s' * (len(keys) == 1)}"
        return f"{part} was {before!r}, is {now!r}"
    return "its definition differs"


def differ_in_valuing(known: Any, definition: Mapping[str, Any]) -> bool:
    """Whether two sweeps differ only in the metric or the command, not in the goal."""
    if not isinstance(known, Mapping) or "objective" not in known:
        return False
    same_trainings = all(known.get(part) == definition[part] for part in _TRAINED)
    return same_trainings and known["objective"][1] == definition["objective"][1]


def training_digest(definition: Mapping[str, Any]) -> str:
    """Equal for sweeps that train the same."""
    trained = {part: definition[part] for part in _TRAINED}
    text = json.dumps(trained, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
