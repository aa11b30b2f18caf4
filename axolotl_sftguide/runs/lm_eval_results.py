"""Scores from a result file of lm-evaluation-harness, as `axolotl lm-eval` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.json_text import parse_json
from ..errors import TraceError
from .history import Goal, Score


def read_lm_eval_results(path: str | Path) -> list[Score]:
    """One score for each task and metric, named `task/metric`.

    The file's `higher_is_better` gives the better direction; by default a higher score
    is better. Standard errors are left out; `n-samples` gives the number of examples.

    Raises:
        TraceError: If it cannot be read or contains no results.
    """
    path = Path(path)
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
        results, directions = found["results"], found.get("higher_is_better") or {}
        scores = []
        for task, metrics in results.items():
            for name, value in metrics.items():
                metric = name.partition(",")[0]
                if metric.endswith("_stderr") or isinstance(value, (str, bool)):
                    continue
                higher = (directions.get(task) or {}).get(metric, True)
                goal: Goal = "max" if higher else "min"
                name = f"{task}/{metric}"
                examples = _examples(found, task)
                scores.append(Score(name, float(value), goal, examples=examples))
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error.strerror})") from None
    except _WRONG as error:
        raise TraceError(
            f"{path}: is not a result file of lm-eval ({error!r:.200}). lm-eval writes "
            "results_*.json with --output_path"
        ) from None
    if not scores:
        raise TraceError(f"{path}: contains no results")
    return scores


_WRONG = (ValueError, KeyError, TypeError, AttributeError, OverflowError)


def _examples(found: dict[str, Any], task: str) -> int | None:
    counted = (found.get("n-samples") or {}).get(task) or {}
    effective = counted.get("effective")
    return effective if type(effective) is int and 0 < effective < 2**63 else None
