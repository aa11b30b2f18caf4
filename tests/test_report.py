"""The data and the page of `sftguide report`, without a browser."""

from __future__ import annotations

import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from made_studies import HOSTILE, make_study
from runs import run_row, steps, write_trace

import axolotl_sftguide
from axolotl_sftguide.cli import main
from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.report import page_of, view_of
from axolotl_sftguide.report._thin import Series, averaged, series, thinned
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.traces import TraceWriter, read_trace
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.limits import divergence_limits

PACKAGE = Path(axolotl_sftguide.__file__).parent


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The view of ten made-up runs, one of which diverges and two of which idle."""
    folder = tmp_path_factory.mktemp("study")
    history = make_study(str(folder / "runs.db"), folder, 10, 160)
    return view_of(history, history.runs())


def by_label(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {run["label"]: run for run in view["runs"]}


def positions(curve: dict[str, list[Any]]) -> list[int]:
    x, found = 0, []
    for difference in curve["x"]:
        x += difference
        found.append(x)
    return found


# Thinning


def test_a_thinned_curve_keeps_ends_extremes_gaps_and_wanted_points() -> None:
    ys = [math.sin(i / 40) for i in range(2000)]
    ys[777], ys[1234], ys[1500] = 50.0, -50.0, math.nan
    curve = Series(tuple(range(2000)), tuple(ys))
    small = thinned(curve, 100, keep=[900])
    assert len(small.xs) <= 100 + 4 + 1
    assert {0, 777, 900, 1234, 1500, 1999} <= set(small.xs)
    assert all(
        ys[x] == y or math.isnan(y) for x, y in zip(small.xs, small.ys, strict=True)
    )


def test_a_short_curve_is_not_thinned() -> None:
    curve = series((i, float(i)) for i in range(50))
    assert thinned(curve, 50) is curve


def test_a_smoothed_curve_has_the_same_mean_and_skips_what_is_not_finite() -> None:
    curve = series((i, float(i % 10) if i != 55 else None) for i in range(1000))
    smooth = averaged(curve, 100)
    assert len(smooth.xs) == 100
    assert smooth.ys[0] == 4.5
    assert smooth.ys[5] == pytest.approx((45 - 5) / 9)
    assert averaged(series((i, None) for i in range(9)), 3).ys[0] != 0


def test_positions_are_stored_as_differences() -> None:
    plain = series([(8, 1.23456), (16, math.inf), (40, 2.0)]).to_dict()
    assert plain == {"x": [8, 8, 24], "y": [1.235, None, 2]}


# Limits of the divergence rule


def test_a_run_is_found_to_diverge_where_its_loss_stays_above_the_drawn_limit() -> None:
    calm = [
        Observation(i, 8 * i, 2.0 + 0.01 * (i % 5), 1.0, 1e-4) for i in range(1, 101)
    ]
    up = [Observation(i, 8 * i, 9.0, 1.0, 1e-4) for i in range(101, 141)]
    limits = divergence_limits(EarlyTerminationSettings(), calm + up, most=70)
    last = limits[-1]
    assert last.step == 140
    assert last.loss is not None
    assert 2.04 < last.loss < 9.0
    assert len(limits) == 70


def test_without_the_divergence_rule_there_is_no_limit() -> None:
    off = EarlyTerminationSettings(action="off")
    assert divergence_limits(off, steps(40)) == []


# What a report says


def test_it_tells_which_run_was_best_and_which_were_stopped_and_why(
    study: dict[str, Any],
) -> None:
    said = " ".join(study["glance"])
    best = max(
        (run for run in study["runs"] if run["score"] is not None),
        key=lambda run: run["score"],
    )
    assert study["best"] == best["id"]
    assert f"The best run is {best['label']}" in said
    assert "(higher is better; 0.31 before training)" in said
    assert "run-007 (learning rate 0.02" in said
    assert "by the rule divergence" in said
    stopped = [run for run in study["runs"] if run["status"] == "terminated"]
    saved = sum(run["max_steps"] - run["step"] for run in stopped)
    assert f"{saved} of 1,600 planned optimizer steps were not trained" in said


def test_the_moment_of_each_verdict_is_a_point_of_the_curves(
    study: dict[str, Any],
) -> None:
    judged = [run for run in study["runs"] if "verdicts" in run]
    assert judged
    for run in judged:
        for verdict in run["verdicts"]:
            assert verdict["x"] in positions(run["curves"]["loss"])


def test_curves_come_with_the_limits_of_the_rule(study: dict[str, Any]) -> None:
    run = by_label(study)["run-007"]
    limits, losses = run["limits"]["loss"]["y"], run["curves"]["loss"]["y"]
    assert losses[-1] > limits[-1]


def test_the_batch_is_told_with_its_factors(study: dict[str, Any]) -> None:
    run = by_label(study)["run-009"]
    assert (run["batch"], run["batch_of"]) == (16, [4, 4, 1])


def test_settings_that_differ_are_listed_and_others_are_not(
    study: dict[str, Any],
) -> None:
    keys = [one["key"] for one in study["keys"]]
    assert keys[0] == "learning_rate"
    assert "base_model" not in keys
    run = by_label(study)["run-003"]
    assert run["values"][0] == 1e-4


def test_runs_of_the_same_name_are_called_by_study_or_id(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    for run_id, name, study_name in (
        ("1", "own", "a"),
        ("2", "trial", "a"),
        ("3", "trial", "b"),
        ("4", "twice", "a"),
        ("5", "twice", "a"),
    ):
        history.begin(run_row(run_id, name=name, study=study_name))
    view = view_of(history, sorted(history.runs(), key=lambda run: run.id))
    called = [run["label"] for run in view["runs"]]
    assert called == ["own", "a/trial", "b/trial", "4", "5"]


def test_one_run_is_not_called_the_best(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    history.import_trace(read_trace(write_trace(tmp_path, "r1", 20)))
    said = view_of(history, history.runs())["glance"]
    assert said == ["name-r1 reached m 0.5 (higher is better; 0.1 before training)."]


def scored_runs(folder: Path, *runs: dict[str, Any]) -> list[str]:
    """The sentences on finished runs, each with a score, samples, batch and base."""
    history = RunHistory(str(folder / "h.db"))
    for i, run in enumerate(runs):
        fields = {
            "micro_batch_size": run.get("batch", 8),
            "gradient_accumulation_steps": 1,
            "ranks": 1,
        }
        config = {"learning_rate": run.get("rate", 1e-4 * (i + 1)), "seed": i}
        path = write_trace(
            folder, f"r{i}", run.get("steps", 20), key_fields=fields, config=config
        )
        text = path.read_text().replace('"value": 0.5', f'"value": {run["score"]}')
        text = re.sub(r'"base_value": [0-9.]+', f'"base_value": {run["base"]}', text)
        path.write_text(text)
        history.import_trace(read_trace(path))
    return list(view_of(history, history.runs())["glance"])


def test_the_best_run_comes_with_its_margin_and_says_if_it_was_run_once(
    tmp_path: Path,
) -> None:
    said = scored_runs(
        tmp_path, {"score": 0.5, "base": 0.1}, {"score": 0.42, "base": 0.1}
    )
    assert "0.08 better than the second, name-r1 (learning rate 0.0002" in said[0]
    assert said[1].startswith("Its settings were run once")


def test_repeats_of_the_best_settings_give_their_range(tmp_path: Path) -> None:
    said = scored_runs(
        tmp_path,
        {"score": 0.5, "base": 0.1, "rate": 1e-4},
        {"score": 0.42, "base": 0.1, "rate": 1e-4},
        {"score": 0.3, "base": 0.1, "rate": 2e-4},
    )
    assert said[1] == "Its settings were run 2 times, with scores from 0.42 to 0.5."


def test_finished_runs_no_better_than_before_training_are_named(
    tmp_path: Path,
) -> None:
    said = scored_runs(
        tmp_path, {"score": 0.5, "base": 0.1}, {"score": 0.1, "base": 0.1}
    )
    assert any(s.startswith("No better than before training: name-r1") for s in said)


def test_without_a_score_before_training_the_worst_score_is_told(
    tmp_path: Path,
) -> None:
    said = " ".join(
        scored_runs(
            tmp_path, *({"score": score, "base": "null"} for score in (0.5, 0.0, 0.3))
        )
    )
    assert "The worst score of a finished run is 0, of name-r1" in said
    assert "No better than" not in said


def test_batch_sizes_of_unequal_samples_are_told_above_the_table(
    tmp_path: Path,
) -> None:
    said = scored_runs(
        tmp_path,
        {"score": 0.5, "base": 0.1, "batch": 32, "steps": 80},
        {"score": 0.3, "base": 0.1, "batch": 8, "steps": 20},
    )
    assert (
        "The finished runs did not see equally many samples (160 with batch size 8, "
        "640 with batch size 32): a better score of one batch size may come from more "
        "samples and not from the batch size."
    ) in said


def test_equal_samples_are_not_remarked_on(tmp_path: Path) -> None:
    said = scored_runs(
        tmp_path, {"score": 0.5, "base": 0.1}, {"score": 0.3, "base": 0.1, "steps": 19}
    )
    assert "equally many samples" not in " ".join(said)


def test_a_stopped_run_says_where_it_was_scored_and_its_chance(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    history.import_trace(read_trace(write_trace(tmp_path, "r1", 60)))
    figures = {"chance": 0.0014}
    history.add_decision("r1", Decision("prediction", "stop", "why", 40, 320, figures))
    history.end("r1", "terminated")
    view = view_of(history, history.runs())
    assert (
        "name-r1 was stopped at step 60 of 100 by the rule prediction: why; its chance "
        "to beat that was 0.14%. It was scored where it stopped: m 0.5."
    ) in view["glance"]
    assert view["runs"][0]["verdicts"][0]["reason"].endswith("was 0.14%")


def test_runs_on_other_data_are_told_apart(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    for i in range(2):
        fields = {"base_model": "same", "data": {"rows": 9, "digest": f"{i}"}}
        history.begin(run_row(f"r{i}", key_fields=fields))
    said = view_of(history, history.runs())["glance"][-1]
    assert said.startswith("The runs differ in training data: their losses")


def test_the_rate_comes_first_and_seeds_last(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    for i in range(6):
        config = {
            "seed": i,
            "lora_r": 2 ** (i % 3),
            "learning_rate": (1e-4, 1e-3)[i % 2],
        }
        history.begin(run_row(f"r{i}", config=config))
    keys = view_of(history, history.runs())["keys"]
    assert [one["key"] for one in keys] == ["learning_rate", "lora_r", "seed"]


def test_sources_and_noise_scales_are_told_where_they_were_measured(
    study: dict[str, Any],
) -> None:
    run = by_label(study)["run-004"]
    assert set(run["sources"]["training"]) == {"knowledge", "skills"}
    assert run["noise"]["low"] < run["noise"]["scale"] < run["noise"]["high"]
    assert len(run["noise"]["over"]) > 3


def test_predictions_rest_on_runs_that_had_ended_before(study: dict[str, Any]) -> None:
    finished = [run for run in study["runs"] if run["status"] == "finished"]
    assert all("prediction" not in run for run in finished[:4])
    for earlier, run in enumerate(finished):
        for look in run.get("prediction", []):
            assert look["runs"] <= earlier
            assert look["low"] < look["predicted"] < look["high"]
    assert any("prediction" in run for run in finished)


def test_what_was_not_recorded_is_left_out(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    history.begin(run_row("only-a-name", config={}, key_fields={}))
    view = view_of(history, history.runs())
    (run,) = view["runs"]
    absent = {"curves", "sources", "evaluations", "noise", "prediction", "limits"}
    assert absent & set(run) == set()
    assert (view["metric"], view["best"], view["keys"]) == (None, None, [])
    assert view["glance"] == [
        "No run has a score.",
        "name-only-a-name: running, still training.",
    ]
    page_of(view)


def test_a_run_whose_trace_is_gone_has_the_curve_of_the_history(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    path = write_trace(tmp_path, "r1", 64)
    history.import_trace(read_trace(path))
    path.unlink()
    (run,) = view_of(history, history.runs())["runs"]
    assert run["no_trace"] is True
    assert positions(run["curves"]["loss"]) == [8 * 16, 8 * 32, 8 * 48, 8 * 64]


def test_losses_that_are_not_finite_are_counted_and_are_gaps(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    path = write_trace(tmp_path, "r1", 20, end=None)
    text = path.read_text()
    path.write_text(re.sub(r'("step": 7,.*?"loss": )[0-9.]+', r'\1"NaN"', text))
    history.import_trace(read_trace(path))
    view = view_of(history, history.runs())
    (run,) = view["runs"]
    assert run["gaps"] == 1
    assert run["curves"]["loss"]["y"].count(None) == 1
    json.dumps(view, allow_nan=False)


def test_unknown_statuses_and_rules_of_a_later_version_are_shown_as_they_are(
    tmp_path: Path,
) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    history.import_trace(read_trace(write_trace(tmp_path, "r1", 20)))
    history.add_decision("r1", Decision("new_rule", "stop", "because", 10, 80))
    history.end("r1", "parked")  # type: ignore[arg-type]
    view = view_of(history, history.runs())
    (run,) = view["runs"]
    assert (run["status"], run["verdicts"][0]["rule"]) == ("parked", "new_rule")
    assert any("parked" in sentence for sentence in view["glance"])
    page_of(view)


def test_findings_are_those_on_the_config_file_and_gone_if_it_changed(
    tmp_path: Path,
) -> None:
    written = tmp_path / "config.yml"
    written.write_text("base_model: x\nlearning_rate: 5.0\n")
    history = RunHistory(str(tmp_path / "h.db"))
    config = {"learning_rate": 5.0, "axolotl_config_path": str(written)}
    after = written.stat().st_mtime + 1
    history.begin(run_row("r1", host="axolotl", config=config, started_at=after))
    history.begin(run_row("r2", host="axolotl", config=config, started_at=after - 60))
    first, second = sorted(
        view_of(history, history.runs())["runs"], key=lambda run: run["id"]
    )
    assert "rate-extreme" in [finding["id"] for finding in first["findings"]]
    assert "findings" not in second


def test_the_planned_memory_stands_beside_the_measured_peak(tmp_path: Path) -> None:
    written = tmp_path / "config.yml"
    written.write_text(
        "base_model: meta-llama/Llama-3.1-8B\nadapter: lora\nlora_r: 16\n"
        "lora_target_linear: true\nsequence_len: 1024\nmicro_batch_size: 1\n"
    )
    row = {
        "host": "axolotl",
        "device": "NVIDIA GeForce RTX 4090",
        "config": {"axolotl_config_path": str(written)},
        "started_at": written.stat().st_mtime + 1,
    }
    history = RunHistory(str(tmp_path / "h.db"))
    path = write_trace(tmp_path, "r1", 20, end=None, **row)
    writer = TraceWriter(path)
    writer.event("memory", peak_bytes=18 * 2**30)
    writer.event("end", status="finished", reason=None, at=row["started_at"] + 9)
    writer.close()
    history.import_trace(read_trace(path))
    (run,) = view_of(history, history.runs())["runs"]
    memory = run["memory"]
    assert memory["measured"] == 18 * 2**30
    assert 15 * 2**30 < memory["peak"] < 24 * 2**30
    assert sum(size for _, size in memory["parts"]) > 15 * 2**30


def test_the_peak_is_what_torch_reserved_and_unknown_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from axolotl_sftguide.monitor.endings import peak_bytes

    if not torch.cuda.is_available():
        assert peak_bytes() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 5)
    assert peak_bytes() == 5


def test_secrets_in_a_config_are_not_in_the_page(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    for i, token in enumerate(("hf_one", "hf_two")):
        config = {"hub_token": token, "db": f"postgresql://me:{token}@host/x"}
        history.begin(run_row(f"r{i}", config=config))
    page = page_of(view_of(history, history.runs()))
    assert "hf_one" not in page
    assert "hf_two" not in page


# The page


class Elements(HTMLParser):
    """The elements of a page, and its JSON."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.data = ""
        self._in_data = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in_data = dict(attrs).get("id") == "data"

    def handle_endtag(self, tag: str) -> None:
        self._in_data = False

    def handle_data(self, data: str) -> None:
        self.data += data * self._in_data


