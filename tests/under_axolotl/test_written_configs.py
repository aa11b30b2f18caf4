"""Configs of `sftguide new`: accepted by Axolotl, and trained on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from authored_cases import CASES, Case, write_form
from click.testing import CliRunner
from hosts import run_axolotl
from tiny import make_narrow

from axolotl_sftguide.authoring import as_yaml
from axolotl_sftguide.cli import main

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart" / "base"
"""Wide enough for blocks of 64 quantised weights."""

NEEDS_A_CARD = ("liger_", "fsdp_", "deepspeed", "special_tokens", "eot_tokens")


def for_a_cpu(config: dict[str, Any], folder: Path) -> Path:
    """The config without what needs a GPU, ended after two steps."""
    for key in [k for k in config if k.startswith(NEEDS_A_CARD)]:
        del config[key]
    config |= {
        "plugins": ["axolotl_sftguide.SFTGuidePlugin"],
        "bf16": False,
        "fp16": False,
        "tf32": False,
        "attn_implementation": "sdpa",
        "dataset_prepared_path": str(folder / "prepared"),
        "output_dir": str(folder / "out"),
        "max_steps": 2,
        "dataset_num_proc": 1,
    }
    path = folder / "small.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "adapter"),
    [
        ("sharegpt", "none"),
        ("messages", "lora"),
        ("alpaca", "qlora"),
        ("reasoning", "lora"),
        ("tools", "none"),
    ],
)
def test_each_form_is_written_checked_and_trained(
    form: str, adapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_form(tmp_path / "chats.jsonl", form, 400, words=4 if form == "tools" else 30)
    words = f"new --model {QUICKSTART} --data chats.jsonl --gpu-memory 8GiB"
    runner = CliRunner()
    written = runner.invoke(main, [*words.split(), "--adapter", adapter])
    assert written.exit_code == 0, written.output
    checked = runner.invoke(main, ["check", "my-run.yml", "--data", "--strict"])
    if form == "tools":  # this small tokenizer splits the mark of a tool's answer
        assert "<|tool|> is ordinary text" in checked.output
    else:
        assert checked.exit_code == 0, checked.output
    planned = runner.invoke(main, ["plan", "my-run.yml", "--gpu-memory", "8GiB"])
    assert planned.exit_code == 0, planned.output
    config = yaml.safe_load(Path("my-run.yml").read_text())
    outcome = run_axolotl(for_a_cpu(config, tmp_path))
    assert outcome.trainer.state.global_step == 2
    assert outcome.run.status == "finished"
    assert outcome.trainer.args.learning_rate == config["learning_rate"]
    wanted = config["sftguide"]["effective_batch_size"]
    seen = outcome.trace.observations[-1].samples_seen / 2
    assert seen == pytest.approx(wanted, rel=0.5)
    assert any("eval_loss" in log for log in outcome.trainer.state.log_history)


FAMILIES = (
    "llama-1b-8g",
    "mistral-7b-16g",
    "qwen-7b-full",
    "qwen-0.6b-8g",
    "gemma-2b-12g",
    "gemma-1b",
    "granite-8b-24g",
    "smollm-135m",
    "smollm-3b-2x24g",
    "unpacked",
)
"""Each architecture, full fine-tuning, LoRA and QLoRA."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name in FAMILIES], ids=lambda case: case.name
)
def test_a_config_made_small_trains(case: Case, tmp_path: Path) -> None:
    made = case.author()
    config = yaml.safe_load(as_yaml(made, "a.yml"))
    rows = write_form(tmp_path / "chats.jsonl", "messages", 900, words=60)
    config["sftguide"]["mix"]["phases"][0]["datasets"] = [{"path": str(rows)}]
    config["sftguide"]["mix"]["held_out"] = 0.1
    config |= {
        "base_model": str(make_narrow(made.model.config, tmp_path / "base")),
        "chat_template": "tokenizer_default",
        "sequence_len": 256,
    }
    if "effective_batch_size" in config["sftguide"] and not config["sample_packing"]:
        config["micro_batch_size"] = 2
    outcome = run_axolotl(for_a_cpu(config, tmp_path))
    assert outcome.trainer.model.config.model_type == made.model.model_type
    assert outcome.trainer.state.global_step == 2
    assert outcome.run.status == "finished"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_axolotl_accepts_it_and_knows_every_key(case: Case) -> None:
    from axolotl.cli.config import prepare_plugins
    from axolotl.integrations.base import PluginManager
    from axolotl.integrations.liger.args import LigerArgs
    from axolotl.utils.config import validate_config
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.config import AxolotlInputConfig

    written = yaml.safe_load(as_yaml(case.author(), "a.yml"))
    known = {*AxolotlInputConfig.model_fields, *LigerArgs.model_fields, "sftguide"}
    assert set(written) <= known
    PluginManager.get_instance().plugins.clear()
    cfg = DictDefault(written)
    prepare_plugins(cfg)
    cfg = validate_config(
        cfg,
        capabilities={
            "bf16": True,
            "fp8": False,
            "tf32": True,
            "n_gpu": case.gpus,
            "n_node": 1,
            "compute_capability": "sm_90" if case.gib >= 80 else "sm_86",
        },
        env_capabilities={"torch_version": "2.13.0"},
    )
    assert cfg.sftguide.study == case.name
    assert bool(cfg.test_datasets) == ("held_out" in written["sftguide"]["mix"])
