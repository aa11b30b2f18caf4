"""Each kind of finding is made and gone with its remedy; clean configs have none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from finding_cases import BASE, ELSEWHERE, INSTRUCT, OTHERS, REFUSED, Case, patched

from axolotl_sftguide import advise
from axolotl_sftguide.advice import RULES, Cost, Finding, Weight, repeated_keys
from axolotl_sftguide.cli import main
from axolotl_sftguide.config.yaml_edits import edited
from axolotl_sftguide.planning import find_model

CASES = [*REFUSED, *OTHERS]
IDS = [case.id for case in CASES]


def findings(config: dict[str, Any], **known: Any) -> list[Finding]:
    model = find_model(str(config.get("base_model", "")))
    return advise(config, model=model, **known)


def of_kind(case: Case, config: dict[str, Any]) -> list[Finding]:
    return [f for f in findings(config) if f.id == case.id]


def test_the_base_has_only_findings_that_hold_for_nearly_every_config() -> None:
    assert [f.id for f in findings(patched()) if not f.is_general] == []


def test_every_kind_of_finding_has_a_case() -> None:
    data = {name for name in RULES if name.startswith("data-")}
    assert set(IDS) | ELSEWHERE | data == set(RULES)
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_finding_is_made_and_its_remedy_removes_it(case: Case) -> None:
    assert of_kind(case, patched(case.lines)), case.lines
    assert not of_kind(case, patched(case.lines, case.remedy))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_remedy_makes_nothing_wrong(case: Case) -> None:
    wrong = [
        finding
        for finding in findings(patched(case.lines, case.remedy))
        if finding.weight == Weight.WRONG
    ]
    assert wrong == []


@pytest.mark.parametrize("case", REFUSED, ids=[case.id for case in REFUSED])
def test_a_refusal_is_wrong_and_costs_the_start(case: Case) -> None:
    for finding in of_kind(case, patched(case.lines)):
        assert finding.weight == Weight.WRONG
        assert finding.cost == Cost.START


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_written_edits_remove_the_finding_and_keep_the_rest(case: Case) -> None:
    config = patched(case.lines)
    text = "# mine\n" + yaml.safe_dump(config, sort_keys=False)
    for finding in of_kind(case, config):
        if not finding.edits:
            continue
        after = edited(text, finding.edits)
        assert after.startswith("# mine\n")
        assert not of_kind(case, yaml.safe_load(after))
        touched = {edit.path.partition(".")[0] for edit in finding.edits}
        touched |= {str(edit.value) for edit in finding.edits}
        for key, value in config.items():
            if key not in touched:
                assert yaml.safe_load(after)[key] == value


def test_a_key_that_occurs_twice_is_found_at_any_depth() -> None:
    text = f"{BASE}learning_rate: 1.0e-4\ntest_datasets: [{{path: a, path: b}}]\n"
    found = repeated_keys(text)
    assert [f.path for f in found] == ["learning_rate", "test_datasets.0.path"]
    for harmless in ("seed: 42", "a:\na: 1", "a: null\na: false", "a: false\na: 2"):
        assert repeated_keys(f"{BASE}{harmless}\n") == [], harmless
    assert repeated_keys(BASE) == repeated_keys("a: &x {b: 1}\nc: {<<: *x}") == []


@pytest.mark.parametrize(
    ("lines", "source"),
    [
        ("sftguide: {monitor: {no_such: 1}}", "axolotl-sftguide"),
        ("warmup_steps: 5\nlr_scheduler: constant", "transformers"),
        ("val_set_size: 0.1", "Axolotl"),
    ],
)
def test_a_finding_names_the_software_that_it_is_about(lines: str, source: str) -> None:
    made = [f for f in findings(patched(lines)) if not f.is_general]
    assert any(f.source.startswith(source) for f in made), [f.source for f in made]


class TestQuiet:
    @pytest.mark.parametrize(
        "entry",
        [
            "roles_to_train: [], message_field_training: train",
            "roles_to_train: [user], message_field_training_detail: parts",
            "train_on_eos: last",
            "roles_to_train: [gpt]",
            "roles: {assistant: [model]}, roles_to_train: [model]",
        ],
    )
    def test_rows_and_roles_may_say_what_is_trained(self, entry: str) -> None:
        lines = f"datasets: [{{path: a, type: chat_template, {entry}}}]"
        config = patched(f"{INSTRUCT}{lines}")
        assert [f.id for f in findings(config) if not f.is_general] == []

    @pytest.mark.parametrize("empty", ["", "null", "false", "''", "[]", "{}"])
    def test_an_unknown_key_without_a_value_is_no_finding(self, empty: str) -> None:
        config = {**yaml.safe_load(f"{BASE}\nold_key: {empty}")}
        assert [f for f in findings(config) if f.path == "old_key"] == []

    @pytest.mark.parametrize(
        "lines",
        [
            "flash_attention: flash_attention_2",
            "sdp_attention: []",
            "fsdp_version: ''\nfsdp_config: {offload_params: false}",
        ],
    )
    def test_a_value_that_axolotl_replaces_is_not_refused(self, lines: str) -> None:
        assert not [f for f in findings(patched(lines)) if f.id == "bad-value"]

    def test_an_empty_seed_is_axolotls_42(self) -> None:
        config = {**patched(), "seed": None}
        assert "seed" not in [f.path for f in findings(config)]

    @pytest.mark.parametrize(
        ("plugin", "lines"),
        [
            ("swanlab.SwanLabPlugin", "use_swanlab: true\nswanlab_project: x"),
            ("llm_compressor.LLMCompressorPlugin", "llmcompressor: {recipe: {a: 1}}"),
            ("liger.plugin.LigerPlugin", "liger_rms_norm: true"),
            ("kd.KDPlugin", "kd_trainer: true\nkd_alpha: 0.9"),
            ("spectrum.SpectrumPlugin", "spectrum_top_fraction: 0.5"),
        ],
    )
    def test_keys_of_a_listed_plugin_are_known(self, plugin: str, lines: str) -> None:
        listed = f"plugins: [axolotl.integrations.{plugin}]\n{lines}"
        assert [f.id for f in findings(patched(listed)) if f.weight == 0] == []

    @pytest.mark.parametrize(
        ("rl", "entry"),
        [
            ("dpo", "field_chosen: good, field_rejected: bad, type: chatml.intel"),
            ("simpo", "type: {field_chosen: a, field_rejected: b, field_prompt: c}"),
            ("kto", "type: {field_completion: a, field_label: b, field_prompt: c}"),
            ("null", "type: stepwise_supervised, step_separator: x"),
            ("null", 'type: completion, field: text, split: "train[:5%]"'),
            ("null", "path: synthetic, type: _synthetic, length: 10"),
            ("grpo", "type: rewards.transform"),
        ],
    )
    def test_keys_of_each_kind_of_training_are_known(self, rl: str, entry: str) -> None:
        lines = f"rl: {rl}\ndatasets: [{{path: a, {entry}}}]\n"
        made = findings(patched(f"{lines}remove_unused_columns: false"))
        assert [f.text for f in made if f.weight == Weight.WRONG] == []

    @pytest.mark.parametrize(
        "block",
        [
            "{fsdp_offload_params: true, fsdp_limit_all_gathers: true}",
            "{sharding_strategy: FULL_SHARD, forward_prefetch: false}",
            "{version: 2, reshard_after_forward: true}",
        ],
    )
    def test_keys_of_fsdp_that_ask_for_what_happens_are_no_finding(
        self, block: str
    ) -> None:
        made = findings(patched(f"fsdp_version: 2\nfsdp_config: {block}"))
        assert [f.text for f in made if not f.is_general] == []

    def test_what_holds_for_nearly_every_config_is_one_paragraph(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "mine.yml"
        path.write_text(BASE)
        brief = CliRunner().invoke(main, ["check", str(path)]).output
        assert ": no findings\n" in brief
        assert brief.count("As in most configs: ") == 1
        strict = CliRunner().invoke(main, ["check", "--strict", str(path)])
        assert strict.exit_code == 0
        assert "As in most" not in strict.output
        full = CliRunner().invoke(main, ["check", "--all", str(path)]).output
        assert ": 2 findings\n" in full

    def test_placeholders_of_a_template_are_not_judged(self) -> None:
        lines = "learning_rate: ${RATE}\noptimizer: '{{ optimizer }}'\n"
        lines += "datasets: [{path: '${DATA}', type: '${TYPE}'}]"
        made = findings(patched(lines))
        (note,) = [f for f in made if not f.is_general]
        assert "datasets, learning_rate, optimizer are placeholders" in note.text
        marks = "special_tokens: {pad_token: <|pad|>}\nchat_template: jinja\n"
        marks += "chat_template_jinja: '{{ messages }}'\n"
        marks += "datasets: [{path: a, type: chat_template}]"
        made = findings(patched(marks))
        assert [f.id for f in made if not f.is_general] == []


class TestHints:
    @pytest.mark.parametrize(
        ("key", "said", "never"),
        [
            ("push_to_hub", "hub_model_id", "push_dataset_to_hub"),
            ("relora_steps", "jagged_restart_steps", "eval_steps"),
            ("rl_adapter_ref_model", "Remove it", "type_of_model"),
            ("max_seq_length", "sequence_len", "max_packed"),
            ("finetuning_type", "adapter", "fine_tuning"),
            ("debug", "preprocess", "device"),
            ("gradient_acumulation_steps", "gradient_accumulation_steps", "batch"),
            ("a_key_of_nobody", "config-reference", "did you mean"),
        ],
    )
    def test_the_hint_is_a_name_that_does_no_harm(
        self, key: str, said: str, never: str
    ) -> None:
        (finding,) = [f for f in findings(patched(f"{key}: 1")) if f.path == key]
        assert said in finding.remedy
        assert never not in finding.remedy

    @pytest.mark.parametrize(
        ("key", "said"),
        [
            ("field_prompt", "field_instruction"),
            ("field_output", "type: {field_output: ...}"),
            ("text_column", "Set field instead"),
            ("weight", "sftguide.mix"),
        ],
    )
    def test_keys_of_datasets_have_hints_of_their_own(
        self, key: str, said: str
    ) -> None:
        entry = f"datasets: [{{path: a, type: alpaca, {key}: x}}]"
        (finding,) = [f for f in findings(patched(entry)) if f.weight == 0]
        assert finding.path == f"datasets.0.{key}"
        assert said in finding.remedy

    def test_models_without_formulas_have_positions_too(self) -> None:
        config = patched("base_model: openai-community/gpt2\nsequence_len: 2048")
        assert "beyond-positions" in [f.id for f in findings(config)]

    def test_the_split_of_a_dataset_is_split(self) -> None:
        entry = "datasets: [{path: a, type: alpaca, train_on_split: test}]"
        (finding,) = [f for f in findings(patched(entry)) if f.weight == 0]
        assert finding.remedy == "Set split instead"

    @pytest.mark.parametrize(
        ("lines", "remedy"),
        [
            ("val_set_size: 5%", "Set val_set_size: 0.05"),
            ("max_steps: 1k", "Set max_steps: 1000"),
            ("sequence_len: 4k", "Set sequence_len: 4096"),
            ("save_strategy: no", 'YAML reads no as false; write "no" in quotes'),
            ("chat_template: qwen33", "did you mean 'qwen3'?"),
            ("adapter: Lora", "did you mean 'lora'?"),
        ],
    )
    def test_a_refused_value_comes_with_one_that_is_not(
        self, lines: str, remedy: str
    ) -> None:
        (finding,) = [f for f in findings(patched(lines)) if f.weight == 0]
        assert finding.remedy == remedy


ODD: list[Any] = [None, 0, "x", [1], {"a": 1}]
RARER: list[Any] = [True, False, -1, 1.5, "", "1e-5", [], {}]
EACH_ODD = pytest.mark.parametrize(
    "value",
    [*ODD, *(pytest.param(value, marks=pytest.mark.slow) for value in RARER)],
    ids=map(repr, [*ODD, *RARER]),
)


@EACH_ODD
def test_no_value_of_any_key_ends_in_an_error(value: Any) -> None:
    from axolotl_sftguide.advice import summary
    from axolotl_sftguide.config.host_schema import host_schema

    for key in host_schema().top:
        config = {**patched(), key: value}
        for finding in findings(config, rows=100):
            json.dumps(finding.to_dict(), default=str)
        summary(config, rows=100)


@EACH_ODD
def test_no_value_inside_of_a_dataset_ends_in_an_error(value: Any) -> None:
    from axolotl_sftguide.config.host_schema import host_schema

    schema = host_schema()
    entries: list[Any] = [{"type": {key: value}} for key in schema.fields("SFTDataset")]
    for model in ("SFTDataset", "UserDefinedPrompterType"):
        for key in schema.fields(model):
            entries.append({"path": "a", "type": "chat_template", key: value})
            entries.append({"path": "a", "type": {key: value}})
    tokens = {"additional_special_tokens": [value], "eos_token": value}
    for entry in entries:
        for finding in findings({**patched(), "datasets": [entry, entry]}):
            json.dumps(finding.to_dict(), default=str)
    for finding in findings({**patched(), "special_tokens": tokens}):
        json.dumps(finding.to_dict(), default=str)


class TestCommand:
    def test_a_comment_silences_a_finding_by_id(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yml"
        path.write_text(f"{BASE}own: 1\nother: 1\n")
        command = ["check", "--json", str(path)]
        assert len(self.found(command)) == 2
        path.write_text(f"{BASE}own: 1 # sftguide: ignore[unknown-key]\nother: 1\n")
        assert [f["path"] for f in self.found(command)] == ["other"]
        path.write_text(f"# sftguide: ignore[unknown-key]\n{BASE}own: 1\nother: 1\n")
        assert self.found(command) == []
        path.write_text(f"# sftguide: ignore[unknown-kee]\n{BASE}")
        assert [f["id"] for f in self.found(command)] == ["unknown-ignore"]

    @staticmethod
    def found(command: list[str]) -> list[dict[str, Any]]:
        done = CliRunner().invoke(main, command)
        return list(json.loads(done.output)["findings"])

    def test_fix_writes_the_certain_remedies_and_keeps_comments(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "mine.yml"
        lines = "num_train_epochs: 3 # as in TRL\nlr_scheduler: cosin # slow\n"
        path.write_text(BASE.replace("num_epochs: 2\n", lines))
        done = CliRunner().invoke(main, ["check", "--fix", str(path)])
        assert ": no findings\n" in done.output
        after = path.read_text()
        assert "num_epochs: 3 # as in TRL\nlr_scheduler: cosine # slow\n" in after
        again = CliRunner().invoke(main, ["check", "--fix", str(path)])
        assert "nothing to fix" in again.output
        assert path.read_text() == after

    def test_github_shows_findings_at_their_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yml"
        path.write_text(f"{BASE}own: 1\n")
        done = CliRunner().invoke(main, ["check", "--format", "github", str(path)])
        line = len(BASE.splitlines()) + 1
        assert done.output.startswith(f"::error file={path},line={line},title=sftguide")
        assert done.output.count("\n") == 1

    @pytest.mark.parametrize("name", sorted(RULES))
    def test_each_id_is_explained(self, name: str) -> None:
        done = CliRunner().invoke(main, ["explain", name])
        assert done.exit_code == 0
        assert "Cost: " in done.output
        assert f"ignore[{name}]" in done.output

    def test_an_unknown_id_is_one_line(self) -> None:
        done = CliRunner().invoke(main, ["explain", "warmup-twise"])
        assert done.exit_code == 2
        assert "did you mean 'warmup-twice'" in done.output

    @pytest.mark.parametrize(
        ("text", "program"),
        [
            (
                "compute_environment: LOCAL_MACHINE\ndistributed_type: FSDP",
                "accelerate",
            ),
            ("provider: modal\ngpu: h100", "cloud"),
        ],
    )
    def test_a_file_of_another_program_is_recognised(
        self, tmp_path: Path, text: str, program: str
    ) -> None:
        path = tmp_path / "mine.yml"
        path.write_text(text)
        (finding,) = self.found(["check", "--json", str(path)])
        assert finding["id"] == "other-file"
        assert program in finding["problem"]


def test_the_summary_says_what_will_happen() -> None:
    from axolotl_sftguide.advice import summary

    constant = summary(patched("lr_scheduler: constant\nwarmup_steps: 100"))
    assert constant[3] == "schedule  0.0002 constant, no warmup, 2 epochs"
    eight = summary(patched("load_in_8bit: true"))
    assert eight[0].endswith("lora in 8 bits")
    one = summary({"sftguide": {"mix": {"phases": [{"name": "all"}]}}})
    assert one[1] == "data      1 phase stacked, up to 512 tokens"


def test_several_configs_are_checked_in_one_call(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(BASE)
    bad.write_text(f"{BASE}own: 1\n")
    both = ["check", "--strict", str(good), str(bad)]
    done = CliRunner().invoke(main, both)
    assert done.exit_code == 1
    assert f"{good}: no findings\n" in done.output
    assert f"{bad}: 1 finding\n" in done.output
    answers = json.loads(CliRunner().invoke(main, [*both, "--json"]).output)
    assert [len(answer["findings"]) for answer in answers] == [0, 1]


def test_a_config_that_cannot_be_read_does_not_hide_the_findings_on_others(
    tmp_path: Path,
) -> None:
    names = ["bad.yml", "gone.yml", "good.yml", "list.yml"]
    bad, gone, good, listed = paths = [tmp_path / name for name in names]
    bad.write_text(f"{BASE}own: 1\n")
    good.write_text(BASE)
    listed.write_text("- a\n")
    done = CliRunner().invoke(main, ["check", *map(str, paths)])
    assert done.exit_code == 2
    assert f"{bad}: 1 finding\n" in done.stdout
    assert f"{good}: no findings\n" in done.stdout
    assert done.stderr.splitlines() == [
        f"Error: {gone}: cannot be read (No such file or directory)",
        f"{listed}: must be a mapping of keys to values",
    ]
    done = CliRunner().invoke(main, ["check", "--json", *map(str, paths)])
    assert done.exit_code == 2
    assert [answer["config"] for answer in json.loads(done.stdout)] == [
        str(bad),
        str(good),
    ]


def test_entries_with_the_same_fault_are_one_finding(tmp_path: Path) -> None:
    lines = ["- {path: a, type: sharegpt}"] * 3
    config = {k: v for k, v in patched("").items() if k != "datasets"}
    text = yaml.safe_dump(config) + "datasets:\n" + "\n".join(lines) + "\n"
    (tmp_path / "a.yml").write_text(text)
    done = CliRunner().invoke(main, ["check", "--json", str(tmp_path / "a.yml")])
    given = json.loads(done.stdout)["findings"]
    (found,) = [finding for finding in given if finding["id"] == "sharegpt"]
    assert found["path"] == "datasets.0.type"
    assert "2 other entries" in found["problem"]


def test_the_template_of_a_mix_is_judged_as_that_of_datasets() -> None:
    mix = {"phases": [{"name": "one", "datasets": [{"path": "rows.jsonl"}]}]}
    config = patched("datasets: null\nchat_template: llama3")
    config["sftguide"] = {"mix": mix}
    (found,) = [f for f in findings(config) if f.id == "turn-end-untrained"]
    config["special_tokens"] = {"eos_token": "<|eot_id|>"}
    assert found.id not in {f.id for f in findings(config)}


@pytest.mark.parametrize(
    ("name", "accused"),
    [
        ("HuggingFaceTB/SmolLM2-135M", False),
        ("someone/gemma-3-270m", False),
        ("HuggingFaceTB/SmolLM2-1.7B", True),
        ("someone/chat-1.5b", True),
    ],
)
def test_a_rate_is_not_held_against_a_model_that_its_name_says_is_small(
    name: str, accused: bool
) -> None:
    config = {"base_model": name, "learning_rate": 3e-4, "micro_batch_size": 8}
    found = {finding.id for finding in advise(config, model=None)}
    assert ("rate-full-high" in found) is accused


@pytest.mark.parametrize("key", ["optimizer", "adapter"])
def test_a_rate_of_an_optimizer_or_adapter_that_nobody_studied_is_no_finding(
    key: str,
) -> None:
    other = {"optimizer": "sgd", "adapter": "vera"}[key]
    config = {"base_model": "x", "learning_rate": 0.3, key: other}
    assert "rate-extreme" not in {f.id for f in advise(config, model=None)}
