"""One readable line for each log, in place of the host's dictionary."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import Forked
from same_bits import assert_same_bits

from axolotl_sftguide import LogLinesCallback, watch

LINE = re.compile(
    r"step +\d+/12 +\d+%  loss [\d.]+ +(\([+-][\d.]+\) +)?grad norm [\d.]+  lr 0.003"
)


def printed(text: str) -> list[str]:
    """The lines of a terminal on which a carriage return begins a line anew."""
    return [line.split("\r")[-1].strip() for line in text.splitlines()]


@pytest.mark.parametrize("bar", [True, False], ids=["progress bar", "no bar"])
def test_a_log_is_a_line_and_the_run_is_bit_identical(
    train_trl: Callable[..., Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    bar: bool,
) -> None:
    words: dict[str, Any] = {
        "disable_tqdm": not bar,
        "logging_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 6,
    }
    plain = train_trl(output_dir=str(tmp_path / "a"), **words)
    assert "'loss':" in capfd.readouterr().out
    lined = train_trl(LogLinesCallback(), output_dir=str(tmp_path / "b"), **words)
    said = capfd.readouterr()
    lines = printed(said.out)
    logs = [line for line in lines if LINE.match(line)]
    assert len(logs) == 6
    assert re.search(r"it/s  left \d+s", logs[1])
    assert "eval" in logs[4]
    assert "{'" not in said.out
    assert [x for x in lines if re.fullmatch(r"step +6/12 +50%  eval .*", x)]
    assert re.search(r"step 12/12  100%  trained \d+s  mean loss", lines[-1])
    assert ("12/12" in said.err) is bar  # tqdm writes there
    assert_same_bits(plain, lined)
    assert [set(a) for a in plain.trainer.state.log_history] == [
        set(b) for b in lined.trainer.state.log_history
    ]


def test_the_callbacks_of_the_host_have_their_methods_back(
    train_trl: Callable[..., Any],
) -> None:
    trainer = train_trl(LogLinesCallback()).trainer
    own = [c for c in trainer.callback_handler.callbacks if "on_log" in vars(c)]
    assert own == []


def test_what_else_shows_logs_is_left_as_it_is(
    base: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from hosts import make_sft_trainer
    from transformers import PrinterCallback, ProgressCallback

    class Own(ProgressCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            print("my own line")

    trainer, _ = make_sft_trainer(base, data, tmp_path, max_steps=2)
    for kind in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(kind)
    trainer.add_callback(Own())
    watch(trainer, log_lines=True)
    trainer.train()
    said = capfd.readouterr().out
    assert said.count("my own line") == 3
    assert "log_lines has no effect" in said


SCRIPT = """
import sys
sys.path.insert(0, {support!r})
from hosts import leave_together, make_sft_trainer
from pathlib import Path
from axolotl_sftguide import watch
trainer, _ = make_sft_trainer(Path({base!r}), Path({data!r}), Path({folder!r}))
watch(trainer, log_lines=True)
trainer.train()
leave_together()
"""


def test_only_the_first_rank_prints(
    forked: Forked, base: Path, data: Path, tmp_path: Path
) -> None:
    script = tmp_path / "two.py"
    support = Path(__file__).parents[1] / "support"
    script.write_text(
        SCRIPT.format(
            support=str(support), base=str(base), data=str(data), folder=str(tmp_path)
        )
    )
    said = forked.run_ranks(script)
    lines = [line for line in printed(said) if LINE.match(line)]
    assert len(lines) == 12
    assert "{'loss'" not in said


def test_watch_takes_it_as_an_argument(
    base: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from hosts import make_sft_trainer

    trainer, _ = make_sft_trainer(base, data, tmp_path, max_steps=2)
    watch(trainer, log_lines=True)
    trainer.train()
    said = capfd.readouterr().out
    assert "step 1/2   50%  loss" in said
    assert "grad_norm_mean" not in said
