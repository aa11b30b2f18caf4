"""Claims judged by public tables, and the command and page that show them."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from public_tables import public_tables

from axolotl_sftguide.cli import main
from axolotl_sftguide.cli.evidence_files import (
    read_tables,
    shipped_coverage,
    shipped_judgements,
    shipped_own,
    shipped_tables,
)
from axolotl_sftguide.evidence import CLAIMS
from axolotl_sftguide.evidence.adapter_rates import base_of, judge_rates, size_of
from axolotl_sftguide.evidence.judgements import from_dict, verdict
from axolotl_sftguide.evidence.loss_curves import PEFT, SCRATCH, judge_early_loss
from axolotl_sftguide.evidence.own_grids import judge_grids
from axolotl_sftguide.evidence.page import page_with_parts, parts
from axolotl_sftguide.evidence.paper import PAPER_CLAIMS, with_figures
from axolotl_sftguide.evidence.replay import QUESTIONS, TABLES, rows_used
from axolotl_sftguide.evidence.sft_scores import SCORES, copied_scores, judge_scores

PAGE = Path(__file__).parent.parent / "docs" / "evidence.md"
GRIDS = PAGE.parent.parent / "benchmarks" / "grids" / "results"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["evidence", *words])


# The page and its figures


def made() -> dict[str, str]:
    return parts(
        shipped_judgements(), shipped_tables(), shipped_coverage(), shipped_own()
    )


def test_every_table_on_the_page_is_made_from_the_results() -> None:
    page = PAGE.read_text()
    assert page_with_parts(page, made()) == page


def test_a_figure_that_is_not_in_the_results_is_found() -> None:
    page = PAGE.read_text()
    first = shipped_judgements()[0]
    changed = page.replace(f"{first.value:+g} (", f"{first.value + 0.01:+g} (", 1)
    assert changed != page
    assert page_with_parts(changed, made()) != changed


def test_each_interval_on_the_page_is_one_of_the_results() -> None:
    number = r"([+-]?[\d.]+)"
    shown = {
        tuple(float(x) for x in found)
        for name in ("paper", "own", "replay")
        for found in re.findall(rf"{number} \({number} to {number}\)", made()[name])
    }
    known = {(j.value, j.low, j.high) for j in [*shipped_judgements(), *shipped_own()]}
    assert shown == known


def test_every_verdict_follows_from_its_interval() -> None:
    for j in [*shipped_judgements(), *shipped_own()]:
        assert j.low <= j.value <= j.high
        assert j.verdict == verdict(j.low, j.high, j.expects, j.margin), j


def test_our_own_figures_are_those_of_the_grids_in_the_repository() -> None:
    grids = [json.loads(path.read_text()) for path in GRIDS.glob("*.json")]
    shown = {j.table.removeprefix("grids/") for j in shipped_own()}
    found = judge_grids({g["name"]: g for g in grids if g["name"] in shown})
    assert found == shipped_own()
    assert {j.claim for j in found} <= {k for said in PAPER_CLAIMS for k in said.claims}


def test_a_figure_of_the_papers_claims_must_name_one_judgement() -> None:
    for words in ("no such words", "e"):
        with pytest.raises(LookupError):
            with_figures(f"{{two-epochs: {words}}}", shipped_judgements())


def test_every_claim_that_is_judged_or_cited_exists() -> None:
    named = {key for q in QUESTIONS for key in q.claims}
    named |= {j.claim for j in [*shipped_judgements(), *shipped_own()]}
    named |= {key for said in PAPER_CLAIMS for key in said.claims}
    text = " ".join(f"{said.others} {said.here}" for said in PAPER_CLAIMS)
    named |= set(re.findall(r"`([\w-]+)`", text))
    assert named <= set(CLAIMS)


def test_each_claim_that_a_question_lists_is_judged_by_it() -> None:
    judged = {j.claim for j in shipped_judgements()}
    assert judged == {key for q in QUESTIONS for key in q.claims}


@pytest.mark.parametrize(
    ("low", "high", "expects", "margin", "given"),
    [
        (0.1, 0.4, "above", 0, "holds"),
        (0.0, 0.4, "above", 0, "unclear"),
        (-0.4, -0.1, "above", 0, "does not hold"),
        (-0.4, 0.0, "above", 0, "unclear"),
        (0.6, 0.9, "above", 0.5, "holds"),
        (-0.4, -0.1, "below", 0, "holds"),
        (-0.4, 0.1, "no worse", 0.5, "holds"),
        (-0.6, 0.1, "no worse", 0.5, "unclear"),
        (-0.9, -0.6, "no worse", 0.5, "does not hold"),
        (0.0, 0.01, "at most", 0.01, "holds"),
        (-0.2, 0.2, "alike", 0.3, "holds"),
        (-0.2, 0.4, "alike", 0.3, "unclear"),
        (0.4, 0.5, "alike", 0.3, "does not hold"),
    ],
)
def test_a_verdict(
    low: float, high: float, expects: Any, margin: float, given: str
) -> None:
    assert verdict(low, high, expects, margin) == given


# The judgements


def fine_tunes(gain: Mapping[str, float]) -> list[dict[str, str]]:
    """Three bases on nine data sets, whose scores change by `gain` in eight epochs."""
    rows = []
    for b, base in enumerate(("A", "B", "C")):
        for d in range(9):
            for epoch in (2, 10):
                rows.append(
                    {
                        "model_name": base,
                        "data_name": f"data {d}",
                        "lora": "false",
                        "epoch": str(epoch),
                        "data_size": "20000.0",
                        "lr_strategy": "constant",
                    }
                    | {
                        score.column: str(
                            10 * b
                            + 3 * d
                            + (epoch == 10) * (gain[score.column] + d % 3 / 10)
                        )
                        for score in SCORES
                    }
                )
    return rows


def test_epochs_are_judged_by_each_score_alone() -> None:
    gain = {score.column: 1.0 if score.chat else -2.0 for score in SCORES}
    found = judge_scores(fine_tunes(gain))
    assert len(found) == len(SCORES)
    for score, judgement in zip(SCORES, found, strict=True):
        assert judgement.claim == "two-epochs"
        assert judgement.resampled == "9 data sets"
        assert judgement.value == pytest.approx(gain[score.column] + 0.1)
        assert judgement.verdict == ("does not hold" if score.chat else "holds")


def test_scores_that_are_copied_from_another_row_are_not_used() -> None:
    names = ("gsm8k", "mmlu", "BoolQ", "hellaswag", "nq")
    columns = [f"{name}-0shot" for name in names]
    rows = [
        {column: f"{i}.25" for column in columns} | {"mtbench-total": "5"}
        for i in range(4)
    ]
    assert copied_scores(rows) == set()
    rows[3].update({column: rows[1][column] for column in columns})
    assert copied_scores(rows) == {(i, column) for i in (1, 3) for column in columns}
    rows[3]["nq-0shot"] = "0.5"
    assert copied_scores(rows) == set()


def sweep(costs: Mapping[float, float]) -> list[dict[str, str]]:
    return [
        {
            "model": f"maker/Some-{size}B-Base",
            "learning_rate": str(rate),
            "lora_rank": str(rank),
            "test_nll": str(0.6 + size / 100 + cost),
        }
        for size in range(1, 8)
        for rate, cost in costs.items()
        for rank in (16, 64)
    ]


def test_rates_are_judged_against_each_models_best() -> None:
    diverged = [
        {
            "model": f"maker/Some-{size}B-Base",
            "runs": "2",
            "learning_rates": "3e-03",
            "ranks": "16, 64",
        }
        for size in range(1, 8)
    ]
    rows = sweep({1e-4: 0.05, 3e-4: 0.0, 1e-3: 0.002})
    found = {j.measure: j for j in judge_rates(rows, diverged)}
    assert found["test loss at 1e-04 above that at the best rate, nats"].value == 0.05
    given = [j.verdict for j in found.values() if "above that" in j.measure]
    assert given == ["does not hold", "holds", "holds"]
    assert found["share of the runs at 3e-3 that diverged"].value == 1


def test_models_from_one_base_are_one_cluster() -> None:
    assert base_of("Qwen/Qwen3-30B-A3B-Instruct-2507") == "Qwen3-30B-A3B"
    assert base_of("Qwen/Qwen3-VL-30B-A3B-Instruct") == "Qwen3-30B-A3B"
    assert base_of("meta-llama/Llama-3.1-8B") == base_of("x/Llama-3.1-8B-Instruct")
    assert base_of("moonshotai/Kimi-K2.6") == base_of("moonshotai/Kimi-K2-Thinking")
    assert base_of("Qwen/Qwen3.5-9B") != base_of("Qwen/Qwen3-8B")
    assert size_of("Qwen/Qwen3.5-0.8B-Base") == 0.8
    assert size_of("openai/gpt-oss-120b") > 100


def test_what_was_kept_is_judged_beside_what_was_taught() -> None:
    runs = [run_ | {"forgetting": run_["score"]} for run_ in grid(1)]
    taught, kept = judge_early_loss(runs, PEFT)
    assert (taught.verdict, kept.verdict) == ("holds", "does not hold")
    assert "Wikipedia" in kept.measure


def grid(sign: float, score_sign: float = 1) -> list[dict[str, Any]]:
    """Runs whose early loss goes with the score."""
    return [
        {
            "config": {"method": f"M{i % 8}", "cfg": f"S{i % 8}/x"},
            "score": score_sign * (i + (i * 7 % 3)),
            "points": [[s, s, 3.0 + sign * i / 100] for s in range(1, 41)],
        }
        for i in range(32)
    ]


@pytest.mark.parametrize(("sign", "given"), [(1.0, "holds"), (-1.0, "does not hold")])
def test_a_higher_early_loss_is_judged_by_the_score(sign: float, given: str) -> None:
    (by_score,) = judge_early_loss(grid(sign), PEFT)
    assert by_score.verdict == given
    (by_loss,) = judge_early_loss(grid(sign, -1), SCRATCH)
    assert by_loss.verdict == given


def test_losses_on_another_scale_are_left_out() -> None:
    runs = grid(1, -1)
    for run_ in runs[:5]:
        run_["points"] = [[s, n, 6 * loss] for s, n, loss in run_["points"]]
    (judged,) = judge_early_loss(runs, SCRATCH)
    assert judged.pairs == 27
    assert "without 5 runs" in judged.note


# The command


def test_the_list_names_each_claim_and_its_verdicts() -> None:
    done = run()
    assert done.exit_code == 0
    for key in CLAIMS:
        assert key in done.output
    assert "holds 8, not 8, unclear 12" in done.output


@pytest.mark.parametrize("words", [(), ("adapter-rate",), ("two-epochs",)])
def test_the_output_fits_a_narrow_terminal(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(*words).output.splitlines()
    assert [line for line in lines if len(line) > 80 and "http" not in line] == []


def test_one_claim_is_shown_with_its_sources_and_verdicts() -> None:
    done = run("low-norm-high-loss")
    assert "arXiv 2412.13337" in done.output
    assert "https://arxiv.org/abs/2412.13337" in done.output
    assert "does not hold" in done.output
    assert "none of the public tables can judge" in run("stacked").output


def test_an_unknown_claim_gets_the_nearest() -> None:
    done = run("two-epoch")
    assert done.exit_code == 2
    assert "did you mean 'two-epochs'" in done.output


def test_json_has_claims_and_judgements() -> None:
    made = json.loads(run("two-epochs", "--json").output)
    assert list(made["claims"]) == ["two-epochs"]
    judged = [from_dict(values) for values in made["judgements"]]
    assert judged == [j for j in shipped_judgements() if j.claim == "two-epochs"]


def test_missing_files_are_named_with_their_claims_and_addresses(
    tmp_path: Path,
) -> None:
    write_csv(tmp_path / "tinker-sft-sweep.csv", sweep({1e-4: 0.05, 3e-4: 0.0}))
    done = run("--replay", str(tmp_path))
    assert done.exit_code == 0
    assert "nothing could be judged" in done.output
    assert "massive-sft.csv: missing; not judged by it: two-epochs" in done.output
    for key, table in TABLES.items():
        if key == "tinker-sft-sweep":
            assert f"{table.file}: missing" not in done.output
        else:
            assert f"{table.file}: missing" in done.output
            assert table.address in done.output
        assert re.search(r"/[0-9a-f]{40}\b", table.address)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("massive-sft.csv", "a,b\n1,2\n", "has no columns 'model_name'"),
        ("massive-sft.csv", "", "has no columns"),
        ("grids/peft_metamath.json", "{", "is damaged"),
        ("grids/peft_metamath.json", "[]", "no list 'runs'"),
        ("grids/peft_metamath.json", '{"runs": [1]}', "is not a mapping"),
        (
            "grids/peft_metamath.json",
            '{"runs": [{"config": 1, "score": "x", "points": [[1]]}]}',
            "cannot be used",
        ),
    ],
)
def test_a_damaged_file_is_one_line_and_no_traceback(
    name: str, content: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    done = run("--replay", str(tmp_path))
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_a_folder_without_tables_is_told(tmp_path: Path) -> None:
    assert "holds none of the tables" in run("--replay", str(tmp_path)).output
    done = run("--replay", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert "is not a folder" in done.output


def test_tables_of_another_size_are_named(tmp_path: Path) -> None:
    gain = {score.column: 1.0 for score in SCORES}
    write_csv(tmp_path / "massive-sft.csv", fine_tunes(gain))
    said = run("--replay", str(tmp_path)).output
    assert f"{len(SCORES)} judgements, 0 of them as shipped" in said
    assert "massive-sft.csv (54 rows or runs, not 1,027)" in said


# The real tables


def test_the_shipped_judgements_are_those_of_the_public_tables() -> None:
    """Of those that are here; a grid that holds a part of the runs is left out."""
    folder = public_tables()
    began = time.monotonic()
    done = run("--replay", str(folder), "--json")
    assert time.monotonic() - began < 60
    made = json.loads(done.output)
    assert made["missing"] == {}
    found = [from_dict(values) for values in made["judgements"]]
    known = shipped_judgements()
    counts = rows_used(read_tables(folder))
    whole = {key for key, count in counts.items() if count == shipped_tables()[key]}
    same = [j for j in found if set(j.table.split(", ")) <= whole]
    assert len(same) > 60
    assert [j for j in same if j not in known] == []
    others = {(j.measure, j.setting): j for j in known}
    for j in found:
        if j not in same:
            other = others[j.measure, j.setting]
            assert {j.verdict, other.verdict} != {"holds", "does not hold"}


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("learning_rate", "; named alike: low-rate, "),
        ("lora_alpha", "; named alike: adapter-alpha ("),
        ("two-epoch", "; did you mean 'two-epochs'? ("),
        ("sequence_len", " ("),
    ],
)
def test_a_key_of_a_config_leads_to_the_claims_on_it(key: str, says: str) -> None:
    done = run(key)
    assert done.exit_code == 2
    assert done.output.startswith(f"Error: no claim is named {key!r}{says}")
