"""`sftguide next`: what to change after a run, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import echo_json, note, wants_json
from .history import require, storage_option
from .memory_size import MemorySize

if TYPE_CHECKING:
    from ..guidance import Cut, Guidance, Record
    from ..runs.history import Run


_CLOCKS_S = 2.0
"""Two clocks, of a file system and of the host, may differ by this."""


@click.command("next")
@click.argument("run", default="latest")
@storage_option
@click.option(
    "--goal",
    type=click.Choice(["general", "style", "reasoning"]),
    help="What the model is tuned for. Default: read from the name of the score.",
)
@click.option("--metric", help="Score to compare runs by. Default: the run's first.")
@click.option("--gpu-memory", "gpu_bytes", type=MemorySize(), help="Memory of one GPU.")
@click.option("--data", is_flag=True, help="Also read the lengths of the rows.")
@click.option(
    "--sweep",
    "space",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write recommended and unclear values as a search space.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def next_run(
    run: str,
    storage: str | None,
    goal: Any,
    metric: str | None,
    gpu_bytes: int | None,
    data: bool,
    space: Path | None,
    force: bool,
) -> None:
    """Recommend what to change after a run, with reasons and a certainty.

    RUN is its id, the start of its id, its name, or `latest` (the default). Loss,
    held-out loss, scores, verdicts, memory and the scored runs of the same study are
    read from the history and the trace. Where they say nothing, it says which record
    is missing. --sweep writes the run as it was and each change as a file for
    `sftguide sweep`; --data counts the rows that sequence_len cuts, which needs
    Axolotl.
    """
    from ..errors import SFTGuideError
    from ..guidance import guide, read_record
    from . import next_page

    history = require(storage)
    found = history.get(run)
    if found.shown_status == "running":
        raise SFTGuideError(
            f"{found.name} is still training; run this again after it has ended "
            f"(sftguide runs watch {found.id} shows it)"
        )
    if metric is not None and found.score(metric) is None:
        known = ", ".join(score.metric for score in found.scores) or "none"
        raise SFTGuideError(
            f"--metric: {found.name} has no {metric!r}; scores: {known}"
        )
    record = read_record(
        found,
        history.points(found.id),
        history.runs(study=found.study),
        metric=metric,
        goal=goal,
        gpu_bytes=gpu_bytes or _named_size(found.device),
        cut=_cut(found) if data else None,
    )
    guidance = guide(record)
    written = _write_space(found, record, guidance, space, force) if space else None
    if wants_json():
        echo_json(next_page.as_dict(found, record, guidance, written))
        return
    next_page.print_guidance(found, record, guidance, written)
    note(f"storage: {history.url}")


def _named_size(device: str | None) -> int | None:
    """The memory that the name of a GPU says, as in `NVIDIA H100 80GB HBM3`."""
    import re

    found = re.search(r"\b(\d+) ?GB\b", device or "")
    return int(found[1]) * 2**30 if found else None


def _config_path(run: Run) -> Path:
    """The Axolotl config that the run was started with.

    Raises:
        SFTGuideError: If there is none, or it is gone.
    """
    from ..errors import SFTGuideError

    named = run.config.get("axolotl_config_path")
    if run.host != "axolotl" or not isinstance(named, str):
        raise SFTGuideError(
            f"{run.name} was not trained by Axolotl; --data and --sweep need an "
            "Axolotl config"
        )
    path = Path(named)
    if not path.is_file():
        folder = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise SFTGuideError(
            f"the config of {run.name} is not there{folder}: {named}. Run this in the "
            "folder that the training was started in, or bring the file back"
        )
    if path.stat().st_mtime > run.started_at + _CLOCKS_S:
        note(f"{named} has changed since {run.name} was started; the new one is used")
    return path


def _cut(run: Run) -> tuple[Cut, ...]:
    """The rows of each dataset that are longer than the sequence length."""
    from ..guidance import Cut
    from .check_findings import examine

    return tuple(
        Cut(each.path, each.rows, each.long_rows, each.trained, each.long_tokens)
        for each in examine(_config_path(run)).datasets
    )


def _write_space(
    run: Run, record: Record, guidance: Guidance, space: Path, force: bool
) -> Path | None:
    from ..errors import SFTGuideError
    from ..guidance import as_space, trials

    config = _config_path(run)
    if space.exists() and not force:
        raise SFTGuideError(
            f"{space} already exists; pass --force to overwrite it, or another name"
        )
    if len(trials(record, guidance)) == 1:
        note("--sweep: no change and no open question has a value; no file was written")
        return None
    text = as_space(
        record,
        guidance,
        study=f"{run.study}-next",
        config=str(config),
        path=str(space),
    )
    try:
        space.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SFTGuideError(f"{space}: cannot be written ({error.strerror})") from None
    return space
