"""`sftguide quickstart`: train the quickstart recipe and show the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import answer, echo, sigterm_as_ctrl_c, wants_json
from .history import plain

if TYPE_CHECKING:
    import psutil

    from ..runs.traces import Trace
    from .quickstart_display import QuickstartDisplay


@click.command()
@click.option("--qlora", is_flag=True, help="Train a 4-bit QLoRA adapter instead.")
@click.option("--storage", metavar="URL", help="Run history to record the run in.")
def quickstart(qlora: bool, storage: str | None) -> None:
    """Train a tiny model on the CPU and show its scores and curves.

    Copies the recipe, its model and its data to ./recipes if they are missing. The
    training writes to outputs/ and takes about a minute (with --qlora: about three).
    Nothing is downloaded. Axolotl's output goes to a log file.
    """
    from ..config.yaml_file import read_config
    from ..recipes import find_recipe
    from ..runs.history import STORAGE_VARIABLE, RunHistory
    from ..sweep.axolotl_process import LOG, start_axolotl
    from .quickstart_display import QuickstartDisplay

    history = RunHistory(storage)  # one that cannot be used ends the command here
    recipe = find_recipe("quickstart-cpu-qlora" if qlora else "quickstart-cpu")
    config = recipe.relative_path
    if not config.is_file():
        recipe.copy_to(Path())
    folder = Path(str(read_config(config)["output_dir"]))
    log = folder / LOG
    log.unlink(missing_ok=True)
    environment = {"AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    if storage is not None:
        environment[STORAGE_VARIABLE] = storage
    started_at = time.time()
    with QuickstartDisplay(config, log) as display:
        process = start_axolotl(config, log, environment=environment)
        trace = _follow(process, folder, started_at, display)
    run = history.get(str(trace.run["id"]))
    if wants_json():
        answer(plain(run))
    else:
        display.summary(run, history.url)


def _follow(
    process: psutil.Popen, folder: Path, started_at: float, display: QuickstartDisplay
) -> Trace:
    """Show the trace as it grows, until the training ends.

    Raises:
        SFTGuideError: If the training fails.
    """
    import psutil

    from ..errors import SFTGuideError
    from ..sweep.axolotl_process import POLL_S

    code = None
    with _ended_on_interrupt(process):
        while code is None:
            with suppress(psutil.TimeoutExpired):
                code = process.wait(timeout=POLL_S)
            trace = _newest_trace(folder, started_at)
            if trace is not None:
                display.show(trace)
    trace = _newest_trace(folder, started_at)
    if code or trace is None:
        raise SFTGuideError(display.failure(code))
    return trace


@contextmanager
def _ended_on_interrupt(process: psutil.Process) -> Iterator[None]:
    """End the child on Ctrl-C, on SIGTERM and on an error."""
    from ..sweep.axolotl_process import end_process

    with sigterm_as_ctrl_c():
        try:
            yield
        except BaseException as error:
            end_process(process)
            if isinstance(error, KeyboardInterrupt):
                echo("interrupted: the training was ended", err=True)
                raise SystemExit(130) from None
            raise


def _newest_trace(folder: Path, since: float) -> Trace | None:
    """The newest trace written after a time; None while there is none."""
    from ..errors import TraceError
    from ..runs.traces import find_traces, read_trace

    # The folder also contains the traces of earlier runs.
    paths = [path for path in find_traces(folder) if path.stat().st_mtime >= since]
    try:
        return read_trace(max(paths, key=lambda p: p.stat().st_mtime))
    except (TraceError, ValueError):
        return None  # no trace yet, or its first line is incomplete
