"""`sftguide next`: what it concludes from a record, and what it leaves alone."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from runs import run_row, steps

from axolotl_sftguide.cli import main
from axolotl_sftguide.guidance import (
    Advice,
    Cut,
    Ending,
    Guidance,
    Memory,
    Other,
    Record,
    guide,
    read_record,
)
from axolotl_sftguide.guidance import Result as Score
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.history import Score as StoredScore
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, trace_path
from axolotl_sftguide.signals.sources import HeldOut
from axolotl_sftguide.sweep import read_space
from scripts import load_script

CONFIG = {
    "learning_rate": 2e-4,
    "adapter": "lora",
    "lora_r": 16,
    "lr_scheduler": "constant",
    "num_epochs": 2,
    "micro_batch_size": 2,
    "gradient_accumulation_steps": 8,
    "sequence_len": 2048,
}
FALLING = tuple((i, 2 / i**0.3) for i in range(1, 101))

HEALTHY = Record(
    config=CONFIG,
    training="adapter",
    parameters=8_000_000_000,
    rows=10_000,
    samples=16,
    step=1000,
    max_steps=1000,
    epochs=2.0,
    losses=FALLING,
    evaluations=((250, 1.2), (500, 1.1), (750, 1.06), (1000, 1.055)),
    setting="own",
    result=Score("accuracy", 0.62, True),
)


def other(score: float, metric: str = "accuracy", **changes: Any) -> Other:
    config = {**CONFIG, **changes}
    return Other(f"run {changes}", repr(changes), config, Score(metric, score, True))


def rising(*scores: float) -> list[Other]:
    rates = (3e-4, 5e-4, 8e-4)
    return [other(s, learning_rate=r) for s, r in zip(scores, rates, strict=True)]


def beside(*others: Other, **changes: Any) -> Record:
    """The healthy run, with a setting that its repeats have, among other runs."""
    return replace(HEALTHY, setting=repr({}), others=others, **changes)


def advised(record: Record) -> dict[str, Advice]:
    return {advice.rule: advice for advice in guide(record).advice}


def test_a_healthy_run_is_left_as_it_is() -> None:
    found = guide(HEALTHY)
    assert found.advice == ()
    (rate,) = found.unclear
    assert (rate.key, rate.alternatives) == ("learning_rate", (1e-4, 5e-4))
    assert rate.claims == ("adapter-rate",)


@pytest.mark.parametrize(
    ("others", "to"),
    [
        # Repeats say that 0.01 is noise: 0.08 more is not.
        ([other(0.61), other(0.63), other(0.70, learning_rate=5e-4)], 5e-4),
        ([other(0.61), other(0.63), other(0.64, learning_rate=5e-4)], None),
        # One run each: only an order over four values counts.
        ([other(0.70, learning_rate=5e-4)], None),
        ([other(0.70, learning_rate=4e-4), other(0.8, learning_rate=8e-4)], None),
        (rising(0.70, 0.75, 0.8), 8e-4),
        (rising(0.70, 0.68, 0.8), None),
        # Another setting differs too, or the score is another one.
        ([other(0.9, learning_rate=5e-4, lora_r=64)], None),
        ([other(0.61), other(0.63), other(0.9, "f1", learning_rate=5e-4)], None),
    ],
)
def test_another_rate_is_advised_only_beyond_the_noise(
    others: list[Other], to: float | None
) -> None:
    found = advised(beside(*others))
    if to is None:
        assert not found
        return
    advice = found["neighbours"]
    assert (advice.to, advice.direction) == (to, "higher")
    assert advice.edits == {"learning_rate": to}
    # Only repeats make it certain.
    assert advice.certainty == ("high" if to == 5e-4 else "moderate")


def test_a_held_out_loss_counts_if_it_differs_by_more_than_seeds_do() -> None:
    def run(loss: float) -> dict[str, Advice]:
        near = other(0.0, learning_rate=5e-4)
        near = replace(near, result=Score("eval_loss", loss, False))
        return advised(beside(near, result=Score("eval_loss", 1.5, False)))

    assert run(1.4)["neighbours"].certainty == "moderate"
    assert not run(1.46)
    assert not run(1.6)


def test_a_share_of_examples_has_the_noise_of_that_many() -> None:
    def run(examples: int) -> dict[str, Advice]:
        result = Score("accuracy", 0.62, True, examples)
        near = replace(
            other(0.67, learning_rate=5e-4), result=replace(result, value=0.67)
        )
        return advised(beside(near, result=result))

    assert "neighbours" not in run(100)
    assert "neighbours" in run(10_000)


def test_a_better_batch_is_told_by_the_keys_that_make_it_up() -> None:
    repeats = [other(score, max_steps=1000) for score in (0.61, 0.63)]
    larger = other(0.7, gradient_accumulation_steps=16, max_steps=500)
    record = replace(
        HEALTHY,
        config={**CONFIG, "max_steps": 1000},
        setting=repeats[0].setting,
        others=(*repeats, replace(larger, samples=32)),
    )
    advice = advised(record)["neighbours"]
    assert (advice.key, advice.now, advice.to) == ("samples per step", 16, 32)
    # As many samples, so half of the steps.
    assert dict(advice.edits) == {"gradient_accumulation_steps": 16, "max_steps": 500}


def test_a_best_value_in_the_middle_is_kept_and_one_at_the_edge_is_a_question() -> None:
    repeats = [other(0.615), other(0.625)]
    middle = guide(
        beside(*repeats, other(0.5, learning_rate=1e-4), other(0.5, learning_rate=5e-4))
    )
    assert middle.advice == ()
    assert [line.split(":")[0] for line in middle.kept] == ["learning_rate 2e-4"]
    assert "learning_rate" not in [question.key for question in middle.unclear]
    wide = guide(
        beside(*repeats, other(0.5, learning_rate=1e-4), other(0.5, learning_rate=2e-3))
    )
    assert [line.split(":")[0] for line in wide.kept] == ["learning_rate 2e-4"]
    assert [q.alternatives for q in wide.unclear] == [(6.3e-4,)]
    edge = guide(
        beside(*repeats, other(0.5, learning_rate=1e-4), other(0.4, learning_rate=5e-5))
    )
    assert (edge.advice, edge.kept) == ((), ())
    (question,) = edge.unclear
    assert question.alternatives == (4e-4,)
    assert "highest value that was tried" in question.text


def test_a_run_that_differs_in_more_is_named_if_it_is_clearly_better() -> None:
    better = other(0.9, learning_rate=5e-4, lora_r=64)
    advice = advised(beside(other(0.61), other(0.63), better))["best-run"]
    assert dict(advice.edits) == {"learning_rate": 5e-4, "lora_r": 64}
    assert "accuracy 0.9, this run 0.62" in advice.reasons[0].text


@pytest.mark.parametrize(
    ("values", "at"),
    [
        ([1.5, 1.3, 1.2, 1.3, 1.4], 3),
        ([1.2, 1.3, 1.4], 1),
        ([1.5, 1.3, 1.2, 1.25], None),  # one evaluation after the lowest
        ([1.5, 1.4, 1.1, 1.3, 1.2, 1.15], None),  # one low evaluation, and falling
        ([1.5, 1.3, 1.2, 1.205, 1.204], None),  # less than 1%
        ([1.5, 1.3, 1.2, math.nan, math.nan], None),
    ],
)
def test_a_turn_of_the_held_out_loss_is_advice_only_where_it_is_the_score(
    values: list[float], at: int | None
) -> None:
    evaluations = tuple((100 * i, value) for i, value in enumerate(values, 1))
    record = replace(
        HEALTHY, evaluations=evaluations, step=100 * len(values), epochs=4.0
    )
    by_loss = replace(record, result=Score("eval_loss", values[-1], False))
    if at is None:
        assert guide(record).advice == guide(by_loss).advice == ()
        return
    advice = advised(by_loss)["held-out-rose"]
    assert f"checkpoint near step {100 * at}" in advice.text
    assert advice.to == pytest.approx(4 * at / len(values), abs=0.25)
    # Scores often rise longer than the loss falls.
    found = guide(record)
    assert found.advice == ()
    assert [q.key for q in found.unclear if "score the checkpoint" in q.text] == [
        "num_epochs"
    ]


DIVERGED = Ending("divergence", "warn", "median loss 8 above 2", 60, ("loss",))


@pytest.mark.parametrize(
    ("ending", "last", "to"),
    [
        (DIVERGED, 9.0, 7e-5),
        (DIVERGED, 0.4, None),  # it came back
        (replace(DIVERGED, action="stop"), 0.4, 7e-5),
        (replace(DIVERGED, signals=("grad_norm",)), 9.0, None),
        (replace(DIVERGED, rule="cohort"), 9.0, None),
    ],
)
def test_a_run_that_ended_diverged_gets_a_third_of_the_rate(
    ending: Ending, last: float, to: float | None
) -> None:
    losses = (*FALLING[:59], *((i, last) for i in range(60, 101)))
    found = advised(replace(HEALTHY, endings=(ending,), losses=losses, step=100))
    assert (found["diverged"].to if found else None) == to


def test_a_run_that_was_stopped_as_worse_points_to_the_best_one() -> None:
    stop = Ending("prediction", "stop", "predicted accuracy 0.4", 30)
    others = (other(0.7, learning_rate=4e-4), other(0.5, learning_rate=8e-4))
    record = replace(
        HEALTHY, result=None, status="terminated", endings=(stop,), others=others
    )
    advice = advised(record)["stopped-as-worse"]
    assert dict(advice.edits) == {"learning_rate": 4e-4}
    assert not advised(replace(record, endings=(replace(stop, action="warn"),)))


def test_with_max_steps_the_length_is_changed_in_steps() -> None:
    config = {**CONFIG, "max_steps": 1000}
    record = replace(HEALTHY, config=config, goal="reasoning", epochs=5.0)
    assert dict(advised(record)["epochs-reasoning"].edits) == {"max_steps": 400}


@pytest.mark.parametrize(
    ("base", "examples", "to"),
    [(0.75, 1000, 6.7e-5), (0.64, 1000, None), (0.75, None, None), (None, 1000, None)],
)
def test_a_score_below_the_base_model_asks_for_a_lower_rate(
    base: float | None, examples: int | None, to: float | None
) -> None:
    result = Score("accuracy", 0.62, True, examples, base)
    found = advised(replace(HEALTHY, result=result))
    assert (found["below-base"].to if found else None) == to


def test_rules_that_disagree_are_not_heard() -> None:
    losses = (*FALLING[:59], *((i, 9.0) for i in range(60, 101)))
    record = beside(
        *rising(0.7, 0.75, 0.8),
        endings=(DIVERGED,),
        losses=losses,
    )
    found = guide(record)
    assert found.advice == ()
    (question,) = [q for q in found.unclear if q.key == "learning_rate"]
    assert question.text.startswith("reasons disagree")
    assert set(question.alternatives) == {7e-5, 8e-4}


def test_what_is_published_about_lora_is_not_held_against_other_methods() -> None:
    config = {**CONFIG, "learning_rate": 5e-3}
    assert "rate-adapter-high" in advised(replace(HEALTHY, config=config))
    assert not advised(replace(HEALTHY, config=config, training=""))
    assert not advised(replace(HEALTHY, config=config, parameters=5_000_000))
    # Prompt tuning and optimizers without a rate use such values.
    assert not advised(replace(HEALTHY, config={"learning_rate": 0.3}, training=""))


@pytest.mark.parametrize(
    ("goal", "epochs", "to"),
    [
        ("reasoning", 6.0, 2),
        ("reasoning", 3.0, None),
        ("style", 2.0, 6),
        ("style", 6.0, None),
        (None, 6.0, None),
    ],
)
def test_epochs_are_advised_by_the_goal_alone(
    goal: Any, epochs: float, to: int | None
) -> None:
    found = advised(replace(HEALTHY, goal=goal, epochs=epochs))
    assert [a.to for a in found.values()] == ([] if to is None else [to])


@pytest.mark.parametrize(
    ("peak", "row", "micro"),
    [
        (10, None, 4),  # 20 GiB at most, of 24
        (12, None, 2),  # 24 GiB
        (12, 1, 8),  # 19.5 GiB by the plan
        (5, None, 8),
    ],
)
def test_a_larger_micro_batch_keeps_the_batch_and_fits(
    peak: int, row: int | None, micro: int
) -> None:
    row_bytes = None if row is None else row << 30
    memory = Memory(peak << 30, 24 << 30, row_bytes)
    found = advised(replace(HEALTHY, memory=memory, device="a GPU"))
    if micro == 2:
        assert not found
        return
    advice = found["memory-left"]
    assert advice.edits == {
        "micro_batch_size": micro,
        "gradient_accumulation_steps": 16 // micro,
    }
    assert not advice.changes_result


def test_lost_rows_a_worn_source_and_no_memory_are_told() -> None:
    cut = (Cut("a.jsonl", 1000, 40, 100_000, 9_000), Cut("b.jsonl", 10, 0, 50, 0))
    lengths = advised(replace(HEALTHY, cut=cut))["rows-cut"]
    assert "40 of 1,010 rows" in lengths.reasons[0].text
    (whole,) = guide(replace(HEALTHY, cut=cut[1:])).kept
    assert whole == "sequence_len 2,048: 0 of 10 rows are longer"
    worn = HeldOut("code", 0.5, 200, 0.6, 800, improves=False)
    others = HeldOut("chat", 1.5, 600, 1.2, 800, improves=True)
    assert (
        "code" in advised(replace(HEALTHY, sources=(worn, others)))["source-worn"].text
    )
    assert not advised(replace(HEALTHY, sources=(worn,)))
    failed = replace(HEALTHY, status="failed", reason="OutOfMemoryError: CUDA ...")
    assert advised(failed)["out-of-memory"].edits == {
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 16,
    }


def test_a_run_that_was_cut_short_is_to_be_trained_again() -> None:
    half = replace(HEALTHY, step=50, max_steps=100, result=None)
    dead = advised(replace(half, status="dead"))["cut-short"]
    assert [r.text for r in dead.reasons] == [
        "it ended at step 50 of 100",
        "its process ended without a reason: Ctrl-C, a kill, or a restart",
    ]
    failed = replace(half, status="failed", reason="KeyError: 'messages'")
    assert advised(failed)["cut-short"].reasons[1].text == "KeyError: 'messages'"
    full = replace(failed, reason="OutOfMemoryError: CUDA ...")
    assert "cut-short" not in advised(full)
    for status in ("finished", "terminated", "parked"):
        assert "cut-short" not in advised(replace(half, status=status))
    early = replace(half, status="dead", evaluations=((0, 2.0), (25, 1.5)))
    assert "fewer than three evaluations" not in [
        m.record for m in guide(early).missing
    ]
    early = replace(early, status="finished")
    assert "fewer than three evaluations" in [m.record for m in guide(early).missing]


@pytest.mark.parametrize(
    ("rate", "to", "said"),
    [(3e-3, 1e-3, "a third"), (1e9, 1e-3, "the highest at which adapters did best")],
)
def test_after_a_divergence_no_rate_is_advised_at_which_none_did_well(
    rate: float, to: float, said: str
) -> None:
    stop = Ending("non_finite", "stop", "loss NaN", 6, ("loss",))
    config = {**HEALTHY.config, "learning_rate": rate}
    found = replace(
        HEALTHY, config=config, training="adapter", status="terminated", endings=(stop,)
    )
    advice = advised(found)["diverged"]
    assert advice.to == to
    assert f"1e-3, {said}, and start" in advice.text


def test_each_record_that_is_missing_comes_with_its_remedy() -> None:
    bare = Record(config={"datasets": [{}, {}]}, samples=8, traced=False, device="gpu")
    assert {(m.record, bool(m.how)) for m in guide(bare).missing} >= {
        ("no trace of its steps", True),
        ("no held-out loss", True),
        ("no score", True),
        ("no loss by source", True),
        ("no gradient noise scale", True),
        ("the lengths of the rows", True),
    }
    assert "no held-out loss" not in [m.record for m in guide(HEALTHY).missing]
    by_trl = replace(bare, host="trl", result=None)
    assert any(
        "watch(trainer, noise_scale=True)" in m.how for m in guide(by_trl).missing
    )
    # Two runs, and nothing to tell their difference from chance.
    (gap,) = [
        m
        for m in guide(beside(other(0.7, learning_rate=5e-4))).missing
        if m.record.startswith("no two runs")
    ]
    assert "0.62 with 2e-4, 0.7 with 5e-4" in gap.about


# The command


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["next", *map(str, words)])


def record_run(folder: Path, name: str, rate: float, score: float, **more: Any) -> None:
    """A run of Axolotl with a trace, evaluations and a score, in the history."""
    config = {**CONFIG, "learning_rate": rate, "seed": 1, **more.pop("config", {})}
    config["axolotl_config_path"] = str(folder / "mine.yml")
    data = {"rows": 400, "digest": "d"}
    fields = {"base_model": "a/b", "data": data, "micro_batch_size": 2, "ranks": 1}
    fields |= {"gradient_accumulation_steps": 8, "adapter": {"peft_type": "LORA"}}
    row = run_row(name, host="axolotl", config=config, key_fields=fields)
    row |= {"output_dir": str(folder / name), "name": name, **more}
    writer = TraceWriter(trace_path(folder / name, name))
    writer.begin(row)
    writer.steps(steps(100))
    for step, loss in ((25, 1.5), (50, 1.2), (75, 1.3), (100, 1.4)):
        writer.event("evaluation", step=step, metrics={"eval_loss": loss})
    writer.event("end", status="finished", reason=None, at=row["started_at"] + 60)
    writer.close()
    history = RunHistory()
    history.import_trace(read_trace(writer.path))
    history.add_score(name, StoredScore("accuracy", score, "max"))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two repeats of a run, and one at a better rate."""
    (tmp_path / "mine.yml").write_text(yaml.safe_dump({"base_model": "a/b", **CONFIG}))
    record_run(tmp_path, "first", 2e-4, 0.62)
    record_run(tmp_path, "again", 2e-4, 0.625, config={"seed": 2})
    record_run(tmp_path, "third", 2e-4, 0.618, config={"seed": 3})
    record_run(tmp_path, "better", 5e-4, 0.7)
    return tmp_path


