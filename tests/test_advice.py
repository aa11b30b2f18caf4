"""Findings on configs: which are made, their parts, and the command's output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from axolotl_sftguide import advise
from axolotl_sftguide.advice import Finding, Weight, summary
from axolotl_sftguide.advice._needs_of_training import NEEDS as OF_TRAINING
from axolotl_sftguide.advice._needs_of_weights import NEEDS as OF_WEIGHTS
from axolotl_sftguide.cli import main
from axolotl_sftguide.config.host_schema import host_schema
from axolotl_sftguide.config.settings import load_settings
from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.evidence import CLAIMS
from axolotl_sftguide.recipes import shipped_recipes

FULL = """
base_model: mistralai/Mistral-7B-v0.1
datasets: [{path: tatsu-lab/alpaca, type: alpaca}]
output_dir: out
sequence_len: 2048
seed: 42
micro_batch_size: 2
gradient_accumulation_steps: 64
learning_rate: 1.0e-5
lr_scheduler: constant
warmup_steps: 0
num_epochs: 2
bf16: true
sftguide: {exact_accumulation: true}
plugins: [axolotl_sftguide.SFTGuidePlugin]
"""
LORA = """
base_model: Qwen/Qwen3-8B-Base
datasets: [{path: tatsu-lab/alpaca, type: alpaca}]
adapter: qlora
load_in_4bit: true
lora_r: 32
lora_alpha: 32
lora_target_linear: true
output_dir: out
sequence_len: 2048
seed: 42
micro_batch_size: 2
gradient_accumulation_steps: 8
learning_rate: 2.0e-4
warmup_steps: 0
num_epochs: 2
sftguide: {exact_accumulation: true, seed_adapter: true}
plugins: [axolotl_sftguide.SFTGuidePlugin]
"""
BLOCK = "sftguide: {exact_accumulation: true}"

# A base, the lines that replace or add to its own, and the paths that are found.
CASES: list[tuple[str, str, str, list[str]]] = [
    ("a full run", FULL, "", []),
    ("an adapter", LORA, "", []),
    (
        "a list of one plugin as text",
        FULL,
        "plugins: axolotl_sftguide.SFTGuidePlugin",
        ["plugins"],
    ),
    ("no learning rate", FULL, "learning_rate: null", ["learning_rate"]),
    ("rate as text", FULL, "learning_rate: 1e-5", []),
    ("rate as text, high", FULL, "learning_rate: 5e-4", ["learning_rate"]),
    ("rate that is no number", FULL, "learning_rate: fast", ["learning_rate"]),
    ("rate of NaN", FULL, "learning_rate: .nan", []),
    ("cosine", FULL, "lr_scheduler: cosine", []),
    ("a misspelt key", FULL, "learning_rat: 1.0e-5", ["learning_rat"]),
    (
        "two misspelt keys",
        FULL,
        "microbatch: 1\nnum_epoch: 2",
        ["microbatch", "num_epoch"],
    ),
    ("a plugin's key without it", FULL, "liger_rope: true", ["liger_rope"]),
    (
        "a plugin's key with it",
        FULL,
        "plugins: [axolotl_sftguide.SFTGuidePlugin, "
        "axolotl.integrations.liger.LigerPlugin]\nliger_rope: true",
        [],
    ),
    (
        "a foreign plugin",
        FULL,
        "plugins: [axolotl_sftguide.SFTGuidePlugin, mine.Plugin]\nown_key: 1",
        ["own_key"],
    ),
    (
        "dataset weight",
        FULL,
        "datasets: [{path: a, weight: 0.1}]",
        ["datasets.0.weight"],
    ),
    ("dataset typo", FULL, "datasets: [{path: a, feild: x}]", ["datasets.0.feild"]),
    ("datasets that are no list", FULL, "datasets: {path: a}", ["datasets"]),
    ("entries of text", FULL, "datasets: [a, b]", ["datasets.0", "datasets.1"]),
    ("two datasets", FULL, "datasets: [{path: a}, {path: b}]", []),
    ("no seed", FULL, "seed: null", ["seed"]),
    ("seed of zero", FULL, "seed: 0", []),
    ("rate of an adapter", FULL, "learning_rate: 2.0e-4", ["learning_rate"]),
    ("rate of full fine-tuning", LORA, "learning_rate: 1.0e-5", ["learning_rate"]),
    ("rate too high for LoRA", LORA, "learning_rate: 5.0e-3", ["learning_rate"]),
    ("rate at the end of the range", LORA, "learning_rate: 1.0e-3", []),
    (
        "low rate of an adapter whose scale is 16",
        LORA,
        "learning_rate: 1.0e-5\nlora_r: 4\nlora_alpha: 64",
        ["lora_alpha"],
    ),
    ("rate of Lion", LORA, "learning_rate: 2.0e-5\noptimizer: lion_8bit", []),
    ("rate of GaLore", FULL, "learning_rate: 5.0e-3\noptimizer: galore_adamw", []),
    ("rate of ternary weights", FULL, "learning_rate: 5e-4\nuse_onebitllms: true", []),
    (
        "the paper's batch for an adapter",
        LORA,
        "gradient_accumulation_steps: 1920",
        ["gradient_accumulation_steps"],
    ),
    ("64 samples for an adapter", LORA, "gradient_accumulation_steps: 32", []),
    (
        "samples of the block",
        LORA,
        "gradient_accumulation_steps: null\n"
        "sftguide: {effective_batch_size: 512, exact_accumulation: true, "
        "seed_adapter: true}",
        ["sftguide.effective_batch_size"],
    ),
    (
        "auto",
        LORA,
        "gradient_accumulation_steps: null\n"
        "sftguide: {effective_batch_size: auto, exact_accumulation: true, "
        "seed_adapter: true}",
        [],
    ),
    (
        "both batch keys",
        FULL,
        "sftguide: {effective_batch_size: 64, exact_accumulation: true}",
        ["gradient_accumulation_steps"],
    ),
    (
        "batch_size alone",
        FULL,
        "gradient_accumulation_steps: null\nbatch_size: 64",
        ["batch_size"],
    ),
    ("stock accumulation", FULL, "sftguide: {}", ["gradient_accumulation_steps"]),
    ("one micro batch", FULL, "sftguide: {}\ngradient_accumulation_steps: 1", []),
    ("packing", FULL, "sample_packing: true", ["sample_packing", "sample_packing"]),
    (
        "packing in samples",
        FULL,
        "attn_implementation: flash_attention_2\nsample_packing: true\n"
        "gradient_accumulation_steps: null\n"
        "sftguide: {effective_batch_size: 128, exact_accumulation: true}",
        [],
    ),
    (
        "packing with sdpa",
        FULL,
        "sample_packing: true\nattn_implementation: sdpa",
        ["sample_packing", "attn_implementation"],
    ),
    ("no warm-up given", FULL, "warmup_steps: null", ["warmup_steps"]),
    (
        "warm-up of one",
        FULL,
        "warmup_steps: 1\nlr_scheduler: cosine",
        ["warmup_steps"],
    ),
    (
        "a ratio that rounds to none",
        FULL,
        "warmup_steps: null\nwarmup_ratio: 0.03\nnum_epochs: null\nmax_steps: 20\n"
        "lr_scheduler: cosine",
        ["warmup_ratio"],
    ),
    (
        "a ratio that does not",
        FULL,
        "warmup_steps: null\nwarmup_ratio: 0.03\nnum_epochs: null\nmax_steps: 200\n"
        "lr_scheduler: cosine",
        [],
    ),
    ("clip at zero", FULL, "max_grad_norm: 0", ["max_grad_norm"]),
    ("clip", FULL, "max_grad_norm: 1.0", []),
    (
        "the watchdog",
        FULL,
        "loss_watchdog_threshold: 5\nlogging_steps: 10",
        ["loss_watchdog_threshold"],
    ),
    (
        "the watchdog, each step",
        FULL,
        "loss_watchdog_threshold: 5\nlogging_steps: 1",
        [],
    ),
    ("qlora in 16 bits", LORA, "load_in_4bit: false", ["load_in_4bit"]),
    ("4 bits in full", FULL, "load_in_4bit: true", ["adapter"]),
    (
        "attention alone",
        LORA,
        "lora_target_linear: false\nlora_target_modules: [q_proj, v_proj]",
        ["lora_target_modules"],
    ),
    (
        "the MLP too",
        LORA,
        "lora_target_linear: false\nlora_target_modules: [q_proj, down_proj]",
        [],
    ),
    ("a large alpha", LORA, "lora_alpha: 512", ["lora_alpha"]),
    ("many passes", LORA, "num_epochs: 10", ["num_epochs"]),
    ("unseeded adapter", LORA, BLOCK, ["adapter"]),
    ("a misspelt block", FULL, "sftguide: null\nsft_guide: {}", ["sft_guide", "grad"]),
    (
        "a wrong block",
        FULL,
        "sftguide: {exact_acumulation: true}",
        ["sftguide.exact_ac", "grad"],
    ),
    ("no plugin", FULL, "plugins: []", ["sftguide"]),
    (
        "a mix beside datasets",
        FULL,
        "sftguide: {exact_accumulation: true, mix: {phases: [{name: a, datasets: "
        "[{path: x}]}]}}\nchat_template: mistral_v1",
        ["sftguide.mix"],
    ),
    (
        "an evaluation on the end",
        FULL,
        "val_set_size: 0.1\neval_steps: 50\nshuffle_merged_datasets: false",
        ["val_set_size"],
    ),
    ("an evaluation", FULL, "val_set_size: 0.1\neval_steps: 50", []),
    ("a deprecated key", FULL, "flash_attention: true", ["flash_attention"]),
    (
        "kernels on a CPU",
        LORA,
        "bf16: false\nplugins: []\nsftguide: null",
        ["lora_mlp_kernel", "adapter", "gradient_accumulation_steps"],
    ),
    ("kernels on a CPU with the plugin", LORA, "bf16: false", []),
    ("questions too", FULL, "train_on_inputs: true", ["train_on_inputs"]),
    ("DPO", LORA, "rl: dpo\nlearning_rate: 1.0e-6\nnum_epochs: 9", [""]),
    ("GRPO", LORA, "rl: grpo\nlearning_rate: 1.0e-6", [""]),
    (
        "pre-training",
        FULL,
        "pretraining_dataset: [{path: x}]\nlearning_rate: 3.0e-4\nmax_steps: 9\n"
        "num_epochs: null",
        [""],
    ),
    (
        "multimodal",
        FULL,
        "processor_type: AutoProcessor\nskip_prepare_dataset: true\n"
        "learning_rate: 3.0e-4",
        [""],
    ),
    (
        "nothing at all",
        "{}",
        "",
        ["base_model", "datasets", "learning_rate", "seed", "warmup_steps"],
    ),
]


def config(base: str, lines: str) -> dict[str, Any]:
    found = {**yaml.safe_load(base), **(yaml.safe_load(lines) or {})}
    return {k: v for k, v in found.items() if v is not None}


def test_there_are_fifty() -> None:
    assert len(CASES) >= 50
    assert len({name for name, *_ in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("base", "lines", "paths"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_exactly_these_findings_are_made(
    base: str, lines: str, paths: list[str]
) -> None:
    found = advise(config(base, lines))
    made = [f.path for f in found]
    assert len(made) == len(paths), made
    for path in paths:
        assert any(p == path or (path and p.startswith(path)) for p in made), made


@pytest.mark.parametrize(
    ("base", "lines"), [c[1:3] for c in CASES], ids=[c[0] for c in CASES]
)
def test_every_finding_has_its_parts_and_a_source(base: str, lines: str) -> None:
    for finding in advise(config(base, lines)):
        assert finding.problem
        assert finding.effect
        assert finding.remedy
        assert finding.text.endswith((".", "?"))
        assert finding.source in finding.evidence or finding.claim
        assert all(link.startswith("https://") for link in finding.links)
        own = finding.source == "axolotl-sftguide"  # which has no address of its own
        assert bool(finding.links) != own
        assert finding.claim is None or finding.claim in CLAIMS
        json.dumps(finding.to_dict(), default=str)


@pytest.mark.parametrize(
    "block",
    [
        {"my own key": 1},
        {"a: b": 1},
        {"study": 3},
        {"early_termination": {"divergence": {"two words": 8}}},
        {"mix": {"phases": [{"name": n, "datasets": [{"path": "x"}]} for n in "aa"]}},
        "on",
    ],
)
def test_a_finding_on_the_block_has_the_path_of_its_problem(block: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(block)
    (problem,) = caught.value.problems
    (finding,) = [f for f in advise({"sftguide": block}) if f.id == "own-block"]
    assert finding.path == problem.path
    assert problem.message in finding.problem
    assert problem.remedy in finding.remedy


def test_ligers_fused_loss_is_not_for_granite() -> None:
    liger = "axolotl.integrations.liger.LigerPlugin"
    config = {"plugins": [liger], "liger_fused_linear_cross_entropy": True}
    (found,) = [
        f
        for f in advise(config, model_type="granite")
        if f.path == "liger_fused_linear_cross_entropy"
    ]
    assert found.weight is Weight.WRONG
    assert found.remedy == "Set chunked_cross_entropy: true instead"
    for other in ("qwen3", None):
        paths = [f.path for f in advise(config, model_type=other)]
        assert "liger_fused_linear_cross_entropy" not in paths


@pytest.mark.parametrize("recipe", shipped_recipes(), ids=lambda recipe: recipe.name)
def test_no_recipe_has_a_finding(recipe: Any) -> None:
    done = CliRunner().invoke(main, ["check", str(recipe.path), "--strict"])
    assert done.exit_code == 0, done.output
    assert ": no findings" in done.output
    assert len(done.output.splitlines()) == 5


@pytest.mark.parametrize("rows", [100, 5_000, 150_000])
@pytest.mark.parametrize("base", [FULL, LORA])
def test_thousands_of_samples_are_advised_to_no_adapter_and_no_small_data(
    rows: int, base: str
) -> None:
    for accumulation in (1, 64, 4096):
        written = config(base, f"gradient_accumulation_steps: {accumulation}")
        for finding in advise(written, rows=rows):
            assert "3,840" not in finding.remedy
            assert finding.claim != "large-batch"


def test_a_large_batch_for_few_rows_names_the_steps_per_epoch() -> None:
    written = config(FULL, "gradient_accumulation_steps: 1920")
    (finding,) = advise(written, rows=10_000)
    assert finding.claim == "steps-enough"
    assert finding.effect == "10,000 rows make only 2 steps per epoch"
    assert advise(written, rows=900_000) == []


def test_few_samples_for_many_rows_point_to_the_papers_batch() -> None:
    (finding,) = advise(config(FULL, "gradient_accumulation_steps: 8"), rows=900_000)
    assert finding.claim == "large-batch"
    assert finding.weight == Weight.NOTE


def test_ranks_count() -> None:
    written = config(LORA, "gradient_accumulation_steps: 16")
    assert advise(written) == []
    (finding,) = advise(written, ranks=8)
    assert finding.value == 256


def test_a_small_model_is_not_judged_by_what_was_shown_for_billions() -> None:
    written = config(FULL, "learning_rate: 1.0e-3")
    assert advise(written, parameters=1_000_000) == []
    assert advise(written, parameters=7_000_000_000)


@pytest.mark.parametrize(
    ("lines", "weight"),
    [
        ("", Weight.NOTE),
        (
            "plugins: [axolotl_sftguide.SFTGuidePlugin]\n"
            "sftguide: {early_termination: {evaluation: {patience: 3}}}",
            Weight.AGAINST,
        ),
    ],
)
def test_an_evaluation_that_is_dropped_counts_if_the_run_depends_on_it(
    lines: str, weight: Weight
) -> None:
    once = "val_set_size: 0.05\nevals_per_epoch: 1\nnum_epochs: 1\n"
    found = advise(config(LORA, once + lines))
    assert [f.weight for f in found if f.id == "evaluation-once"] == [weight]


def test_a_rate_for_some_layers_alone_is_a_note() -> None:
    some = "learning_rate: 2e-4\nunfrozen_parameters: [lm_head]"
    found = advise(config(FULL, some))
    assert [f.weight for f in found if f.id == "rate-full-high"] == [Weight.NOTE]


def test_the_most_serious_come_first() -> None:
    found = advise(config(LORA, "seed: null\nlearning_rat: 1\nflash_attention: true"))
    assert [f.weight for f in found] == sorted(f.weight for f in found)
    assert found[0].path == "learning_rat"


def test_the_summary_has_four_lines() -> None:
    model, data, step, schedule = summary(config(LORA, ""), rows=52_002, ranks=2)
    assert model == "model     Qwen/Qwen3-8B-Base, qlora in 4 bits"
    assert data == "data      1 dataset, 52,002 rows, up to 2048 tokens"
    assert step == "step      32 samples = 2 x 8 x 2 ranks"
    assert schedule == "schedule  0.0002 cosine, warmup 0, 3,251 steps"


class TestCommand:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "mine.yml"
        path.write_text(yaml.safe_dump(config(LORA, "learning_rat: 1")))
        return path

    def test_a_finding_has_a_heading_its_key_and_value_and_its_text(
        self, path: Path
    ) -> None:
        done = CliRunner().invoke(main, ["check", str(path)])
        assert done.exit_code == 0
        assert done.output.startswith(
            "Wrong\n  learning_rat: 1\n    learning_rat is not an Axolotl key, so "
            "Axolotl drops it silently."
        )
        assert "Did you\n    mean 'learning_rate'? (Axolotl 0.19.0)\n" in done.output
        assert f"{path}: 1 finding\n" in done.output

    def test_links_are_shown_only_under_verbose(self, path: Path) -> None:
        path.write_text(yaml.safe_dump(config(LORA, "lora_alpha: 512")))
        brief = CliRunner().invoke(main, ["check", str(path)]).output
        verbose = CliRunner().invoke(main, ["check", str(path), "-v"]).output
        assert "https://" not in brief
        assert "https://arxiv.org/abs/2609.01244" in verbose
        assert "adapters, 7B to 13B" in verbose

    def test_lines_fit_the_terminal_and_break_between_words(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path.write_text(yaml.safe_dump(config("{}", "adapter: lora\nlora_rr: 2")))
        words = {}
        for columns in ("60", "80", "200"):
            monkeypatch.setenv("COLUMNS", columns)
            output = CliRunner().invoke(main, ["check", str(path)]).output
            findings = output[: output.index(str(path))]
            assert max(map(len, findings.splitlines())) <= min(int(columns), 100)
            words[columns] = findings.split()
        assert words["60"] == words["80"] == words["200"]

    @pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
    def test_colours_are_for_terminals_without_no_color(
        self, path: Path, no_color: str, coloured: bool
    ) -> None:
        terminal, end = os.openpty()
        command = [sys.executable, "-m", "axolotl_sftguide", "check", str(path)]
        environment = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm"}
        subprocess.run(command, stdout=end, env=environment, check=True, timeout=60)
        os.close(end)
        assert (b"\x1b[" in os.read(terminal, 10_000)) == coloured

    def test_epochs_that_are_no_number_do_not_break_the_summary(
        self, path: Path
    ) -> None:
        path.write_text(yaml.safe_dump(config(LORA, "num_epochs: two")))
        done = CliRunner().invoke(main, ["check", str(path)])
        assert done.exit_code == 0
        assert "num_epochs 'two' is not a number" in done.output

    def test_strict_ends_with_one(self, path: Path) -> None:
        assert CliRunner().invoke(main, ["check", str(path), "--strict"]).exit_code == 1

    def test_json_has_findings_and_summary(self, path: Path) -> None:
        done = CliRunner().invoke(main, ["check", str(path), "--json"])
        said = json.loads(done.output)
        assert said["findings"][0]["path"] == "learning_rat"
        assert said["findings"][0]["weight"] == "wrong"
        assert len(said["summary"]) == 4

    @pytest.mark.parametrize("text", [None, "a: [", "- 1", "", "\x00"])
    def test_what_cannot_be_read_is_one_line(
        self, tmp_path: Path, text: str | None
    ) -> None:
        path = tmp_path / "bad.yml"
        if text is not None:
            path.write_text(text)
        done = CliRunner().invoke(main, ["check", str(path)])
        assert done.exit_code == 2
        assert done.output.startswith(f"Error: {path}: ")
        assert len(done.output.strip().splitlines()) == 1


def test_a_finding_names_what_its_claim_was_shown_for() -> None:
    finding = Finding(Weight.NOTE, "a", 1, "x", "y", "z", "low-rate")
    assert finding.source == "arXiv 2412.13337"
    assert "full fine-tuning" in finding.evidence
    assert finding.links == ("https://arxiv.org/abs/2412.13337",)
    assert Finding(Weight.NOTE, "a", 1, "x", "y", "z").source == "Axolotl 0.19.0"


def test_a_finding_reads_as_two_sentences() -> None:
    finding = Finding(Weight.NOTE, "a", 1, "a is 1", "b fails", "did you mean 2?")
    assert finding.text == "a is 1, so b fails. Did you mean 2?"


@pytest.mark.parametrize(
    ("listed", "key", "ids"),
    [
        ("axolotl.integrations.liger.plugin.LigerPlugin", "liger_rope", []),
        ("liger.LigerPlugin", "liger_rope", []),
        ("LigerPlugin", "seed", ["plugin-class"]),
        ("axolotl.integrations.liger", "seed", ["plugin-class"]),
        ("axolotl.integrations.lger.LigerPlugin", "seed", ["plugin-unknown"]),
        ("my_package.plugins.Mine", "seed", []),
    ],
)
def test_a_plugin_is_read_under_each_name_that_axolotl_loads_it_by(
    listed: str, key: str, ids: list[str]
) -> None:
    written = {**yaml.safe_load(LORA), "plugins": [listed], key: 1, "sftguide": {}}
    written["liger_rope"] = written.get("liger_rope") == 1
    found = [f for f in advise(written) if f.path.startswith(("plugins", "liger"))]
    assert [f.id for f in found] == ids
    if ids and listed != "axolotl.integrations.liger":
        assert "'axolotl.integrations.liger.LigerPlugin'" in found[0].remedy


@pytest.mark.parametrize(
    ("lines", "effect"),
    [
        ("", "32 bits"),
        ("load_in_8bit: true", "8 bits"),
        ("fsdp_config: {cpu_ram_efficient_loading: true}", "16 bits"),
        ("base_model: unsloth/Meta-Llama-3.1-8B-bnb-4bit", ""),
        ("gptq: true", ""),
        ("adapter: qlora", ""),
    ],
)
def test_four_bits_of_a_lora_adapter_are_what_axolotl_makes_of_them(
    lines: str, effect: str
) -> None:
    written = {**yaml.safe_load(LORA), "adapter": "lora"}
    written |= yaml.safe_load(lines) or {}
    found = [f for f in advise(written) if f.id == "four-bits-ignored"]
    assert [effect in f.effect for f in found] == ([True] if effect else [])


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("model.layers.2[0-9]+.mlp", True),
        ("^lm_head.weight$", True),
        ("^model.embed_tokens.weight$[:32000]", True),
        ("model.", True),
        (".*mlp.*", True),
        ("(model|lm_head).+", True),
        ("layers.20.mlp", False),
        ("embed_tokens", False),
        ("transformer.h.[0-9]+", False),
    ],
)
def test_patterns_of_weights_are_matched_from_the_start_of_a_name(
    pattern: str, matches: bool
) -> None:
    written = {**yaml.safe_load(FULL), "unfrozen_parameters": [pattern]}
    found = advise(written, model_type="llama")
    assert ("unfrozen-none" in {f.id for f in found}) == (not matches)


@pytest.mark.parametrize(
    ("line", "with_it"),
    [
        ("lora_dropout: 0.1", "adapter: lora"),
        ("lora_modules_to_save: [embed_tokens]", "adapter: lora"),
        ("bnb_config_kwargs: {bnb_4bit_quant_type: fp4}", "adapter: qlora"),
        ("model_quantization_config_kwargs: {a: 1}", "model_quantization_config: X"),
        ("adam_beta2: 0.99\noptimizer: adafactor", "optimizer: lion_8bit"),
        ("adam_beta1: 0.9\noptimizer: muon", "adam_beta2: 0.99"),
        ("dion_lr: 0.1", "optimizer: dion"),
        ("optim_target_modules: [attn]", "optimizer: galore_adamw"),
        ("jagged_restart_warmup_steps: 10", "jagged_restart_steps: 100"),
        ("lisa_n_layers: 2", "lisa_step_interval: 10"),
        ("torch_compile_mode: max-autotune", "torch_compile: auto"),
        ("fsdp_version: 2", "fsdp_config: {offload_params: true}"),
        ("rl_beta: 0.1", "rl: dpo"),
        ("trl: {beta: 0.1}", "rl: grpo"),
        ("rl: dpo\nearly_stopping_patience: 3", "rl: null"),
        ("eval_table_size: 5", "wandb_project: mine"),
        ("mlflow_run_name: a", "mlflow_experiment_name: b"),
        ("chat_template: chatml\nchat_template_jinja: x", "chat_template: jinja"),
        ("fp16: true", "bf16: auto"),
        ("dataset_shard_num: 4", "dataset_shard_idx: 0"),
    ],
)
def test_a_key_without_the_key_that_it_needs_is_named(line: str, with_it: str) -> None:
    bits = {"load_in_4bit": "qlora" in with_it}
    alone = {**yaml.safe_load(FULL), **yaml.safe_load(line)}
    together = {**alone, **bits, **yaml.safe_load(with_it)}
    keys = set(yaml.safe_load(line)) - {"optimizer", "chat_template", "rl"}
    for config, said in ((alone, True), (together, False)):
        found = {f.path for f in advise(config) if f.id == "key-without-effect"}
        assert bool(found & keys) == said, config


def test_keys_that_need_another_one_are_keys_of_axolotl() -> None:
    plugins = host_schema().plugin_of
    for need in (*OF_TRAINING, *OF_WEIGHTS):
        assert set(need.keys) <= {*host_schema().top, *plugins}


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        (None, "chatml.intel", True),  # of rl: dpo
        ("orpo", "llama3.default", True),
        ("dpo", "chatml.intel", False),
        (None, "my_formats.support", False),
        (None, "alpaca_chat.load_qa", False),
    ],
)
def test_a_type_of_another_kind_of_training_is_no_module_of_the_users(
    kind: str | None, name: str, wrong: bool
) -> None:
    entry = {"path": "rows.jsonl", "type": name}
    written = {**yaml.safe_load(FULL), "rl": kind, "datasets": [entry]}
    assert ("dataset-type" in {f.id for f in advise(written)}) == wrong
