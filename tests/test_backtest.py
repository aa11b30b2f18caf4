"""Replays of recorded runs: what a policy saves and what it loses."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from click.testing import CliRunner
from loss_curves import learning, run
from runs import run_row

from axolotl_sftguide.cli import main
from axolotl_sftguide.cli.backtest_runs import groups_of
from axolotl_sftguide.config.differences import setting_of
from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.runs.history import RunHistory, Score, best_shared_metric
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, trace_path
from axolotl_sftguide.signals.comparability import Candidate, comparability_key
from axolotl_sftguide.stopping.backtest import (
    RulesPolicy,
    backtest,
    replay,
    signal_evidence,
)
from axolotl_sftguide.stopping.baselines import RecordedRun, RecordedRuns, baselines
from axolotl_sftguide.stopping.judge import judge_of
from axolotl_sftguide.sweep.policy import OptunaPolicy


def recorded(name: str, score: float, loss: float = 1.0, norm: float = 1.0) -> Any:
    seed = sum(map(ord, name))
    draw = random.Random(seed)
    losses = [loss * x for x in learning(320, seed)]
    norms = [norm * (1 + 0.2 * draw.random()) for _ in losses]
    return RecordedRun(name, name, score, tuple(run(losses, norms)))


def study(good: int = 10, bad: int = 3) -> list[RecordedRun]:
    """Runs as the paper has them: the bad ones have high norms and low losses."""
    runs = [recorded(f"good{i}", 0.7 + 0.01 * i) for i in range(good)]
    return runs + [recorded(f"bad{i}", 0.3, loss=0.5, norm=2.5) for i in range(bad)]


class LowerLoss:
    """Stops a run whose loss after 64 steps is far below that of an earlier run."""

    name = "lower loss"

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        def loss(run: RecordedRun) -> float:
            return fmean(o.loss for o in run.observations[48:64])

        def stopped_at(run: RecordedRun, kept: Sequence[RecordedRun]) -> int | None:
            found = any(loss(run) < 0.8 * loss(other) for other in kept)
            return 64 if found else None

        return stopped_at


STOP = LowerLoss()
WARN = RulesPolicy("warn", EarlyTerminationSettings())


def test_bad_runs_after_good_ones_are_stopped_early() -> None:
    found = replay(study(), STOP)
    assert set(found) == {"bad0", "bad1", "bad2"}
    assert all(step < 100 for step in found.values())


def test_a_policy_that_only_warns_saves_and_loses_nothing() -> None:
    found = backtest(study(4, 2), WARN, orders=2)
    assert (found.stopped, found.steps_saved, found.best_kept, found.regret) == (
        0,
        0,
        1,
        0,
    )


def test_a_replay_stops_where_all_rules_together_stop_live() -> None:
    """Rules that look at a run alone are replayed once, and those that warn never."""
    worse = recorded("flat", 0.1)
    flat = replace(
        worse, observations=tuple(replace(o, grad_norm=0.0) for o in worse.observations)
    )
    runs = [*study(6, 0), flat, recorded("late", 0.2, loss=3.0)]
    settings = EarlyTerminationSettings.model_validate(
        {
            "action": "stop",
            "comparison": {"action": "stop"},
            "prediction": {"chance": 0.4, "worst": 0.6},
        }
    )
    policy = RulesPolicy("rules", settings)
    for order in (runs, runs[::-1], runs[3:] + runs[:3]):
        expected, kept = {}, []
        for own in order:
            compared = baselines(own.candidate, RecordedRuns(kept), settings)
            judge = judge_of(settings, compared, max_steps=own.steps)
            state = judge.init()
            for observation in own.observations:
                state, findings = judge.step(state, [observation])
                if any(finding.action == "stop" for finding in findings):
                    expected[own.id] = math.ceil(observation.step / 16) * 16
                    break
            else:
                kept.append(own)
        assert replay(order, policy) == expected
        assert "flat" in expected


def test_a_run_is_judged_by_those_before_it_only() -> None:
    runs = study(good=2, bad=1)
    assert replay(runs[::-1], STOP) == {}
    assert set(replay(runs, STOP)) == {"bad0"}


def test_runs_that_were_stopped_are_no_reference() -> None:
    worst = recorded("worst", 0.1, loss=0.3, norm=6.0)
    bad = recorded("bad", 0.3, loss=0.5, norm=2.5)
    good = recorded("good", 0.8)
    assert set(replay([good, bad, worst], STOP)) == {"bad", "worst"}
    assert replay([bad, good], STOP) == {}


def test_the_losses_are_reported_next_to_the_gains() -> None:
    """A policy that is wrong about the best run stops it in most orders."""
    runs = [recorded(f"r{i}", 0.5) for i in range(6)]
    runs.append(recorded("best", 0.9, loss=0.5, norm=2.5))
    found = backtest(runs, STOP, orders=50)
    assert found.best_kept < 0.5
    assert found.regret == pytest.approx(0.4 * (1 - found.best_kept))
    assert found.steps_saved > 0.03


def test_the_same_seed_gives_the_same_table() -> None:
    one = backtest(study(), STOP, orders=20, seed=3)
    assert one == backtest(study(), STOP, orders=20, seed=3)


def test_few_runs_are_replayed_in_each_order_once() -> None:
    """The one that is worse is stopped where it comes after a good one: in half."""
    good, bad = recorded("good", 0.9), recorded("bad", 0.5, loss=0.5, norm=2.5)
    found = backtest([good, bad], STOP, orders=200)
    assert found.orders == 2
    assert found.stopped == 0.25


def test_the_correlation_of_each_signal_has_an_interval() -> None:
    found = {(e.signal, e.at): e.correlation for e in signal_evidence(study(10, 6))}
    norm, loss = found["grad_norm", 0.25], found["loss", 0.25]
    assert norm is not None
    assert loss is not None
    assert norm.clear
    assert norm.value < 0
    assert loss.clear
    assert loss.value > 0


@pytest.mark.parametrize("signal", ["loss", "grad_norm"])
def test_optunas_pruners_see_the_same_runs(signal: str) -> None:
    pruners = pytest.importorskip("optuna.pruners")
    policy = OptunaPolicy("median", lambda: pruners.MedianPruner(), signal)
    found = replay(study(), policy)
    # Less loss is better to a pruner: it keeps what the paper's rule stops.
    assert ("bad0" in found) is (signal == "grad_norm")
    assert all(step % 16 == 0 for step in found.values())


def enter(history: RunHistory, folder: Path, runs: Sequence[RecordedRun]) -> None:
    for own in runs:
        row = run_row(
            own.id,
            name=own.name,
            output_dir=str(folder / own.id),
            config={"learning_rate": own.setting or own.id, "seed": own.id},
            **({"key": own.key, "key_fields": own.key_fields} if own.key else {}),
        )
        writer = TraceWriter(trace_path(folder / own.id, own.id))
        writer.begin({**row, "max_steps": own.steps})
        writer.steps(own.observations)
        writer.event("score", metric="m", value=own.score, goal="max", base_value=None)
        writer.event("end", status="finished", reason=None, at=row["started_at"])
        writer.close()
        history.import_trace(read_trace(writer.path))


def invoke(*words: str, rc: int = 0) -> Any:
    result = CliRunner().invoke(main, ["backtest", *words])
    assert result.exit_code == rc, result.output
    return result


def repeated(runs: list[RecordedRun], repeats: int) -> list[RecordedRun]:
    """The same runs, of which so many in a row are repeats of a setting."""
    return [replace(r, setting=f"s{i // repeats}") for i, r in enumerate(runs)]


def test_repeats_of_a_setting_are_not_more_settings() -> None:
    runs = repeated(study(), 2)
    one, other = backtest(study(), STOP, orders=20), backtest(runs, STOP, orders=20)
    assert (one.settings, other.settings) == (13, 7)
    assert one.intervals is not None
    assert other.intervals is not None

    def width(ends: tuple[float, float]) -> float:
        return ends[1] - ends[0]

    saved, fewer = one.intervals.steps_saved, other.intervals.steps_saved
    assert width(fewer) > 1.2 * width(saved)


def test_with_fewer_than_five_settings_there_is_no_interval() -> None:
    assert backtest(study(3, 1), STOP, orders=20).intervals is None
    assert backtest(repeated(study(), 4), STOP, orders=20).intervals is None


def test_more_orders_make_no_interval_narrower() -> None:
    few, many = (backtest(study(), STOP, orders=n).intervals for n in (20, 200))
    assert few is not None
    assert many is not None
    for name in ("steps_saved", "best_kept"):
        (low, high), (lower, higher) = getattr(few, name), getattr(many, name)
        assert higher - lower > 0.8 * (high - low)


def test_an_interval_holds_its_value_and_is_never_of_no_width() -> None:
    for policy, orders in ((STOP, 10), (WARN, 2)):
        found = backtest(study(), policy, orders=orders)
        assert found.intervals is not None
        low, high = found.intervals.best_kept
        assert low < found.best_kept <= high
        for name in ("steps_saved", "regret"):
            low, high = getattr(found.intervals, name)
            assert low <= getattr(found, name) <= high


class All:
    """Stops every run."""

    name = "all"

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        return lambda run, kept: 16


def test_where_all_runs_are_stopped_the_regret_is_that_of_the_worst() -> None:
    found = backtest(study(), All(), orders=5)
    assert (found.none_kept, found.best_kept) == (1, 0)
    assert found.regret == pytest.approx(0.79 - 0.3)
    assert found.intervals is not None
    assert math.isfinite(found.intervals.regret[1])


class Best:
    """Stops the run that is named first, and no other."""

    name = "best"

    def __init__(self, stopped: str) -> None:
        self.stopped = stopped

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        return lambda run, kept: 64 if run.id == self.stopped else None


@pytest.mark.parametrize(("second", "near"), [(0.79, 1.0), (0.70, 0.0)])
def test_a_run_within_the_deviation_of_repeats_is_as_good_as_the_best(
    second: float, near: float
) -> None:
    scores = [0.80, second, 0.40, 0.42, 0.50, 0.52]
    runs = [recorded(f"r{i}", score) for i, score in enumerate(scores)]
    settings = ["a", "b", "c", "c", "d", "d"]
    runs = [replace(r, setting=s) for r, s in zip(runs, settings, strict=True)]
    found = backtest(runs, Best("r0"), orders=5)
    assert found.seed_deviation == pytest.approx(math.sqrt(2 * 0.01**2))
    assert (found.best_kept, found.near_best_kept) == (0, near)


def test_without_repeats_the_deviation_is_unknown() -> None:
    found = backtest(study(), STOP, orders=5)
    assert (found.seed_deviation, found.near_best_kept) == (None, None)


def test_repeats_are_one_pair_of_a_correlation() -> None:
    for repeats, pairs in ((1, 16), (2, 8)):
        found = signal_evidence(repeated(study(10, 6), repeats))
        assert {e.correlation.pairs for e in found if e.correlation} == {pairs}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"seed": 1, "lr": 1e-4}, {"seed": 2, "lr": 1e-4}, True),
        ({"seed": 1, "lr": 1e-4}, {"seed": 1, "lr": 2e-4}, False),
        (
            {"lr": 1, "sftguide": {"name": "a"}},
            {"lr": 1, "sftguide": {"name": "b"}},
            True,
        ),
        (
            {"lr": 1, "optim_args": {"eps": 1}},
            {"lr": 1, "optim_args": {"eps": 2}},
            False,
        ),
        ({"lr": 1, "output_dir": "a"}, {"output_dir": "b", "lr": 1}, True),
    ],
)
def test_runs_that_differ_in_seed_and_name_only_have_one_setting(
    one: Any, other: Any, same: bool
) -> None:
    assert (setting_of(one) == setting_of(other)) is same


class TestCommand:
    @pytest.fixture(autouse=True)
    def _history(self, tmp_path: Path) -> None:
        enter(RunHistory(), tmp_path, study())

    def test_prints_policies_signals_and_intervals(self) -> None:
        said = invoke("--study", "s", "--orders", "2").stdout
        assert "study s: 13 finished runs, score m, mean over 2 orders" in said
        assert "default rules, action: stop" in said
        assert "Optuna Hyperband on grad_norm" in said
        assert "gradient norm" in said
        assert "yes" in said
        assert "by resampling the 13 settings of these runs" in said
        assert "100% to 100%" not in said
        assert "good run kept" not in said

    def test_repeats_are_told_from_settings(self, tmp_path: Path) -> None:
        runs = [replace(r, id=f"x{r.id}") for r in repeated(study(4, 2), 2)]
        enter(RunHistory(), tmp_path, [replace(r, setting="same") for r in runs])
        enter(RunHistory(), tmp_path, runs)
        said = invoke("--study", "s", "--orders", "2").stdout
        assert "settings of these runs" in said
        assert "Good run kept: one within a standard deviation of repeats" in said

    def test_as_json(self) -> None:
        said = invoke("--study", "s", "--orders", "2", "--json").stdout
        (found,) = json.loads(said)["groups"]
        assert found["metric"] == "m"
        assert len(found["runs"]) == 13
        assert found["policies"][0]["orders"] == 2
        assert {s["signal"] for s in found["signals"]} == {"grad_norm", "loss"}

    def test_the_rules_of_a_config_are_replayed(self, tmp_path: Path) -> None:
        config = tmp_path / "mine.yml"
        config.write_text("sftguide: {early_termination: {action: warn}}\n")
        said = invoke("--study", "s", "--orders", "2", "--config", str(config)).stdout
        assert "rules of the config" in said

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("a: [", "is not valid YAML"),
            ("", "must be a mapping"),
            (
                "sftguide: {early_termination: {action: halt}}",
                "'off', 'warn' or 'stop'",
            ),
        ],
    )
    def test_a_bad_config_gets_one_line(
        self, text: str, says: str, tmp_path: Path
    ) -> None:
        config = tmp_path / "mine.yml"
        config.write_text(text)
        told = invoke("--study", "s", "--config", str(config), rc=2).stderr
        assert says in told
        assert len(told.strip().splitlines()) == 1

    def test_for_an_unknown_study_those_that_exist_are_listed(self) -> None:
        told = invoke("--study", "typo", rc=2).stderr
        assert "no runs in study 'typo'; studies: s" in told

    def test_an_unknown_metric_or_key_is_reported(self) -> None:
        told = invoke("--study", "s", "--metric", "f1", rc=2).stderr
        assert "has no score 'f1'; scores: m" in told
        told = invoke("--study", "s", "--key", "x", rc=2).stderr
        assert "has no run with the key 'x'" in told

    def test_a_study_that_does_not_exist_is_named(self) -> None:
        told = invoke("--study", "none", rc=2).stderr
        assert "no runs in study 'none'; studies: s" in told


def test_a_run_that_nobody_can_compare_is_left_out(tmp_path: Path) -> None:
    runs = study(3, 0)
    enter(RunHistory(), tmp_path, runs)
    (tmp_path / "good1" / "sftguide-trace-good1.jsonl").write_text("broken\n")
    told = invoke("--study", "s", rc=2)
    assert "skipped: " in told.stderr
    assert "has 3 runs, but fewer than 3 that are finished and scored" in told.stderr
    assert math.isfinite(runs[0].score)


def fields(size: int, data: str = "abc") -> dict[str, Any]:
    """The key's fields of a run with a batch size."""
    return {
        "host": "trl",
        "loss_normalisation": "mean of micro-batches",
        "base_model": "base",
        "data": {"rows": 10, "digest": data},
        "micro_batch_size": size,
        "gradient_accumulation_steps": 1,
        "ranks": 1,
    }


