"""Small watched trainings of transformers, to be hurt; each runs in a child."""

import json
import math
import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.distributed  # two ranks use it
from plain import make_rows, make_trainer
from transformers import Trainer, TrainerCallback, set_seed

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs import history_writer
from axolotl_sftguide.runs.checkpoints import last_whole_checkpoint

STEPS = 60
SEEN = "seen.txt"
"""The file with the steps that the host has logged, written without a buffer."""
DIGEST = "weights.txt"
LOSSES = "losses.json"


class Seen(TrainerCallback):  # type: ignore[misc]
    """Notes each log after the monitor has recorded it, and goes slowly if asked."""

    def __init__(self, folder: Path, pause_s: float) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(folder / SEEN, flags, 0o666)
        self._pause_s = pause_s

    def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:
        if "loss" in logs:
            os.write(self._file, f"{state.global_step}\n".encode())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if self._pause_s:
            time.sleep(self._pause_s)


class Planted(Trainer):  # type: ignore[misc]
    """A trainer whose losses are replaced at some steps; it keeps what it returned."""

    planted: ClassVar[dict[int, str]] = {}
    returned: ClassVar[dict[int, float]] = {}

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().compute_loss(*args, **kwargs)
        if not self.model.training:
            return loss
        step = self.state.global_step + 1
        value = self.planted.get(step)
        if value == "raise":
            raise ArithmeticError("planted")
        if value is not None:
            loss = loss * 0 + float(value) if value != "grow" else loss * 1e30
        self.returned[step] = float(loss.detach())
        return loss


def train(
    folder: str,
    *,
    steps: int = STEPS,
    pause_s: float = 0.0,
    save_steps: int = 10,
    planted: dict[int, str] | None = None,
    rules: bool = True,
    trace: bool = True,
    resume: bool = True,
    seen: str | None = None,
    clock: list[tuple[int, float]] | None = None,
    kill_near_write: tuple[int, float, str] | None = None,
    quick_retries: bool = False,
    changed: dict[str, Any] | None = None,
    first: Sequence[TrainerCallback] = (),
) -> None:
    """Train, from the last whole checkpoint if there is one.

    Args:
        folder: The output folder.
        steps: Optimizer steps.
        pause_s: A pause after each step.
        save_steps: Steps between checkpoints; 0 for none.
        planted: The loss of some steps.
        rules: Whether rules may stop the run.
        trace: Whether a trace is written.
        resume: Whether a checkpoint is resumed.
        seen: Where what was seen is noted; by default the output folder.
        clock: At which steps the clock jumps, and by how many seconds.
        kill_near_write: After how many files opened for writing below the folder, and
            how much later, this process dies of which signal.
        quick_retries: Whether a failed history is tried again within a second.
        changed: Other training arguments.
        first: Callbacks that are called before all others.
    """
    out, notes = Path(folder), Path(seen or folder)
    out.mkdir(parents=True, exist_ok=True)
    if quick_retries:
        history_writer.FIRST_PAUSE_S = history_writer.LONGEST_PAUSE_S = 0.3
    if clock:
        _jumping_clock(clock)
    callbacks: list[Any] = [*first, Seen(notes, pause_s)]
    if clock:
        callbacks.append(ClockSteps())
    settings = None
    if not trace:
        from axolotl_sftguide.config.settings import load_settings

        settings = load_settings({"monitor": {"trace": False}})
    callbacks.append(GradientMonitorCallback(settings=settings))
    if rules:
        callbacks.append(EarlyTerminationCallback())
    Planted.planted = {int(k): v for k, v in (planted or {}).items()}
    Planted.returned = {}
    set_seed(0)
    saves = {"save_strategy": "steps", "save_steps": save_steps} if save_steps else {}
    trainer = make_trainer(
        out,
        *callbacks,
        kind=Planted,
        rows=make_rows(128),
        max_steps=steps,
        logging_steps=2,
        learning_rate=3e-3,
        **{**saves, **(changed or {})},
    )
    last = last_whole_checkpoint(out) if resume and save_steps else None
    if kill_near_write is not None:
        _die_near_a_write(out, *kill_near_write)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    rank = os.environ.get("RANK", "0")
    parts = [p.detach().double().sum().item() for p in trainer.model.parameters()]
    weights = "".join(float(part).hex() for part in parts)
    (notes / DIGEST).with_suffix(f".{rank}").write_text(weights)
    losses = {step: repr(loss) for step, loss in Planted.returned.items()}
    (notes / LOSSES).with_suffix(f".{rank}").write_text(json.dumps(losses))


def train_with(folder: str, options: dict[str, Any]) -> None:
    """Train in a child, whose own keywords are variables of the environment."""
    train(folder, **options)


def train_on_a_rank(folder: str, options: dict[str, Any], dies: dict[str, Any]) -> None:
    """One of two ranks; `dies` says at which step which rank dies, and how."""
    rank = os.environ["RANK"]
    own = dict(options)
    if rank != str(dies.get("rank")):
        own.pop("planted", None)

    class Dies(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if rank == str(dies.get("rank")) and state.global_step == dies.get("step"):
                os.kill(os.getpid(), dies["signal"])

    train(folder, **own, changed={"ddp_backend": "gloo"}, first=[Dies()])
    torch.distributed.destroy_process_group()


class ClockSteps(TrainerCallback):  # type: ignore[misc]
    """Tells the clock which step is trained."""

    step = 0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        ClockSteps.step = state.global_step


def _jumping_clock(jumps: list[tuple[int, float]]) -> None:
    real = time.time

    def now() -> float:
        return real() + sum(by for step, by in jumps if ClockSteps.step >= step)

    time.time = now


def _die_near_a_write(folder: Path, count: int, later_s: float, how: str) -> None:
    import sys

    left = [count]

    def hook(event: str, args: Any) -> None:
        if event != "open" or not isinstance(args[0], (str, os.PathLike)):
            return
        mode, flags = args[1], args[2] or 0
        writes = flags & (os.O_WRONLY | os.O_RDWR) or set(mode or "") & set("wax+")
        if writes and str(args[0]).startswith(str(folder)):
            left[0] -= 1
            if left[0] == 0:
                number = getattr(signal, how)
                threading.Timer(later_s, os.kill, (os.getpid(), number)).start()

    sys.addaudithook(hook)


def draw_planted(draw: random.Random, steps: int) -> dict[int, str]:
    """Losses that are NaN, infinite or absurd, at one step, at some, or from one on."""
    values = ["nan", "inf", "-inf", "1e38", "-1e38", "0", "-0.0", "1e-45", "grow"]
    first = draw.randint(1, steps)
    kind = draw.choice(["one", "some", "from", "all"])
    if kind == "one":
        return {first: draw.choice(values)}
    if kind == "from":
        return dict.fromkeys(range(first, steps + 1), draw.choice(values))
    if kind == "all":
        return {step: draw.choice(values) for step in range(1, steps + 1)}
    chosen = draw.sample(range(1, steps + 1), draw.randint(2, steps // 2))
    return {step: draw.choice(values) for step in chosen}


def same(one: float, other: float) -> bool:
    """Whether two numbers are equal, or both NaN."""
    return one == other or (math.isnan(one) and math.isnan(other))