def test_hostile_names_stay_data(tmp_path: Path) -> None:
    history = make_study(
        str(tmp_path / "h.db"), tmp_path, 3, 40, judged=False, hostile=True
    )
    view = view_of(history, history.runs())
    page = page_of(view)
    found = Elements(page)
    assert found.tags.count("script") == 2
    assert "img" not in found.tags
    assert json.loads(found.data) == view
    assert any(HOSTILE in run["label"] for run in view["runs"])
    assert HOSTILE not in page


def test_the_page_allows_its_own_script_and_nothing_else(
    study: dict[str, Any],
) -> None:
    page = page_of(study)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; img-src data:; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "@import" not in page


def test_a_lone_surrogate_in_a_name_can_be_written(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    history.begin(run_row("r1"))
    view = view_of(history, history.runs())
    view["runs"][0]["label"] = "broken \udc80 name"
    page_of(view).encode("utf-8")


def test_uplot_is_vendored_unmodified_with_its_licence() -> None:
    vendor = PACKAGE / "report" / "vendor"
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.iterdir()
    }
    listed = dict(
        reversed(line.split())  # type: ignore[misc]
        for line in (vendor / "SHA256SUMS").read_text().splitlines()
    )
    assert {name: digests[name] for name in listed} == listed
    assert set(listed) == set(digests) - {"SHA256SUMS"}
    assert "MIT" in (vendor / "LICENSE").read_text()


