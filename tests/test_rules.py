"""The rules, folded over curves as they are met."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from labelled_curves import labelled_curves
from loss_curves import fine_tuning, learning, run
from real_data import real_file

from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.config.settings import Settings
from axolotl_sftguide.signals import Curve, Observation
from axolotl_sftguide.stopping.judge import judge_of
from axolotl_sftguide.stopping.rules import (
    Divergence,
    Grace,
    NonFinite,
    NotLearning,
    Patience,
    Rule,
    WorseThan,
    fold,
)

RULES = Settings().early_termination
NAN = math.nan


def divergence() -> Divergence:
    s = RULES.divergence
    return Divergence(s.window, s.sigmas, s.margin, s.patience, s.norm_margin)


def not_learning() -> NotLearning:
    s = RULES.not_learning
    return NotLearning(s.steps, s.grace, s.sigmas, s.margin, s.patience, s.share)


def stops(rule: Rule, observations: Iterable[Observation]) -> bool:
    """Whether the rule ever has evidence enough to stop the run."""
    state = rule.init()
    for observation in observations:
        state, verdict = rule.step(state, observation)
        if verdict is not None and verdict.certain:
            return True
    return False


def worse_than(reference: list[Observation]) -> Rule:
    s = RULES.comparison
    worse = WorseThan(Curve.of("ref", reference), s.window, s.sigmas, s.margin)
    return Patience(Grace(worse, s.grace), s.patience)


HEALTHY: dict[str, dict[str, float]] = {
    "1.3 to 1.1": {},
    "1.3 to 1.1 slowly": {"steps_of_decay": 300},
    "1.0 to 0.9": {"start": 1.0, "end": 0.9, "noise": 0.1},
    "2.0 to 1.2 in noise": {"start": 2.0, "end": 1.2, "noise": 0.3},
    "1.5 to 1.1 fast": {"start": 1.5, "end": 1.1, "steps_of_decay": 50},
    "1.3 to 1.1, correlated": {"correlation": 0.6},
    "1.3 to 1.1, highly correlated": {"correlation": 0.8},
}
"""Runs that learn, as fine-tuning runs do: see `curves.fine_tuning`."""


healthy_runs = pytest.mark.parametrize("kind", HEALTHY)


def found_of_a_hundred(rule: Rule, **kind: Any) -> int:
    runs = (run(fine_tuning(seed, **kind)) for seed in range(100))
    return sum(fold(rule, observations) is not None for observations in runs)


def stopped_of_a_hundred(rule: Rule, **kind: Any) -> int:
    return sum(stops(rule, run(fine_tuning(i, **kind))) for i in range(100))


class TestNonFinite:
    rule = NonFinite(steps=3)

    def test_a_single_nan_is_an_ordinary_event(self) -> None:
        assert fold(self.rule, run([1, NAN, 1, 1, math.inf, NAN, 1])) is None

    def test_steps_that_stay_non_finite_are_found_with_where_it_began(self) -> None:
        verdict = fold(self.rule, run([1, NAN, 1, NAN, NAN, NAN, NAN]))
        assert verdict is not None
        assert (verdict.step, verdict.bad_since) == (6, 4)

    def test_a_norm_counts_like_a_loss(self) -> None:
        assert fold(self.rule, run([0.0] * 5, [1, NAN, NAN, NAN, NAN])) is not None


class TestDivergence:
    @pytest.mark.parametrize("seed", range(200))
    def test_an_ordinary_run_has_not_diverged(self, seed: int) -> None:
        assert fold(divergence(), run(learning(500, seed))) is None

    @healthy_runs
    def test_of_a_hundred_healthy_runs_at_most_one_has_diverged(
        self, kind: str
    ) -> None:
        assert found_of_a_hundred(divergence(), **HEALTHY[kind]) <= 1

    def test_a_spike_that_recovers_is_not_a_divergence(self) -> None:
        losses = learning(300)
        for i in range(12):
            losses[150 + i] = 6 * 0.75**i
        assert fold(divergence(), run(losses)) is None

    def test_a_spike_that_recovers_slowly_is_given_time(self) -> None:
        losses = learning(400)
        for i in range(40):
            losses[150 + i] = 0.9 + 8 * 0.92**i
        assert fold(divergence(), run(losses)) is None

    def test_a_loss_that_leaves_its_level_for_good_is(self) -> None:
        losses = learning(200) + [x + 4 for x in learning(100, floor=2)]
        verdict = fold(divergence(), run(losses))
        assert verdict is not None
        assert 199 <= verdict.bad_since <= 203
        assert verdict.step < 240

    def test_a_run_that_is_worse_from_its_second_step_on_is(self) -> None:
        draw = random.Random(0)
        losses = [11.0] + [60 + draw.random() * 90 for _ in range(60)]
        verdict = fold(divergence(), run(losses))
        assert verdict is not None
        assert verdict.step <= 40

    @pytest.mark.parametrize("seed", range(50))
    def test_a_first_loss_that_is_low_by_chance_does_not_matter(
        self, seed: int
    ) -> None:
        draw = random.Random(seed)
        rest = [1.5 * math.exp(draw.gauss(0, 0.8)) for _ in range(300)]
        losses = [1.5 * math.exp(-1.75 * 0.8), *rest]
        assert fold(divergence(), run(losses)) is None

    def test_another_kind_of_data_that_is_learned_fast_becomes_the_level(self) -> None:
        losses = learning(200) + [1.5 + x for x in learning(400, seed=1)]
        assert fold(divergence(), run(losses)) is None

    @pytest.mark.parametrize("drop", [0.2, 0.4])
    def test_of_a_hundred_phases_that_are_learned_slowly_at_most_one_has_diverged(
        self, drop: float
    ) -> None:
        found = 0
        for seed in range(100):
            first = fine_tuning(seed, start=0.8, end=0.6, noise=0.05, steps=200)
            second = fine_tuning(seed + 100, start=1.4, end=1.4 - drop, noise=0.1)
            found += fold(divergence(), run(first + second)) is not None
        assert found <= 1

    def test_a_steady_climb_is(self) -> None:
        losses = learning(200, noise=0.05)
        losses += [losses[-1] * 1.02**i for i in range(200)]
        assert fold(divergence(), run(losses)) is not None

    def test_a_drop_at_an_epochs_end_is_not(self) -> None:
        losses = learning(200) + [0.5 * x for x in learning(200, seed=1, floor=0.6)]
        assert fold(divergence(), run(losses)) is None

    def test_a_nan_in_the_middle_does_not_blind_it(self) -> None:
        losses = learning(150) + [NAN] + [9.0 + 0.01 * i for i in range(60)]
        verdict = fold(divergence(), run(losses))
        assert verdict is not None
        assert verdict.bad_since == 152

    def test_a_spike_cannot_raise_the_level_it_is_judged_by(self) -> None:
        losses = learning(150) + [9.0] * 200
        verdict = fold(divergence(), run(losses))
        assert verdict is not None
        assert verdict.figures["level"] < 2

    def test_a_constant_loss_has_a_margin(self) -> None:
        assert fold(divergence(), run([1.0] * 100 + [1.05] * 100)) is None
        assert fold(divergence(), run([1.0] * 100 + [1.2] * 100)) is not None

    def test_a_norm_that_leaps_and_stays_high_is_a_divergence(self) -> None:
        norms = [0.5 + 0.1 * (i % 5) for i in range(100)] + [30.0] * 60
        verdict = fold(divergence(), run(learning(160), norms))
        assert verdict is not None
        assert verdict.reason.startswith(
            "median gradient norm 30 over the last 24 steps, above the limit "
        )
        assert (verdict.bad_since, verdict.step) == (101, 124)

    def test_a_norm_that_spikes_and_falls_back_is_not(self) -> None:
        norms = [0.5] * 100 + [50.0 * 0.8**i for i in range(23)] + [0.5] * 100
        assert fold(divergence(), run(learning(223), norms)) is None

    @pytest.mark.parametrize("seed", range(50))
    def test_a_norm_that_grows_a_hundredfold_over_a_good_run_is_not(
        self, seed: int
    ) -> None:
        draw = random.Random(seed)
        norms = [0.1 * 1.01**i * math.exp(draw.gauss(0, 0.4)) for i in range(500)]
        assert fold(divergence(), run(learning(500, seed), norms)) is None

    def test_a_norm_of_zero_is_no_level(self) -> None:
        norms = [0.0] * 100 + [0.5] * 100
        assert fold(divergence(), run(learning(200), norms)) is None

    def test_a_norm_that_nobody_measured_is_not_judged(self) -> None:
        norms = [0.5] * 100 + [50.0] * 100
        unmeasured = [replace(o, measured=False) for o in run(learning(200), norms)]
        assert fold(divergence(), unmeasured) is None


class TestNotLearning:
    @pytest.mark.parametrize("correlation", [0.0, 0.5, 0.7])
    def test_a_rate_that_is_too_low_is_a_warning_at_a_quarter_of_the_run(
        self, correlation: float
    ) -> None:
        rule = replace(not_learning(), max_steps=200)
        found = []
        for seed in range(100):
            idle = fine_tuning(
                seed,
                start=2.0,
                end=2.0,
                noise=0.3,
                steps=200,
                correlation=correlation,
            )
            found.append(fold(rule, run(idle)))
        verdicts = [verdict for verdict in found if verdict is not None]
        assert len(verdicts) >= 90
        assert min(verdict.step for verdict in verdicts) >= 50
        assert not any(verdict.certain for verdict in verdicts)

    def test_without_the_length_of_a_run_the_grace_counts(self) -> None:
        flat = run([2.0] * 400)
        verdict = fold(not_learning(), flat)
        assert verdict is not None
        assert verdict.step >= RULES.not_learning.grace

    @pytest.mark.parametrize("seed", range(50))
    def test_a_run_that_learns_is_not_found(self, seed: int) -> None:
        assert fold(not_learning(), run(learning(400, seed))) is None

    @pytest.mark.parametrize("kind", HEALTHY)
    def test_none_of_a_hundred_healthy_runs_is_stopped(self, kind: str) -> None:
        assert stopped_of_a_hundred(not_learning(), **HEALTHY[kind]) == 0

    def test_none_of_a_hundred_runs_that_learn_slowly_is_stopped(self) -> None:
        for seed in range(100):
            draw = random.Random(seed)
            losses = [2.0 - 0.002 * i + draw.gauss(0, 0.1) for i in range(400)]
            assert not stops(not_learning(), run(losses))

    @pytest.mark.parametrize("noise", [0.001, 0.02])
    def test_a_loss_that_demonstrably_does_not_change_is_stopped_at_half_time(
        self, noise: float
    ) -> None:
        rule = replace(not_learning(), max_steps=300)
        for seed in range(30):
            idle = fine_tuning(seed, start=1.386, end=1.386, noise=noise)
            assert not stops(rule, run(idle[:149]))
            assert stops(rule, run(idle))

    @pytest.mark.parametrize("every", [1, 10])
    def test_a_warmup_is_no_flat_loss(self, every: int) -> None:
        rule = replace(not_learning(), max_steps=200 * every)
        draw = random.Random(0)
        flat = [
            replace(o, step=every * o.step, learning_rate=1e-5 * min(o.step, 150))
            for o in run([2.0 + draw.gauss(0, 0.01) for _ in range(200)])
        ]
        assert fold(rule, flat) is None
        short = [replace(o, learning_rate=min(o.learning_rate, 2e-4)) for o in flat]
        assert stops(rule, short[:120])

    def test_steps_that_the_loss_scaler_skipped_are_no_flat_loss(self) -> None:
        rule = replace(not_learning(), max_steps=100)
        flat = [replace(o, skipped=True, grad_norm=math.inf) for o in run([2.0] * 60)]
        assert fold(rule, flat) is None
        assert not stops(rule, [*flat, *run([2.0] * 100)[60:90]])

    def test_noise_that_hides_a_change_of_three_percent_stops_nothing(self) -> None:
        assert stopped_of_a_hundred(not_learning(), start=2.0, end=2.0, noise=0.5) == 0

    def test_a_fall_within_the_first_steps_is_learning(self) -> None:
        for seed in range(50):
            run_ = fine_tuning(seed, start=1.5, end=1.1, steps_of_decay=2, noise=0.05)
            assert fold(not_learning(), run(run_)) is None

    def test_a_loss_of_zero_from_the_first_step_on_is_stopped(self) -> None:
        steps = [Observation(i, 0, 0.0, NAN, 1e-4, measured=False) for i in range(1, 9)]
        verdict = fold(not_learning(), steps)
        assert verdict is not None
        assert verdict.certain
        assert "the loss is zero since the first of 8 values" in verdict.reason

    def test_a_loss_of_zero_that_was_reached_is_not(self) -> None:
        losses = learning(200) + [0.0] * 200
        assert not stops(not_learning(), run(losses))

    def test_norms_of_zero_at_a_loss_that_has_reached_zero_are_not(self) -> None:
        losses, norms = learning(100), [1.0] * 100
        margins = [0.0 if i % 7 else 0.1 for i in range(200)]
        observations = run(losses + margins, norms + margins)
        assert fold(not_learning(), observations) is None
        never = run([0.0] * 10, [0.0] * 10)
        assert stops(not_learning(), never)

    def test_a_loss_of_zero_with_a_gradient_is_not(self) -> None:
        assert not stops(not_learning(), run([0.0] * 200))

    def test_a_learning_rate_of_zero_is_certain_after_sixteen_steps(self) -> None:
        draw = random.Random(0)
        steps = [
            replace(o, learning_rate=0.0)
            for o in run([2.0 + draw.gauss(0, 0.3) for _ in range(100)])
        ]
        verdict = fold(not_learning(), steps)
        assert verdict is not None
        assert verdict.certain
        assert verdict.step == 16

    def test_a_learning_rate_of_zero_after_learning_is_not_found(self) -> None:
        steps = run(learning(400))
        ended = [*steps[:300], *(replace(o, learning_rate=0.0) for o in steps[300:])]
        assert fold(not_learning(), ended) is None

    def test_logs_of_every_tenth_step_are_judged_by_the_share_of_the_run(self) -> None:
        rule = replace(not_learning(), max_steps=1000)
        flat = [replace(o, step=10 * o.step) for o in run([4.78] * 100)]
        assert not stops(rule, flat[:49])
        assert stops(rule, flat)

    def test_a_long_plateau_after_learning_is_ordinary(self) -> None:
        assert fold(not_learning(), run(learning(200) + [0.8] * 2000)) is None

    def test_a_rising_loss_is_left_to_divergence(self) -> None:
        losses = [2.0 + 0.05 * i for i in range(300)]
        assert fold(not_learning(), run(losses)) is None
        assert fold(divergence(), run(losses)) is not None

    def test_a_norm_of_zero_is_found_within_five_steps(self) -> None:
        verdict = fold(not_learning(), run([2.0] * 10, [0.0] * 10))
        assert verdict is not None
        assert (verdict.step, verdict.bad_since) == (5, 1)
        assert "gradient norm zero for 5 steps in a row" in verdict.reason

    def test_steps_without_a_trained_token_are_found_within_five(self) -> None:
        steps = [Observation(i, i, 0.0, 1.0, 1e-3, trained_tokens=0) for i in range(9)]
        verdict = fold(not_learning(), steps)
        assert verdict is not None
        assert "no labelled tokens for 5 steps in a row" in verdict.reason

    def test_unknown_token_counts_are_not_zero(self) -> None:
        steps = [Observation(i, i, 1.0 / i, 1.0, 1e-3) for i in range(1, 50)]
        assert fold(not_learning(), steps) is None

    def test_steps_that_are_not_finite_are_not_its_case(self) -> None:
        assert fold(not_learning(), run([NAN] * 300)) is None


class TestWorseThan:
    reference = run(learning(300, floor=0.8), [1.0 + 0.1 * (i % 5) for i in range(300)])

    def compare(self, loss: float, norm: float, seed: int = 5) -> Any:
        draw = random.Random(seed)
        losses = [loss * x for x in learning(300, seed, floor=0.8)]
        norms = [norm * (1.0 + 0.1 * draw.randrange(5)) for _ in range(300)]
        return fold(worse_than(self.reference), run(losses, norms))

    @pytest.mark.parametrize("seed", range(100))
    def test_the_references_twin_passes(self, seed: int) -> None:
        assert self.compare(1.0, 1.0, seed) is None

    @healthy_runs
    def test_of_a_hundred_healthy_twins_at_most_one_is_found(self, kind: str) -> None:
        """Losses and norms have the same noise, and no other difference."""

        def twin(seed: int) -> list[Observation]:
            correlation = HEALTHY[kind].get("correlation", 0.0)
            norms = fine_tuning(
                seed + 1000, start=1, end=1, noise=0.15, correlation=correlation
            )
            return run(fine_tuning(seed, **HEALTHY[kind]), norms)  # type: ignore[arg-type]

        rule = worse_than(twin(999))
        assert sum(fold(rule, twin(seed)) is not None for seed in range(100)) <= 1

    @pytest.mark.parametrize("seed", range(20))
    def test_higher_norm_and_lower_loss_together_are_found(self, seed: int) -> None:
        verdict = self.compare(0.5, 2.0, seed)
        assert verdict is not None
        assert verdict.reference == "ref"
        assert verdict.step >= RULES.comparison.grace

    @pytest.mark.parametrize(("loss", "norm"), [(0.5, 1.0), (1.0, 2.0), (2.0, 2.0)])
    def test_one_signal_alone_is_not(self, loss: float, norm: float) -> None:
        assert self.compare(loss, norm) is None

    def test_beyond_the_references_end_nothing_is_compared(self) -> None:
        short = self.reference[:20]
        bad = run([0.1] * 300, [9.0] * 300)
        assert fold(worse_than(short), bad) is None

    def test_runs_are_compared_at_the_same_samples_not_the_same_step(self) -> None:
        ours = [
            Observation(o.step, 2 * o.samples_seen, o.loss * 0.5, 9.0, 1e-3)
            for o in run(learning(300))
        ]
        verdict = fold(worse_than(self.reference), ours)
        assert verdict is not None
        at = verdict.samples_seen
        curve = Curve.of("ref", self.reference)
        point = curve.at(at, RULES.comparison.window)
        assert point is not None
        assert verdict.figures["reference_loss"] == point.loss

    def test_norms_that_were_not_measured_are_ignored(self) -> None:
        steps = [
            Observation(i, 8 * i, 0.1, 9.0, 1e-3, measured=False) for i in range(1, 300)
        ]
        assert fold(worse_than(self.reference), steps) is None


def all_rules() -> list[Rule]:
    return [
        NonFinite(5),
        divergence(),
        not_learning(),
        worse_than(TestWorseThan.reference),
    ]


def troubled() -> list[Observation]:
    losses = learning(150) + [NAN] * 3 + learning(60, 2) + [9.0] * 90
    return run(losses, [2.0] * len(losses))


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
class TestEveryRule:
    def test_is_a_frozen_value(self, rule: Rule) -> None:
        with pytest.raises((FrozenInstanceError, TypeError)):
            rule.name = "other"  # type: ignore[misc]
        assert rule == all_rules()[[r.name for r in all_rules()].index(rule.name)]

    def test_two_folds_give_the_same_verdict(self, rule: Rule) -> None:
        assert fold(rule, troubled()) == fold(rule, troubled())

    @pytest.mark.parametrize("cut", [1, 40, 152, 215, 250])
    def test_a_resumed_run_gets_the_verdicts_of_an_uninterrupted_one(
        self, rule: Rule, cut: int
    ) -> None:
        def verdicts(pieces: list[list[Observation]]) -> list[Any]:
            state, found = rule.init(), []
            for piece in pieces:
                for observation in piece:
                    state, verdict = rule.step(state, observation)
                    found.append(verdict)
            return found

        steps = troubled()
        assert verdicts([steps]) == verdicts([steps[:cut], steps[cut:]])

    def test_keeps_a_state_of_bounded_size(self, rule: Rule) -> None:
        state = rule.init()
        for observation in run([1.0] * 200 + [50.0] * 3000, [0.0] * 3200):
            state, _ = rule.step(state, observation)
        assert len(repr(state)) < 20_000


@pytest.mark.xdist_group("labelled curves")
class TestLabelledCurves:
    """Made-up curves of all kinds, under all rules that look at one run alone."""

    @pytest.fixture(scope="class")
    def found(self) -> dict[str, list[tuple[str, bool, bool]]]:
        """By label: the kind, and whether a curve is stopped and found at all."""
        outcomes: dict[str, list[tuple[str, bool, bool]]] = {}
        for curve in labelled_curves(12, seed=7):
            judge = judge_of(
                EarlyTerminationSettings(action="stop"), max_steps=curve.steps
            )
            _, findings = judge.step(judge.init(), curve.observations)
            stopped = any(finding.action == "stop" for finding in findings)
            outcome = (curve.kind, stopped, bool(findings))
            outcomes.setdefault(curve.label, []).append(outcome)
        return outcomes

    def test_at_most_one_healthy_run_in_a_hundred_is_stopped(self, found: Any) -> None:
        stopped = [kind for kind, was_stopped, _ in found["healthy"] if was_stopped]
        assert len(stopped) <= len(found["healthy"]) / 100, stopped

    @pytest.mark.parametrize("label", ["diverged", "broken"])
    def test_nineteen_of_twenty_bad_runs_are_stopped(
        self, found: Any, label: str
    ) -> None:
        missed = [kind for kind, was_stopped, _ in found[label] if not was_stopped]
        assert len(missed) <= len(found[label]) / 20, missed

    def test_nine_of_ten_idle_runs_are_found(self, found: Any) -> None:
        missed = [kind for kind, _, was_found in found["idle"] if not was_found]
        assert len(missed) <= len(found["idle"]) / 10, missed


def known(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def test_no_healthy_public_log_is_stopped_and_each_diverged_one_is() -> None:
    for log in json.loads(real_file("curves.json").read_text()):
        observations = [
            Observation(point[0], 0, *known(point[1:]), measured=False)
            for point in log["points"]
        ]
        judge = judge_of(
            EarlyTerminationSettings(action="stop"), max_steps=observations[-1].step
        )
        _, findings = judge.step(judge.init(), observations)
        stopped = any(finding.action == "stop" for finding in findings)
        if log["label"] == "healthy":
            assert not stopped, log["id"]
        elif "diverged" in log["label"]:
            assert stopped, log["id"]
        elif "stuck" in log["label"]:
            assert findings, log["id"]
