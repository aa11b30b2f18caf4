"""What `check` calls refused, the installed Axolotl refuses; the rest it accepts."""

from __future__ import annotations

import copy
import json
import logging
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from finding_cases import OTHERS, REFUSED, Case, patched
from forked import Forked

from axolotl_sftguide import advise
from axolotl_sftguide.advice import RULES, Cost
from axolotl_sftguide.config.host_schema import host_schema
from axolotl_sftguide.hosts.axolotl_validation import refusal

GPU = {
    "bf16": True,
    "tf32": True,
    "fp8": True,
    "n_gpu": 1,
    "n_node": 1,
    "compute_capability": "sm_90",
}
NOT_HERE = {
    # Their remedies need packages or networks that are not here.
    "context-parallel-attention",
    "context-parallel-packing",
    "nemo-gym-parts",  # this one clones a repository
}
NOT_LOADED = {"foreign-plugin-key"}
"""Cases with a plugin that does not exist."""


def accepted(config: dict[str, Any], gpus: int = 1) -> bool:
    import torch
    from axolotl.integrations.base import PluginManager
    from axolotl.utils.config import prepare_plugins, validate_config
    from axolotl.utils.dict import DictDefault

    logging.disable(logging.WARNING)
    manager = PluginManager.get_instance()  # `axolotl.train` keeps this one
    manager.plugins.clear()
    cfg = DictDefault(copy.deepcopy(config))
    try:
        prepare_plugins(cfg)
        version = str(torch.__version__).partition("+")[0]
        validate_config(
            cfg,
            capabilities={**GPU, "n_gpu": gpus},
            env_capabilities={"torch_version": version},
        )
    except Exception:
        return False
    finally:
        logging.disable(logging.NOTSET)
        manager.plugins.clear()
    return True


@pytest.mark.parametrize("case", REFUSED, ids=[case.id for case in REFUSED])
def test_axolotl_refuses_it_and_accepts_the_remedy(case: Case) -> None:
    assert not accepted(patched(case.lines))
    if case.id not in NOT_HERE:
        assert accepted(patched(case.lines, case.remedy))


ON_GPUS = [
    Case(
        "grpo-generations-per-rank",
        "rl: grpo\ntrl: {num_generations: 16}",
        "gradient_accumulation_steps: 16",
    ),
    Case(
        "kernels-fsdp1",
        "lora_qkv_kernel: true\n"
        "fsdp_config: {transformer_layer_cls_to_wrap: LlamaDecoderLayer}",
        "fsdp_version: 2",
    ),
    Case(
        "preference-reentrant",
        "rl: dpo\nadapter: qlora\nload_in_4bit: true\n"
        "datasets: [{path: a, type: chatml.intel}]\n"
        "gradient_checkpointing_kwargs: {use_reentrant: true}",
        "gradient_checkpointing_kwargs: {use_reentrant: false}",
    ),
]


@pytest.mark.parametrize("case", ON_GPUS, ids=[case.id for case in ON_GPUS])
def test_on_two_gpus_both_refuse_it_and_accept_the_remedy(case: Case) -> None:
    wrong, right = patched(case.lines), patched(case.lines, case.remedy)
    assert case.id in {f.id for f in advise(wrong, ranks=2)}
    assert case.id not in {f.id for f in advise(right, ranks=2)}
    assert not accepted(wrong, gpus=2)
    assert accepted(right, gpus=2)


ACCEPTED = [
    case
    for case in OTHERS
    if RULES[case.id].cost != Cost.START and case.id not in NOT_LOADED
]


@pytest.mark.parametrize("case", ACCEPTED, ids=[case.id for case in ACCEPTED])
def test_axolotl_accepts_what_is_not_called_refused(case: Case) -> None:
    assert accepted(patched(case.lines))