def test_a_config_that_is_not_there_is_named_with_the_way_out(
    study: Path, tmp_path: Path
) -> None:
    (study / "mine.yml").unlink()
    said = invoke("latest", "--sweep", tmp_path / "space.yml").output
    assert said == (
        f"Error: the config of better is not there: {study / 'mine.yml'}. Run this in "
        "the folder that the training was started in, or bring the file back\n"
    )


def test_the_page_says_what_to_change_and_fits_80_columns(study: Path) -> None:
    done = invoke("first")
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert "1. set learning_rate: 5e-4 (high certainty)" in text
    assert "accuracy was 0.7; with 2e-4 it was 0.621" in text
    assert "lowest at step 50" in text
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_preference_run_is_not_held_against_claims_on_fine_tuning() -> None:
    fields = {"adapter": {"peft_type": "PeftType.LORA"}, "parameters": 8_000_000_000}
    for objective, advice in ((None, ["rate-adapter-low"]), ("preference", [])):
        own = {**fields, **({"objective": objective} if objective else {})}
        row = run_row(
            objective or "sft", config={"learning_rate": 5e-6}, key_fields=own
        )
        history = RunHistory()
        history.begin(row)
        history.end(row["id"], "finished")
        record = read_record(history.get(row["id"]), [], [])
        assert list(advised(record)) == advice