def keyed(runs: Sequence[RecordedRun], size: int, data: str = "abc") -> Any:
    """The runs, with the comparability key of a batch size."""
    own = fields(size, data)
    key = comparability_key(own)
    return [replace(r, key=key, key_fields=own, id=f"{r.id}-{key}") for r in runs]


BATCHES = keyed(study(5, 1), 8) + keyed(study(4, 1), 16)


def test_all_runs_of_a_base_and_data_are_replayed_whatever_their_batch(
    tmp_path: Path,
) -> None:
    enter(RunHistory(), tmp_path, [*BATCHES, *keyed(study(2, 0), 8, data="other")])
    said = invoke("--study", "s", "--orders", "2").stdout
    assert "study s: 11 finished runs" in said
    assert "These runs have 2 comparability keys" in said
    assert "They have 2 batch sizes" in said
    assert "left out: 2 runs with another base model or other data" in said
    said = invoke("--study", "s", "--orders", "2", "--key", BATCHES[-1].key).stdout
    assert "study s: 5 finished runs" in said
    assert "comparability keys" not in said
    assert "Other scores" not in said
    RunHistory().add_score(BATCHES[0].id, Score("f1", 0.5, "max"))
    said = invoke("--study", "s", "--orders", "2").stdout
    assert "Other scores of these runs, for --metric: f1." in said