MISTAKES = """
micro_batch_size: two
micro_batch_size: 1.5
num_epochs: two
num_epochs:
learning_rate: 2e-4x
learning_rate: fast
learning_rate: [1.0e-4]
sequence_len: 4k
sequence_len: 2048.5
sequence_len:
max_steps: 1k
warmup_steps: 0.1
warmup_ratio: ten percent
val_set_size: 5%
weight_decay: small
lora_r: sixteen
lora_r: 16.5
lora_alpha: 2x
lora_dropout: none
lora_target_modules: {q_proj: true}
lora_target_modules: ['q_proj(']
lora_modules_to_save: embed_tokens
load_in_4bit: 4
load_in_8bit: int8
bf16: bfloat16
fp16: auto
tf32: maybe
gradient_checkpointing: unsloth
gradient_checkpointing: 2
gradient_checkpointing_kwargs: false
chat_template: qwen33
chat_template: [chatml]
attn_implementation: flash
attn_implementation: flash_attn_2
attn_implementation: true
rl: ppo
rl: true
save_strategy: no
save_steps: each
save_total_limit: all
output_dir:
output_dir: 7
seed: random
datasets: rows.jsonl
datasets: []
datasets: [rows.jsonl]
datasets: {path: a, type: alpaca}
datasets: [{path: [a, b], type: alpaca}]
datasets: [{path: a, type: chat_template, train_on_eos: true}]
datasets: [{path: a, type: chat_template, roles_to_train: assistant}]
datasets: [{path: a, type: chat_template, chat_template: jinja}]
test_datasets: {path: a}
special_tokens: [pad]
special_tokens: {pad_token: 7}
tokens: <new>
plugins: {a: b}
fsdp: full_shard
fsdp_config: [full_shard]
fsdp_config: {state_dict_type: full}
deepspeed: [zero3.json]
excess_length_strategy: cut
hub_model_id: true
wandb_project: 7
logging_steps: often
eval_steps: often
dataloader_num_workers: many
neftune_noise_alpha: 0
save_safetensors: false
max_packed_sequence_len: 4096
rope_scaling: {type: linear}
unsloth_lora_mlp: true
torch_compile_mode: fastest
sample_packing: maybe
trl: grpo
peft: {loftq_config: 4}
early_stopping_patience: 3
max_grad_norm: one
"""


@pytest.mark.parametrize("line", MISTAKES.strip().splitlines())
def test_of_values_of_wrong_type_or_range_both_say_the_same(line: str) -> None:
    key = line.partition(":")[0]
    config = {**patched(), **yaml.safe_load(line)}
    found = advise(config)
    called = [f for f in found if f.cost == Cost.START and f.weight == 0]
    assert bool(called) == (not accepted(config)), [f.text for f in called]
    if called:
        assert any(f.path.split(".")[0] == key for f in called)


@pytest.mark.slow
def test_the_schema_is_what_the_script_reads_from_the_installed_version(
    forked: Forked, tmp_path: Path
) -> None:
    script = Path(__file__).parents[2] / "scripts" / "axolotl_schema.py"
    forked.run(script, "--out", tmp_path, log=tmp_path / "script.log")
    (made,) = tmp_path.glob("*.json")
    schema = host_schema()
    assert made.name == f"axolotl-{schema.version}.json"
    assert json.loads(made.read_text()) == schema.data


def test_the_hosts_own_validation_is_told_with_its_words(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump(patched("adapter: qlora")))
    found = refusal(path)
    assert found is not None
    assert "load_in_4bit" in found.message


def run_here(
    command: list[str], capsys: pytest.CaptureFixture[str], **_: Any
) -> subprocess.CompletedProcess[str]:
    """In the place of `subprocess.run`, whose child would import Axolotl again."""
    with pytest.MonkeyPatch.context() as process:
        process.setattr(sys, "path", sys.path)
        process.setattr(sys, "argv", command[2:])
        try:
            exec(command[2], {})
        finally:
            logging.disable(logging.NOTSET)
    return subprocess.CompletedProcess(command, 0, *capsys.readouterr())


def test_the_hosts_own_validation_accepts_what_it_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("subprocess.run", partial(run_here, capsys=capsys))
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump(patched()))
    assert refusal(path) is None
    path.write_text(yaml.safe_dump(patched("adapter: qlora")))
    assert refusal(path) is not None