def test_json_has_the_same_as_plain_values(study: Path) -> None:
    found = json.loads(invoke("better", "--json").stdout)
    assert found["run"] == {"id": "better", "name": "better", "status": "finished"}
    assert found["advice"] == []
    assert found["compared_settings"] == 1
    assert {"keep", "unclear", "missing", "sweep", "goal"} <= found.keys()
    assert found["unclear"][0].keys() == {
        "key",
        "now",
        "text",
        "alternatives",
        "claims",
    }


def test_the_written_space_starts_with_the_run_and_is_read_by_a_sweep(
    study: Path,
) -> None:
    path = study / "next.yml"
    assert invoke("first", "--sweep", path).exit_code == 0
    space = read_space(path)
    assert space.fixed["sftguide.study"] == "s-next"
    trials = [values["_"] for values in space.combinations() or []]
    values = [space.values_of(v)["_"] for v in space.combinations() or []]
    assert len(trials) == len(values) > 1
    assert values[0]["learning_rate"] == 2e-4
    assert values[1]["learning_rate"] == 5e-4
    assert len({repr(v) for v in values}) == len(values)
    again = invoke("first", "--sweep", path)
    assert again.exit_code == 2
    assert "--force" in again.output
    assert invoke("first", "--sweep", path, "--force").exit_code == 0


