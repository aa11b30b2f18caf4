"""What `check` and `plan` say of the config file that a run was started with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..advice import advise, silenced
from ..config.model_configs import parameter_count
from ..config.yaml_file import read_config, read_text
from ..errors import PlanError, SFTGuideError
from ..planning import find_model, plan_memory
from ..runs.history import Run

_CLOCKS_S = 2.0
"""Two clocks, of a file system and of the host, may differ by this."""


def written_config(run: Run) -> tuple[Mapping[str, Any], str] | None:
    """The config as written, and its text; None if it is gone or changed since.

    The run records the config as Axolotl fills it in; findings are about what was
    written.
    """
    named = run.config.get("axolotl_config_path")
    if run.host != "axolotl" or not isinstance(named, str):
        return None
    path = Path(named)
    try:
        if path.stat().st_mtime > run.started_at + _CLOCKS_S:
            return None
        return read_config(path), read_text(path)
    except (OSError, SFTGuideError):
        return None


def findings(run: Run, written: Mapping[str, Any], text: str) -> list[dict[str, Any]]:
    """The findings of `sftguide check`, without those that hold for most configs."""
    data = run.key_fields.get("data")
    rows = data.get("rows") if isinstance(data, Mapping) else None
    model = find_model(str(written.get("base_model", ""))) or {}
    found = advise(
        written,
        rows=rows,
        ranks=_ranks(run),
        parameters=parameter_count(dict(model)),
        model=model,
    )
    kept, _ = silenced(text, [one for one in found if not one.is_general])
    return [
        {
            "id": one.id,
            "weight": one.weight.name.lower(),
            "path": one.path,
            "text": one.text,
            "source": one.source,
        }
        for one in kept
    ]


def planned_memory(run: Run, written: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `sftguide plan` estimates; None if it cannot, or without a GPU."""
    model = find_model(str(written.get("base_model", "")))
    if run.device in (None, "cpu") or model is None:
        return None
    try:
        made = plan_memory(written, model, gpus=_ranks(run))
    except PlanError:
        return None
    return {
        "peak": made.peak_bytes,
        "peak_at": made.peak_at,
        "parts": [[part.name, part.size_bytes] for part in made.parts],
        "not_planned": list(made.not_planned),
    }


def _ranks(run: Run) -> int:
    ranks = run.key_fields.get("ranks")
    return ranks if isinstance(ranks, int) and ranks > 0 else 1
