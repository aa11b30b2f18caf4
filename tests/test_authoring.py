"""`sftguide new`: the facts it reads, what it chooses, and what it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from authored_cases import CASES, Case, write_form
from click.testing import CliRunner, Result

from axolotl_sftguide.advice import advise
from axolotl_sftguide.authoring import as_script, as_space, as_yaml, read_data, trials
from axolotl_sftguide.cli import main
from axolotl_sftguide.config.model_configs import parameter_count
from axolotl_sftguide.errors import PlanError
from axolotl_sftguide.evidence import CLAIMS
from axolotl_sftguide.planning import plan_memory
from axolotl_sftguide.sweep import read_space
from scripts import load_script

PROJECT = Path(__file__).parents[1]
BASE = PROJECT / "recipes" / "quickstart" / "base"
ONE_BILLION = "meta-llama/Llama-3.2-1B"
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def new(*words: str) -> Result:
    return CliRunner().invoke(main, ["new", *words])


@EACH
def test_check_has_no_finding_and_plan_says_that_it_fits(case: Case) -> None:
    made = case.author()
    config = yaml.safe_load(as_yaml(made, "a.yml"))
    assert config == made.config
    model = dict(made.model.config)
    known = {"parameters": parameter_count(model), "model": model, "ranks": case.gpus}
    for rows in (None, made.rows):
        assert [f.id for f in advise(config, rows=rows, **known)] == []
    size = int(case.gib * 2**30)
    assert plan_memory(config, model, gpu_bytes=size, gpus=case.gpus).fits


def numbers(text: str) -> Iterator[tuple[str, str]]:
    """Each number in a YAML file by its key, with its comment."""
    for line in text.splitlines():
        found = re.match(r"\s*([\w.]+): (-?[\d.]+(?:e-?\d+)?)(?:\s+# (.*))?$", line)
        if found and not line.startswith("#"):
            yield found[1], found[3] or ""


@EACH
def test_each_number_has_a_reason_and_cites_only_claims_that_exist(case: Case) -> None:
    text = as_yaml(case.author(), "a.yml")
    found = dict(numbers(text))
    assert {"learning_rate", "num_epochs", "sequence_len", "seed"} <= set(found)
    without = [key for key, comment in found.items() if not comment]
    assert [key for key in without if key not in ("fsdp_version",)] == []
    cited = set(re.findall(r"\[([a-z][\w-]+)\]", text)) - {"fits"}
    assert cited <= set(CLAIMS)


@EACH
def test_a_number_outside_its_claim_is_marked_as_a_convention(case: Case) -> None:
    for choice in case.author().choices.made.values():
        if choice.basis != "evidence" or isinstance(choice.value, bool):
            continue
        for key in choice.claims:
            claim, value = CLAIMS[key], choice.value
            if claim.low is None or not isinstance(value, int | float):
                continue
            derived = choice.key == "num_epochs"  # a claim on steps, or a range of it
            assert derived or claim.allows(value), (choice.key, value, key)


@EACH
def test_the_trials_of_a_sweep_are_few_and_start_with_what_was_written(
    case: Case, tmp_path: Path
) -> None:
    made = case.author()
    found = trials(made)
    assert found[0][0] == "as written"
    assert len(found) <= 6
    path = tmp_path / "space.yml"
    path.write_text(as_space(made, "a.yml", "space.yml"))
    space = read_space(path)
    if len(found) > 1:
        values = [space.values_of(each) for each in space.combinations() or ()]
        configs = [space.apply(made.config, each) for each in values]
        assert len({json.dumps(config) for config in configs}) == len(found)
        first = {**made.config, "sftguide": dict(made.config["sftguide"])}
        first["sftguide"]["study"] = f"{case.name}-sweep"
        assert configs[0] == first
        known = {"parameters": made.model.parameters, "ranks": case.gpus}
        for config in configs:
            assert [f.id for f in advise(config, **known)] == []


def test_style_gets_more_epochs_than_reasoning_and_both_cite_the_same_claim() -> None:
    def epochs(goal: str) -> Any:
        case = Case("g", "Qwen/Qwen3-8B-Base", 20_000, 24, given={"goal": goal})
        return case.make().choices.made["num_epochs"]

    style, reasoning = epochs("style"), epochs("reasoning")
    assert style.value > reasoning.value == CLAIMS["two-epochs"].low
    assert style.claims == reasoning.claims == ("two-epochs",)


@pytest.mark.parametrize(
    ("rows", "training", "batch"),
    [
        (500, "lora", 16),
        (50_000, "lora", 32),
        (500, "full", 32),
        (5_000, "full", 32),  # a guide's 128 would make 76 steps in two epochs
        (20_000, "full", 128),
        (50_000, "full", 256),
    ],
)
def test_the_batch_follows_rows_and_training(
    rows: int, training: str, batch: int
) -> None:
    given = {"training": training}
    made = Case("b", "Qwen/Qwen3-0.6B-Base", rows, 80, given=given).make()
    assert made.config["sftguide"]["effective_batch_size"] == batch
    assert made.samples == pytest.approx(batch, rel=0.3)


def test_what_is_given_is_written_and_said_to_be_given() -> None:
    given = {
        "training": "lora",
        "sequence_len": 1000,
        "learning_rate": 3e-4,
        "epochs": 1.5,
        "effective_batch_size": 24,
        "micro_batch_size": 2,
        "lora_r": 8,
        "scheduler": "cosine",
        "held_out": 0.05,
        "packing": False,
        "chat_template": "chatml",
        "seed": 7,
    }
    made = Case("g", "Qwen/Qwen3-4B-Base", 5_000, 24, mean=200, given=given).make()
    config = made.config
    assert [
        config["sequence_len"],
        config["learning_rate"],
        config["num_epochs"],
        config["sftguide"]["effective_batch_size"],
        config["micro_batch_size"],
        config["lora_r"],
        config["lr_scheduler"],
        config["sftguide"]["mix"]["held_out"],
        config["sample_packing"],
        config["chat_template"],
        config["seed"],
        config["sftguide"]["mix"]["seed"],
    ] == [1000, 3e-4, 1.5, 24, 2, 8, "cosine", 0.05, False, "chatml", 7, 7]
    assert "as given" in as_yaml(made, "a.yml")


def test_forms_duplicates_and_unusable_rows_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    one = write_form(tmp_path / "a.jsonl", "sharegpt", 30)
    two = write_form(tmp_path / "b.jsonl", "alpaca", 20)
    rows = [json.loads(line) for line in two.read_text().splitlines()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "b.parquet")
    with two.open("a") as file:
        file.write(json.dumps({"instruction": "no answer", "output": ""}) + "\n")
        file.write("{ not json\n")
    paths = ["a.jsonl", "b.jsonl", "b.parquet"]
    facts = read_data(paths, vocabulary=152_000, root=tmp_path)
    assert [source.rows for source in facts.sources] == [30, 20, 20]
    assert [source.repeated for source in facts.sources] == [0, 0, 20]
    assert [source.unusable for source in facts.sources] == [0, 2, 0]
    assert [list(source.forms) for source in facts.sources] == [
        ["sharegpt"],
        ["alpaca"],
        ["alpaca"],
    ]
    assert facts.rows == 50
    assert facts.turns == 30
    assert 0 < facts.trained < facts.tokens.sum()
    assert one.exists()


def test_lengths_are_counted_if_the_tokenizer_is_here(tmp_path: Path) -> None:
    write_form(tmp_path / "a.jsonl", "messages", 50)
    wanted: list[str] = []

    def count(texts: Any) -> list[int]:
        wanted.extend(texts)
        return [1000] * len(texts)

    facts = read_data(["a.jsonl"], vocabulary=300, count=count, root=tmp_path)
    assert facts.is_counted
    assert len(wanted) == 50
    assert facts.tokens.min() >= 1000
    assert not read_data(["a.jsonl"], vocabulary=300, root=tmp_path).is_counted


def test_a_number_of_one_has_a_noun_in_the_singular(tmp_path: Path) -> None:
    path = write_form(tmp_path / "a.jsonl", "messages", 12)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[0], "{ not json"]) + "\n")
    words = f"--model {BASE} --data {path} --gpu-memory 8GiB"
    done = new(*words.split(), "-o", str(tmp_path / "a.yml"))
    assert done.exit_code == 0, done.output
    written = " ".join((tmp_path / "a.yml").read_text().split())
    for text in (" ".join(done.output.split()), written):
        assert "1 repeats an earlier row and is left out" in text
        assert not re.search(r"\b1 rows\b", text)
        counted = "counted with the model's tokenizer, and 5 a message for the template"
        assert counted in text.replace("# ", "")
    assert "skips 1 row; the mix says why" in written
    assert "1 row: at most a tenth is held out" in written


def test_full_fine_tuning_on_several_gpus_keeps_its_weights_in_float32() -> None:
    given = {"training": "full"}
    made = Case("f", "meta-llama/Llama-3.2-3B", 9_000, 80, 8, given=given).make()
    assert made.config["fsdp_version"] == 2
    assert made.memory.setting.float32_shards
    assert "weights stay in float32" in made.choices.made["bf16"].comment


@pytest.mark.parametrize(
    ("model", "gib", "gpus", "given", "named"),
    [
        ("Qwen/Qwen3-32B", 8, 8, {"training": "full"}, "Qwen3-4B-Base"),
        ("Qwen/Qwen3-32B", 8, 8, {"training": "lora"}, "Qwen3-8B-Base"),
        ("google/gemma-2-27b", 8, 1, {"trainer": "trl"}, "gemma-2-2b"),
    ],
)
def test_the_smaller_model_that_an_error_names_fits_these_gpus_and_trainer(
    model: str, gib: float, gpus: int, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(PlanError, match=f", or --model .*/{named}$") as caught:
        Case("m", model, 9_000, gib, gpus, given=given).make()
    smaller = str(caught.value).rpartition(" ")[2]
    assert Case("m", smaller, 9_000, gib, gpus, given=given).make().memory.fits


@pytest.mark.parametrize("rate", [5e-6, 1e-5, 2e-5])
def test_weights_that_bf16_rounds_to_no_change_are_noted(rate: float) -> None:
    torch = pytest.importorskip("torch")
    case = Case(
        "b",
        ONE_BILLION,
        20_000,
        80,
        given={"training": "full", "learning_rate": rate},
    )
    (note,) = [n for n in case.make().choices.notes if "bf16" in n]
    above = float(re.search(r"above ([\d.]+)\. ", note)[1])  # type: ignore[index]
    for factor, changes in ((0.95, True), (1.1, False)):
        weight = torch.tensor(above * factor, dtype=torch.bfloat16)
        assert bool(weight + rate != weight) is changes
        assert bool(weight - rate != weight) is changes


@pytest.mark.parametrize(
    "given",
    [
        {"training": "full", "learning_rate": 5e-4},
        {"training": "lora", "learning_rate": 1e-5},
    ],
)
def test_rounding_is_not_noted_where_it_changes_little(given: dict[str, Any]) -> None:
    notes = Case("b", ONE_BILLION, 20_000, 80, given=given).make().choices.notes
    assert not [n for n in notes if "bf16" in n]


def test_a_run_of_two_steps_has_no_trial_with_a_warmup_as_long() -> None:
    given = {"training": "full", "epochs": 1}
    made = Case("f", "Qwen/Qwen3-0.6B-Base", 60, 80, given=given).make()
    (cosine,) = [v for what, v in trials(made) if what == "lr_scheduler cosine"]
    assert made.steps == 2
    assert cosine["warmup_steps"] == 0


@pytest.mark.parametrize(
    ("model", "given", "says"),
    [
        ("mistralai/Mistral-7B-Instruct-v0.3", {}, "the template of mistralai"),
        ("mistralai/Mistral-Nemo-Instruct-2407", {}, "such as mistral_v1"),
        ("mistralai/Mistral-7B-v0.3", {"chat_template": "mistral_v2v3"}, ""),
        ("mistralai/Mistral-7B-v0.3", {}, ""),
    ],
)
def test_system_messages_that_a_template_leaves_out_are_not_lost_silently(
    model: str, given: dict[str, Any], says: str
) -> None:
    case = Case("s", model, 900, 24, flags={"with_system": True}, given=given)
    if says:
        with pytest.raises(PlanError, match=says) as caught:
            case.make()
        assert "900 rows with system messages" in str(caught.value)
        return
    made = case.make()
    if given:
        (note,) = made.choices.notes
        assert "does not write into training rows" in note
        assert note in " ".join(as_yaml(made, "a.yml").split()).replace("# ", "")
    else:
        assert made.choices.value("chat_template") == "mistral_v1"
        assert made.choices.notes == []


def test_the_page_has_the_scores_of_the_measured_runs() -> None:
    measured = load_script(PROJECT / "benchmarks" / "written_config.py")
    results = PROJECT / "benchmarks" / "results" / "written_config.json"
    runs = json.loads(results.read_text())["runs"]
    page = (PROJECT / "docs" / "new.md").read_text()
    assert measured.table(list(measured.summaries(runs))) in page


@pytest.fixture
def chats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_form(tmp_path / "chats.jsonl", "sharegpt", 400)


QWEN = ("--model", "Qwen/Qwen3-8B-Base", "--data", "chats.jsonl")
CARD = ("--gpu-memory", "24GiB")


def test_the_summary_fits_on_one_screen_and_names_what_comes_next(chats: Path) -> None:
    done = new(*QWEN, *CARD, "-o", "runs/mine.yml", "--sweep")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    for word in ("why", "data", "chose", "memory", "steps", "time", "unsure", "next"):
        assert [line for line in lines if line.startswith(word)], word
    assert [line.split()[-1] for line in lines[-3:-1]] == ["--data", "runs/mine.yml"]
    assert "runs/mine-sweep.yml" in lines[-1]
    text = Path("runs/mine.yml").read_text()
    assert "estimated from characters" in text
    assert yaml.safe_load(text)["sftguide"]["study"] == "mine"
    checked = CliRunner().invoke(main, ["check", "runs/mine.yml", "--strict"])
    assert checked.exit_code == 0, checked.output
    planned = CliRunner().invoke(main, ["plan", "runs/mine.yml"])
    assert planned.exit_code == 0, planned.output


def test_nothing_is_overwritten_unless_forced(chats: Path) -> None:
    Path("my-run.yml").write_text("mine")
    refused = new(*QWEN, *CARD)
    assert refused.exit_code == 2
    assert "my-run.yml already exists; pass --force" in refused.output
    assert Path("my-run.yml").read_text() == "mine"
    assert new(*QWEN, *CARD, "--force").exit_code == 0


def test_explain_shows_the_claims_and_json_has_the_choices(chats: Path) -> None:
    chain = new(*QWEN, *CARD, "--explain").output
    assert "learning_rate: 0.0002" in chain
    assert "[adapter-rate]" in chain
    assert "shown for adapters" in chain
    assert "convention: no claim supports it" in chain
    found = json.loads(new(*QWEN, *CARD, "--force", "--json").output)
    assert found["data"]["sources"][0]["rows"] == 400
    assert found["config"] == yaml.safe_load(Path("my-run.yml").read_text())
    assert {c["key"] for c in found["choices"]} >= {"learning_rate", "sequence_len"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--data", "chats.jsonl", *CARD), "--model is required"),
        (("--model", "Qwen/Qwen3-8B-Base", *CARD), "--data is required"),
        (QWEN, "--gpu-memory is required"),
        ((*QWEN, "--gpu-memory", "3GiB"), "use a card of"),
        (("--model", "no/such", *QWEN[2:], *CARD), "--model no/such: no config.json"),
        (
            ("--model", "mistralai/Mixtral-8x7B-v0.1", *QWEN[2:], *CARD),
            "mixture of experts",
        ),
        ((*QWEN[:2], "--data", "gone.jsonl", *CARD), "gone.jsonl: no such file"),
        ((*QWEN[:2], "--data", "raw.jsonl", *CARD), "no row can be used"),
        ((*QWEN, *CARD, "--trainer", "trl", "--sweep"), "--sweep"),
        ((*QWEN, *CARD, "--trainer", "trl", "-o", "a.yml"), "write -o a.py"),
        ((*QWEN, *CARD, "-o", "a.py"), "write -o a.yml, or add --trainer trl"),
        (
            (*QWEN, *CARD, "--no-packing", "--effective-batch-size", "9")
            + ("--gpus", "2"),
            "nearest: 8 or",
        ),
        (
            ("--model", "meta-llama/Llama-3.1-8B", "--data", "tools.jsonl", *CARD),
            "llama3",
        ),
    ],
)
def test_what_cannot_be_written_is_one_clear_line(
    words: tuple[str, ...], says: str, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no nvidia-smi
    Path("raw.jsonl").write_text('{"text": "only text"}\n')
    write_form(Path("tools.jsonl"), "tools", 20)
    done = new(*words)
    assert done.exit_code == 2, done.output
    assert says in done.output
    (line,) = done.output.splitlines()
    assert line.startswith("Error: ")
    assert not Path("my-run.yml").exists()


def test_at_a_terminal_it_asks_for_what_is_missing(
    chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no nvidia-smi
    monkeypatch.setattr("axolotl_sftguide.cli.new_questions.can_ask", lambda: True)
    answers = "Qwen/Qwen3-4B-Base\nchats.jsonl\n\n"  # the last is the default, 24GiB
    done = CliRunner().invoke(main, ["new"], input=answers)
    assert done.exit_code == 0, done.output
    assert "Qwen3-4B-Base on one 24 GiB card" in done.output


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ("nowhere/at-all\nchats.jsonl\n", "--model nowhere/at-all: no config.json"),
        ("Qwen/Qwen3-4B-Base\ngone.jsonl\n", "gone.jsonl: no such file or folder"),
    ],
)
def test_a_wrong_path_is_an_error_before_the_next_question(
    answers: str, says: str, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no nvidia-smi
    monkeypatch.setattr("axolotl_sftguide.cli.new_questions.can_ask", lambda: True)
    done = CliRunner().invoke(main, ["new"], input=answers)
    assert done.exit_code == 2
    assert says in done.output
    assert "How much memory" not in done.output


@pytest.mark.parametrize("gpus", [1, 8])
@pytest.mark.parametrize("model", sorted({case.model for case in CASES}))
def test_each_script_for_trl_is_python_with_the_same_numbers(
    model: str, gpus: int
) -> None:
    made = Case("t", model, 20_000, 80, gpus, given={"trainer": "trl"}).make()
    script = as_script(made, "t.py")
    compile(script, "t.py", "exec")
    rate = made.config["learning_rate"]
    (written,) = re.findall(r"learning_rate=([\d.e-]+)", script)
    assert float(written) == rate
    assert f"gradient_accumulation_steps={made.accumulation}," in script
    assert "watch(trainer" in script
    assert "liger" not in script