def test_a_run_that_cannot_be_judged_gets_one_line(study: Path) -> None:
    RunHistory().begin(run_row("now"))
    for words, said in (
        (["now"], "still training"),
        (["none"], "no run 'none'"),
        (["first", "--metric", "f1"], "scores: accuracy"),
    ):
        done = invoke(*words)
        assert done.exit_code == 2
        assert said in done.output
        assert "Traceback" not in done.output


def test_the_benchmark_counts_as_better_what_is_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a made-up study whose score has its peak at one rate."""
    benchmarks = Path(__file__).parents[1] / "benchmarks"
    monkeypatch.syspath_prepend(str(benchmarks))
    bench = load_script(benchmarks / "next_advice.py")
    cases = []
    for rate in (1e-5, 1e-4, 2e-4, 1e-3, 2e-2):
        for seed in range(4):
            draw = random.Random(f"{rate} {seed}")
            score = -abs(math.log10(rate / 2e-4)) + draw.gauss(0, 0.01)
            config = {"learning_rate": rate, "seed": seed}
            result = Score("score", score, True)
            record = Record(config, training="", setting=str(rate), result=result)
            cases.append(bench.Case("made", f"c{seed}", record, 0.01))
    found = list(bench.outcomes(cases, random.Random(1), 3))
    gains = [o.gain for o in found if o.by == "neighbours"]
    assert len(gains) > 20
    assert bench.summary([o for o in found if o.by == "neighbours"])["better"] > 0.9
    at_random = [o for o in found if o.by == "neighbours: at random"]
    assert bench.summary(at_random)["better"] < 0.9


def test_the_table_of_the_page_is_that_of_the_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    benchmarks = Path(__file__).parents[1] / "benchmarks"
    monkeypatch.syspath_prepend(str(benchmarks))
    bench = load_script(benchmarks / "next_advice.py")
    results = json.loads((benchmarks / "results" / "next_advice.json").read_text())
    page = (benchmarks.parent / "docs" / "next.md").read_text()
    assert bench.markdown(results) in page


def test_guidance_of_nothing_is_empty() -> None:
    assert guide(Record(config={})).advice == Guidance().advice
