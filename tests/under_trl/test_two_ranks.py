"""Two ranks under gloo: one trace, sums over both, one decision."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import Forked

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.marker import read_marker
from axolotl_sftguide.runs.traces import find_traces, read_trace

SCRIPT = """
import json, os, sys
from pathlib import Path
from hosts import leave_together, make_sft_trainer
from transformers import TrainerCallback
from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback

class Norms(TrainerCallback):
    # After the reduction over ranks; without clipping, the gradients are whole.
    seen = []
    def on_pre_optimizer_step(self, args, state, control, model, **_):
        squares = [p.grad.double().pow(2).sum() for p in model.parameters()]
        self.seen.append(float(sum(squares)) ** 0.5)

class Worse(TrainerCallback):
    # To the second rank, each evaluation is worse than the one before.
    def on_evaluate(self, args, state, control, metrics, **_):
        if rank == "1":
            metrics["eval_loss"] = float(state.global_step)

base, data, out = map(Path, sys.argv[1:4])
overrides = json.loads(sys.argv[4])
rules = EarlyTerminationCallback(**overrides.pop("rules", {}))
rank = os.environ["RANK"]
trainer, _ = make_sft_trainer(
    base, data, out, Worse(), GradientMonitorCallback(), rules, Norms(),
    ddp_backend="gloo", logging_steps=4, **overrides,
)
trainer.train()
saved = sorted(path.name for path in (out / "out").glob("checkpoint-*"))
told = {"step": trainer.state.global_step, "norms": Norms.seen, "saved": saved}
(out / f"rank{rank}.json").write_text(json.dumps(told))
leave_together()
"""


@pytest.fixture
def train_on_two_ranks(
    forked: Forked, base: Path, data: Path, tmp_path: Path
) -> Callable[..., list[dict[str, Any]]]:
    def train(**overrides: Any) -> list[dict[str, Any]]:
        script = tmp_path / "train.py"
        script.write_text(SCRIPT)
        words = base, data, tmp_path, json.dumps(overrides)
        printed = forked.run_ranks(script, *words)
        assert printed.count("sftguide: watching run") == 1
        return [json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1)]

    return train


def test_the_trace_holds_the_sums_of_both(
    train_on_two_ranks: Callable[..., Any], tmp_path: Path
) -> None:
    ranks = train_on_two_ranks(max_grad_norm=1e6)
    (path,) = find_traces(tmp_path)
    trace = read_trace(path)
    assert [o.step for o in trace.observations] == list(range(1, 13))
    # two rows in a micro batch, two micro batches, two ranks
    assert [o.samples_seen for o in trace.observations] == [8 * s for s in range(1, 13)]
    for rank in ranks:
        norms = [o.grad_norm for o in trace.observations]
        assert norms == pytest.approx(rank["norms"], rel=1e-5)
    (run,) = RunHistory().runs()
    assert (run.status, run.key_fields["ranks"]) == ("finished", 2)


def test_a_stop_ends_both_at_the_same_step(
    train_on_two_ranks: Callable[..., Any],
) -> None:
    not_finite = {"learning_rate": 1e30, "max_grad_norm": 0.0, "max_steps": 40}
    one, two = train_on_two_ranks(**not_finite)
    (run,) = RunHistory().runs()
    assert run.status == "terminated"
    assert one["step"] == two["step"] == 8 < 40


def test_an_evaluation_that_one_finds_worse_ends_both_at_the_same_step(
    train_on_two_ranks: Callable[..., Any],
) -> None:
    """The first rank, which records and saves, sees a loss that falls."""
    one, two = train_on_two_ranks(
        rules={"evaluation": {"patience": 2}},
        eval_strategy="steps",
        eval_steps=3,
        save_strategy="steps",
        save_steps=3,
        max_steps=40,
    )
    assert one["step"] == two["step"] == 9
    assert one["saved"] == ["checkpoint-3", "checkpoint-6", "checkpoint-9"]
    (run,) = RunHistory().runs()
    assert (run.status, run.step) == ("terminated", 9)
    assert run.reason == "a rule on another rank stopped the run"


def test_evaluations_that_get_worse_end_both_and_the_best_checkpoint_stays(
    train_on_two_ranks: Callable[..., Any], tmp_path: Path
) -> None:
    """At a rate of zero, no evaluation improves on the first."""
    one, two = train_on_two_ranks(
        rules={"evaluation": {"patience": 3}},
        eval_strategy="steps",
        eval_steps=3,
        save_strategy="steps",
        save_steps=3,
        save_total_limit=1,
        max_steps=40,
        learning_rate=0.0,
    )
    assert one["step"] == two["step"] == 12
    assert one["saved"] == ["checkpoint-12", "checkpoint-3"]
    marker = read_marker(tmp_path / "out")
    assert marker is not None
    assert marker.best_checkpoint == str(tmp_path / "out" / "checkpoint-3")
