"""Runs that were not watched, from the `trainer_state.json` that transformers saves.

Such a run has only logged values: per log, the mean loss and the norm of the last step
(none before transformers 4.38). The samples per step are unknown. The run can
therefore be listed and scored, but not compared with other runs.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from ..config.json_text import parse_json
from ..errors import TraceError
from ..signals import Observation
from .evaluation_losses import evaluation_losses
from .marker import checkpoint_step
from .traces import PATTERN, Trace

STATE = "trainer_state.json"

ID_PREFIX = "state-"
"""How the ids of runs begin that were imported from a trainer state."""


def find_trainer_states(path: str | Path) -> list[Path]:
    """The newest state of each output folder at or below a path.

    An output folder with a trace is left out, because the trace holds more. So are the
    folders of a hyperparameter search below it, whose trials have their traces there.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    newest: dict[Path, tuple[float, Path]] = {}
    for state in sorted(path.rglob(STATE)):
        step = checkpoint_step(state.parent)
        folder = state.parent if step is None else state.parent.parent
        # The state beside the final model is the newest.
        rank = math.inf if step is None else step
        if not any(folder.glob(PATTERN)) and not _is_traced_trial(folder, state):
            newest[folder] = max(newest.get(folder, (-1, state)), (rank, state))
    return [state for _, state in newest.values()]


def _is_traced_trial(folder: Path, state: Path) -> bool:
    if not any(folder.parent.glob(PATTERN)):
        return False
    try:
        found = parse_json(state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and bool(found.get("is_hyper_param_search"))


def read_trainer_state(path: str | Path) -> Trace:
    """A state in the form of a trace, with one observation per log.

    Raises:
        TraceError: If it cannot be read, or is not a trainer state.
    """
    path = Path(path)
    try:
        state = parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise TraceError(f"{path}: is not JSON ({error})") from None
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        raise TraceError(f"{path}: has no log_history, so it is not a trainer state")
    try:
        logs = [dict(log) for log in state["log_history"]]
        observations = tuple(
            _observation(log) for log in logs if "loss" in log and "step" in log
        )
        steps = [observation.step for observation in observations]
        step, max_steps = int(state["global_step"]), int(state["max_steps"])
        if max(abs(n) for n in (step, max_steps, *steps)) >= 2**63:
            raise ValueError("a number of steps is too large")
        ended = _was_ended(state) or _has_summary(logs, step)
        events = _events(path, logs, step, max_steps, ended)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise TraceError(
            f"{path}: the trainer state is incomplete ({error!r:.200})"
        ) from None
    return Trace(path, _run(path, step, max_steps), observations, events)


def _was_ended(state: dict[str, Any]) -> bool:
    """Whether a callback ended the training on purpose, as early stopping does."""
    callbacks = state.get("stateful_callbacks")
    control = callbacks.get("TrainerControl") if isinstance(callbacks, dict) else None
    args = control.get("args") if isinstance(control, dict) else None
    return isinstance(args, dict) and args.get("should_training_stop") is True


def _has_summary(logs: list[dict[str, Any]], step: int) -> bool:
    """Whether the trainer has logged its summary, which it does at the end."""
    return any("train_runtime" in log and log.get("step") == step for log in logs)


def _run(path: Path, step: int, max_steps: int) -> dict[str, Any]:
    folder = path.resolve().parent
    if checkpoint_step(folder) is not None:
        folder = folder.parent
    digest = hashlib.sha256(str(folder).encode()).hexdigest()
    return {
        "id": f"{ID_PREFIX}{digest[:10]}",
        "name": folder.name,
        "study": "imported",
        "key": "unknown",
        "key_fields": {},
        "comparable": False,
        "host": "transformers",
        "config": {},
        "output_dir": str(folder),
        "trace_path": None,
        "step": step,
        "max_steps": max_steps,
        "started_at": path.stat().st_mtime,
        "hostname": "unknown",
        "process_id": 0,
        "process_started_at": 0.0,
    }


def _observation(log: dict[str, Any]) -> Observation:
    return Observation(
        step=int(log["step"]),
        samples_seen=0,
        loss=float(log["loss"]),
        grad_norm=_float(log.get("grad_norm")),
        learning_rate=_float(log.get("learning_rate")),
        measured=False,
        samples_counted=False,
    )


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _events(
    path: Path, logs: list[dict[str, Any]], step: int, max_steps: int, was_ended: bool
) -> tuple[dict[str, Any], ...]:
    at = path.stat().st_mtime
    evaluated = {metric: value for log in logs for metric, value in log.items()}
    events: list[dict[str, Any]] = []
    for metric, value in evaluation_losses(evaluated).items():
        score = {"metric": metric, "value": float(value), "goal": "min"}
        events.append({"event": "score", **score})
    if step >= max_steps or was_ended:
        early = f"ended early at step {step}" if step < max_steps else None
        events.append({"event": "end", "status": "finished", "reason": early, "at": at})
    else:
        reason = f"the trainer state ends at step {step}"
        events.append({"event": "end", "status": "failed", "reason": reason, "at": at})
    return tuple(events)