def test_runs_on_other_data_are_a_replay_of_their_own(tmp_path: Path) -> None:
    enter(RunHistory(), tmp_path, [*BATCHES, *keyed(study(3, 0), 8, data="other")])
    said = invoke("--study", "s", "--orders", "2", "--json").stdout
    assert [len(g["runs"]) for g in json.loads(said)["groups"]] == [11, 3]


@pytest.mark.parametrize("size", [8, 16])
def test_a_replayed_run_has_the_peers_that_it_has_live(
    size: int, tmp_path: Path
) -> None:
    history = RunHistory()
    enter(history, tmp_path, BATCHES)
    own = fields(size)
    live = Candidate("s", comparability_key(own), own, without="new")
    replayed = replace(live, study="")
    for peers in ("peers", "forecast_peers"):
        in_history = getattr(history, peers)(live)
        in_memory = getattr(RecordedRuns(BATCHES), peers)(replayed)
        assert {p.id for p in in_history} == {p.id for p in in_memory}
        assert len(in_memory) == {"peers": {8: 6, 16: 5}[size]}.get(peers, 11)


def test_the_metric_of_a_replay_is_that_of_a_live_run_and_of_an_export(
    tmp_path: Path,
) -> None:
    history, runs = RunHistory(), study(4, 0)
    enter(history, tmp_path, runs)
    for own in runs:
        history.add_score(own.id, Score("eval_loss", 1 - own.score, "min"))
        history.add_score(own.id, Score("accuracy", math.nan, "max"))
    (group,) = groups_of(history.runs(study="s"), None)
    live = history.peers(Candidate("s", "k", without="new"))
    assert group.metric == "m" == best_shared_metric(history.runs())
    assert {peer.metric for peer in live} == {"m"}
    named = history.peers(Candidate("s", "k", without="new", metric="eval_loss"))
    assert {(peer.metric, peer.sign) for peer in named} == {("eval_loss", -1.0)}
    assert [peer.score for peer in named] == [own.score - 1 for own in runs]
    config = tmp_path / "mine.yml"
    config.write_text("sftguide: {early_termination: {metric: eval_loss}}")
    words = ("--study", "s", "--orders", "2", "--json", "--config", str(config))
    (replayed,) = json.loads(invoke(*words).stdout)["groups"]
    assert replayed["metric"] == "eval_loss"
    # A run that was stopped has an evaluation on the way, and no score.
    for i in range(5):
        row = run_row(f"stopped{i}")
        history.begin(row)
        history.add_score(row["id"], Score("eval_loss", 1.0, "min"))
        history.end(row["id"], "terminated", "a rule")
    assert best_shared_metric(history.runs()) == "m"


def test_a_pruner_with_brackets_gives_the_same_replay_each_time() -> None:
    pruners = pytest.importorskip("optuna").pruners
    policy = OptunaPolicy("h", pruners.HyperbandPruner, "loss")
    found = [replay(study(), policy) for _ in range(6)]
    assert found == found[:1] * 6
    assert found[0]
