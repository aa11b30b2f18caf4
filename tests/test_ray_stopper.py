"""The rules as a stopper of Ray Tune: alone, and in a real experiment.

`pip install 'ray[tune]'` into an environment with the package runs them; they are
skipped elsewhere.
"""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from axolotl_sftguide import SFTGuideStopper
from axolotl_sftguide.errors import SettingsError

STEPS = 200


def curve(level: float, seed: int = 0, *, diverges: bool = False) -> list[float]:
    draw = random.Random(seed)
    losses = [level + 2 / (1 + i / 10) + draw.gauss(0, 0.02) for i in range(STEPS)]
    return [x + 8 * (diverges and i > 60) for i, x in enumerate(losses)]


def report(
    stopper: Any, name: str, losses: list[float], score: float | None = None
) -> int:
    """The step at which a trial is stopped; the last one if it is not."""
    for step, loss in enumerate(losses, start=1):
        result = {"step": step, "loss": loss, "learning_rate": 1e-3}
        if stopper(name, result):
            return step
    if score is not None:
        assert not stopper(name, {"eval_loss": score, "training_iteration": STEPS})
    return len(losses)


def test_a_trial_that_diverges_is_stopped_and_a_healthy_one_is_not() -> None:
    stopper = SFTGuideStopper(max_steps=STEPS)
    assert report(stopper, "healthy", curve(1.0)) == STEPS
    at = report(stopper, "diverges", curve(1.0, diverges=True))
    assert 60 < at < STEPS / 2
    assert list(stopper.reasons) == ["diverges"]
    assert stopper.reasons["diverges"].startswith(f"divergence at step {at}: median")
    assert not stopper.stop_all()


def test_a_nan_stops_a_trial_and_a_rule_that_only_warns_does_not() -> None:
    losses = [1.0, 1.0, math.nan, math.nan, math.nan, math.nan, *[math.nan] * 20]
    assert report(SFTGuideStopper(), "t", losses) < len(losses)
    warns = SFTGuideStopper(non_finite={"action": "warn"})
    assert report(warns, "t", losses) == len(losses)


def test_a_hopeless_trial_is_stopped_by_those_that_have_finished() -> None:
    stopper = SFTGuideStopper(max_steps=STEPS, metric="eval_loss", mode="min")
    for i in range(12):
        level = 1.6 - 0.05 * i
        assert report(stopper, f"t{i}", curve(level, i), score=level) == STEPS
    assert report(stopper, "good", curve(0.95, 50), score=0.95) == STEPS
    assert 0.15 * STEPS <= report(stopper, "bad", curve(3.0, 51)) < STEPS
    assert "prediction" in stopper.reasons["bad"]


def test_what_is_reported_is_named_and_a_wrong_name_is_said() -> None:
    stopper = SFTGuideStopper(step="iteration", loss="train/loss")
    assert not stopper("t", {"iteration": 1, "train/loss": 1.0})
    with pytest.raises(SettingsError, match=r"SFTGuideStopper\.step: .*no 'step'"):
        SFTGuideStopper()("t", {"loss": 1.0})
    with pytest.raises(SettingsError, match="divergence"):
        SFTGuideStopper(divergance={"patience": 3})
    with pytest.raises(SettingsError, match="Write min or max"):
        SFTGuideStopper(mode="lowest")


def test_results_without_a_loss_are_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stopper = SFTGuideStopper()
    for _ in range(50):
        assert not stopper("t", {"step": 1, "train_loss": 1.0})
    assert caplog.text.count("have no 'loss', so no rule judges it") == 1


def test_it_travels_to_another_process() -> None:
    stopper = SFTGuideStopper(max_steps=STEPS)
    report(stopper, "t", curve(1.0)[:50])
    again = pickle.loads(pickle.dumps(stopper))
    assert report(again, "t", curve(1.0)) == STEPS


@pytest.fixture
def cluster() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ray_ends_the_trials_that_the_stopper_finds_hopeless(tmp_path: Path) -> None:
    from ray import tune

    def train(config: dict[str, Any]) -> None:
        for step, loss in enumerate(config["losses"], start=1):
            tune.report({"step": step, "loss": loss})

    stopper = SFTGuideStopper(max_steps=STEPS)
    losses = [curve(1.0, 1), curve(1.0, 2, diverges=True), curve(1.2, 3)]
    tuner = tune.Tuner(
        train,
        param_space={"losses": tune.grid_search(losses)},
        run_config=tune.RunConfig(
            name="s", storage_path=str(tmp_path), stop=stopper, verbose=0
        ),
    )
    results = tuner.fit()
    assert not results.errors
    ended = sorted(result.metrics["step"] for result in results)
    assert ended[0] < STEPS / 2
    assert ended[1:] == [STEPS, STEPS]
    assert len(stopper.reasons) == 1
