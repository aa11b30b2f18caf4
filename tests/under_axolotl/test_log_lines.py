"""Axolotl prints one readable line for each log, if the block asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest


def test_a_log_is_a_line_and_trackers_get_the_same_logs(
    train_axolotl: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    done = train_axolotl(sftguide={"log_lines": True}, max_steps=4)
    said = capfd.readouterr().out
    lines = re.findall(
        r"step \d/4 +\d+%  loss [\d.]+ .*grad norm [\d.]+  lr 0.003", said
    )
    assert len(lines) == 4
    assert "'loss'" not in said
    assert {"loss", "grad_norm", "ppl", "sftguide/grad_norm_max"} <= set(done.logs[0])