# The command


def report(*words: str) -> Any:
    return CliRunner().invoke(main, ["report", *words])


@pytest.fixture
def two_studies(tmp_path: Path) -> str:
    storage = str(tmp_path / "h.db")
    history = RunHistory(storage)
    for name, study_name in (("r1", "one"), ("r2", "two"), ("r3", "two")):
        history.begin(run_row(name, study=study_name, started_at=float(name[1])))
        history.end(name, "finished")
        history.add_score(name, Score("m", 0.5, "max"))
    return storage


def test_by_default_it_shows_the_study_of_the_last_run(
    two_studies: str, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "page.html"
    done = report("--storage", two_studies, "-o", str(out))
    assert done.exit_code == 0
    assert f"{out}: 2 runs of two" in done.output
    shown = json.loads(Elements(out.read_text()).data)
    assert [run["id"] for run in shown["runs"]] == ["r2", "r3"]


def test_a_page_is_overwritten_and_another_file_is_not(
    two_studies: str, tmp_path: Path
) -> None:
    page, config = tmp_path / "page.html", tmp_path / "mine.yml"
    config.write_text("base_model: a/b\n")
    done = report("--storage", two_studies, "-o", str(config))
    assert done.exit_code == 2
    assert done.output == (
        f"Error: {config} already exists and is no HTML page, so it is not "
        "overwritten; name another file with -o\n"
    )
    assert config.read_text() == "base_model: a/b\n"
    for study_name in ("one", "two"):
        words = ("--storage", two_studies, "--study", study_name, "-o", str(page))
        assert report(*words).exit_code == 0
    assert json.loads(Elements(page.read_text()).data)["studies"] == ["two"]


def test_named_runs_may_be_of_several_studies(two_studies: str, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = report("r1", "latest", "r1", "--storage", two_studies, "-o", str(out))
    assert done.exit_code == 0
    shown = json.loads(Elements(out.read_text()).data)
    assert [run["id"] for run in shown["runs"]] == ["r1", "r3"]
    assert shown["studies"] == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--study", "tow"], "no runs in study 'tow'; studies: one, two; did you mean"),
        (["r9"], "no run 'r9'"),
        (["r1", "--study", "two"], "no run 'r1' in study 'two'"),
        (["-o", "/proc/no/page.html"], "/proc/no/page.html: cannot be written"),
    ],
)
def test_wrong_words_get_one_line(
    words: list[str], said: str, two_studies: str
) -> None:
    done = report("--storage", two_studies, *words)
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_mistyped_storage_is_named_and_nothing_is_created(tmp_path: Path) -> None:
    there = tmp_path / "none.db"
    done = report("--storage", str(there), "-o", str(tmp_path / "page.html"))
    assert done.exit_code == 2
    assert "does not exist (nothing created)" in done.output
    assert list(tmp_path.iterdir()) == []


def test_an_empty_history_has_no_report(tmp_path: Path) -> None:
    storage = str(tmp_path / "h.db")
    RunHistory(storage)
    done = report("--storage", storage)
    assert done.exit_code == 2
    assert "no runs yet" in done.output


def test_the_assets_are_in_the_package() -> None:
    names = {path.name for path in (PACKAGE / "report" / "assets").iterdir()}
    page = (PACKAGE / "report" / "_page.py").read_text()
    for name in names:
        assert f'"{name}"' in page
