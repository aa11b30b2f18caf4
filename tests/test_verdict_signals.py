"""A verdict names the signals that it is about, and the history keeps them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from loss_curves import learning, run
from runs import run_row

from axolotl_sftguide.monitor.decisions import decision_of
from axolotl_sftguide.monitor.recorder import RunRecorder
from axolotl_sftguide.runs.history import Decision, RunHistory
from axolotl_sftguide.runs.traces import read_trace
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.judge import Finding
from axolotl_sftguide.stopping.rules import (
    Divergence,
    Evaluation,
    EvaluationPatience,
    NonFinite,
    NotLearning,
    Rule,
    fold,
)

DIVERGENCE = Divergence(16, 6.0, 0.1, 8, 9.0)


def about(rule: Rule, observations: Iterable[Observation]) -> tuple[str, ...]:
    verdict = fold(rule, observations)
    assert verdict is not None
    return verdict.signals


def from_step(first: int, **values: float) -> list[Observation]:
    steps = run(learning(seed=1))
    return [replace(o, **values) if o.step >= first else o for o in steps]


def test_divergence_names_the_signal_that_rose() -> None:
    assert about(DIVERGENCE, from_step(60, loss=40.0)) == ("loss",)
    norms = [0.5 + 0.1 * (i % 5) for i in range(100)] + [30.0] * 60
    assert about(DIVERGENCE, run(learning(160), norms)) == ("grad_norm",)


def test_non_finite_names_what_is_not_finite() -> None:
    nan = math.nan
    assert about(NonFinite(3), from_step(9, grad_norm=nan)) == ("grad_norm",)
    both = from_step(9, grad_norm=math.inf, loss=nan)
    assert about(NonFinite(3), both) == ("loss", "grad_norm")


def test_not_learning_names_what_stands_still() -> None:
    rule = NotLearning(5, 16, 2.5, 0.03, 4, 0.25)
    assert about(rule, from_step(1, grad_norm=0.0)) == ("grad_norm",)
    assert about(rule, from_step(1, trained_tokens=0)) == ("trained_tokens",)
    assert about(rule, from_step(1, loss=2.0)) == ("loss",)


def test_an_evaluation_names_its_metric() -> None:
    rule = EvaluationPatience("eval_f1", 2, goal="max")
    state, verdict = rule.init(), None
    for step, value in ((1, 0.5), (2, 0.4), (3, 0.3)):
        state, verdict = rule.step(state, Evaluation(step, value, 8 * step))
    assert verdict is not None
    assert verdict.signals == ("eval_f1",)


def test_the_trace_and_the_history_keep_the_signals(tmp_path: Path) -> None:
    verdict = fold(NonFinite(3), from_step(9, grad_norm=math.nan))
    assert verdict is not None
    row = run_row(output_dir=str(tmp_path))
    recorder = RunRecorder(row, storage=None, trace=True, warn=print)
    recorder.decision(decision_of(Finding(verdict, "stop")))
    recorder.end("terminated")
    (decision,) = RunHistory().get("r1").decisions
    assert decision.signals == ("grad_norm",)
    trace = read_trace(recorder.trace_path)
    again = RunHistory(str(tmp_path / "again.db"))
    assert again.import_trace(trace).decisions == (decision,)


def test_a_decision_of_an_older_trace_names_none(tmp_path: Path) -> None:
    path = tmp_path / "sftguide-trace-r1.jsonl"
    row = run_row(output_dir=str(tmp_path))
    old = {"rule": "divergence", "action": "warn", "reason": "rose", "step": 7}
    lines = [
        {"event": "run", "form": 1, "run": row},
        {"event": "decision", **old, "samples_seen": 56},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = RunHistory().import_trace(read_trace(path))
    assert found.decisions == (Decision(**old, samples_seen=56),)  # type: ignore[arg-type]
    assert found.decisions[0].signals == ()
