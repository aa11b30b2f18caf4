"""One trial: its name, its folder, its worker, and the values it was queued with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runs.history import Run, is_alive

FOLDER = "folder"
WORKER = "worker"


@dataclass(frozen=True)
class Trial:
    """One claimed trial."""

    number: int
    values: Mapping[str, Any]
    """The values that it varies, by dotted key of the config."""
    folder: Path
    """Its output folder; a repeated trial keeps the folder of the first attempt."""

    @property
    def name(self) -> str:
        """The name of the trial and of its run, such as `trial-0003`."""
        return self.folder.name


def worker_lives(trial: Any, run: Run | None) -> bool:
    """Whether the worker of a running trial is alive."""
    worker = trial.user_attrs.get(WORKER)
    if worker is None:
        # Claimed a moment ago, or by a worker that died in that moment.
        return bool(time.time() - trial.datetime_start.timestamp() < 60.0)
    seen_at = max(
        trial.datetime_start.timestamp(), run.heartbeat_at if run is not None else 0.0
    )
    return is_alive(**worker, heartbeat_at=seen_at)


def name_of(trial: Any) -> str:
    """The name of a trial: that of its folder."""
    folder = trial.user_attrs.get(FOLDER)
    return Path(folder).name if folder else default_name(trial.number)


def default_name(number: int) -> str:
    """The name of the trial with a number."""
    return f"trial-{number:04d}"


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
