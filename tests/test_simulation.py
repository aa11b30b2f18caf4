"""Simulated steps, beside counted tensors and beside the plan's formulas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from counted_step import counted

from axolotl_sftguide.cli import main
from axolotl_sftguide.config.axolotl_keys import LORA_KERNELS
from axolotl_sftguide.errors import PlanError
from axolotl_sftguide.hosts.simulation import not_simulated, simulate
from axolotl_sftguide.planning import KNOWN, plan_memory

SMALL = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 500,
    "pad_token_id": 0,
}
ASKED: dict[str, Any] = {
    **dict.fromkeys(LORA_KERNELS, False),
    "bf16": True,
    "sequence_len": 256,
    "micro_batch_size": 1,
    "optimizer": "adamw_torch",
    "lora_r": 8,
    "lora_target_linear": True,
}
KINDS = "llama qwen2 qwen3 gemma2 gemma3_text phi3 olmo2 granite smollm3".split()


@pytest.mark.parametrize("again", [True, False], ids=["checkpointing", "kept"])
@pytest.mark.parametrize("adapter", ["lora", None])
@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_step_is_within_three_percent_of_counted_tensors(
    kind: str, adapter: str | None, again: bool
) -> None:
    model = {"model_type": kind, **SMALL}
    asked = {**ASKED, "adapter": adapter, "gradient_checkpointing": again}
    found = simulate(asked, model)
    gradients = found.optimizer_bytes // 2  # as large as each of Adam's two states
    step = found.step_bytes - found.weights_bytes - gradients
    assert step == pytest.approx(counted(model, asked), rel=0.03)


WITHOUT_CHECKPOINTING = {"bigcode/starcoder2-7b"}
"""Autocast takes LayerNorm in 16 bits on a CPU, and in 32 bits on a GPU."""

ONE_EACH = list({m["model_type"]: name for name, m in KNOWN.items()}.values())


def formula_and_simulation(name: str, **asked: Any) -> tuple[int, int]:
    config = {**ASKED, "base_model": name, "sequence_len": 2048, **asked}
    plan = plan_memory(config, KNOWN[name])
    size = {part.name: part.size_bytes for part in plan.parts}
    return plan.peak_bytes - size["context and slack"], simulate(
        config, KNOWN[name]
    ).peak_bytes


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if "smollm" in name.lower() else pytest.mark.slow)
        for name in ONE_EACH
    ],
)
@pytest.mark.parametrize(
    "asked",
    [
        {"adapter": "lora", "gradient_checkpointing": True},
        {"adapter": "lora", "gradient_checkpointing": False},
        {"adapter": "qlora", "load_in_4bit": True, "gradient_checkpointing": True},
        {"gradient_checkpointing": True},
    ],
    ids=["lora", "kept", "qlora", "full"],
)
def test_at_full_size_the_formulas_are_within_three_percent(
    name: str, asked: dict[str, Any]
) -> None:
    formula, simulated = formula_and_simulation(name, **asked)
    kept = name in WITHOUT_CHECKPOINTING and not asked["gradient_checkpointing"]
    assert formula == pytest.approx(simulated, rel=0.08 if kept else 0.03)


@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
def test_quantised_weights_have_their_size(bits: str) -> None:
    adapter = "qlora" if bits == "load_in_4bit" else "lora"
    asked = {"adapter": adapter, bits: True, "gradient_checkpointing": True}
    formula, simulated = formula_and_simulation("Qwen/Qwen3-0.6B-Base", **asked)
    assert formula == pytest.approx(simulated, rel=0.01)


@pytest.mark.parametrize("half", [True, False], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("again", [True, False], ids=["checkpointing", "kept"])
def test_eager_attention_is_planned_as_simulated(again: bool, half: bool) -> None:
    model = {"model_type": "llama", **SMALL}
    asked = {**ASKED, "attn_implementation": "eager", "sequence_len": 2048}
    asked |= {"adapter": "lora", "bf16": half, "gradient_checkpointing": again}
    plan = plan_memory(asked, model)
    size = {part.name: part.size_bytes for part in plan.parts}
    formula = plan.peak_bytes - size["context and slack"]
    assert formula == pytest.approx(simulate(asked, model).peak_bytes, rel=0.05)


EXPERTS = {
    "model_type": "qwen3_moe",
    "moe_intermediate_size": 96,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    **SMALL,
}


class TestOtherModels:
    @pytest.mark.parametrize(
        "model",
        [
            EXPERTS,
            {"model_type": "mixtral", "num_local_experts": 4, **SMALL},
            {"model_type": "gemma3", "text_config": SMALL, "vision_config": {}},
            {"model_type": "gpt_neox", **SMALL},
            {"model_type": "cohere2", **SMALL},
        ],
        ids=lambda model: model["model_type"],
    )
    def test_they_need_no_formula(self, model: dict[str, Any]) -> None:
        asked = {**ASKED, "adapter": "lora", "gradient_checkpointing": True}
        with pytest.raises(PlanError, match="pass --simulate"):
            plan_memory(asked, model)
        found = simulate(asked, model)
        assert found.step_bytes > found.weights_bytes > 0

    def test_a_model_that_cannot_be_simulated_is_one_line(self) -> None:
        with pytest.raises(PlanError, match="no such model"):
            simulate(ASKED, {"model_type": "nonesuch"})

    def test_the_command_takes_them(self, tmp_path: Path) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(EXPERTS))
        path = tmp_path / "mine.yml"
        config = {**ASKED, "base_model": str(folder), "adapter": "lora"}
        path.write_text(yaml.safe_dump(config))
        refused = CliRunner().invoke(main, ["plan", str(path)])
        assert refused.exit_code == 2
        assert "mixture of experts" in refused.output
        done = CliRunner().invoke(main, ["plan", "--simulate", str(path)])
        assert done.exit_code == 0, done.output
        assert "fits in 24.00 GiB (simulated)" in done.output


def test_what_is_not_simulated_is_named() -> None:
    assert not_simulated({**ASKED, "adapter": "lora"}) == []
    asked = {**ASKED, "activation_offloading": True, "deepspeed": "zero3.json"}
    assert not_simulated(asked) == ["activation_offloading", "deepspeed"]
