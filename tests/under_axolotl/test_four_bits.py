"""QLoRA for real on a CPU: watched, stopped, resumed, merged, and used to generate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from four_bits import BASE, SKILLS, answer, quantised_layers
from hosts import Outcome
from transformers import AutoModelForCausalLM, AutoTokenizer

QLORA = {
    "base_model": str(BASE),
    "datasets": [{"path": str(SKILLS), "ds_type": "json", "type": "chat_template"}],
    "adapter": "qlora",
    "load_in_4bit": True,
    "lora_r": 16,
    "lora_alpha": 32,
    "lora_target_linear": True,
    "optimizer": "paged_adamw_8bit",
    "learning_rate": 0.005,
    # Unset, as in a user's own config: the plugin leaves them off.
    "lora_qkv_kernel": None,
    "lora_o_kernel": None,
    "lora_mlp_kernel": None,
    "lora_embedding_kernel": None,
}


@pytest.fixture
def qlora(train_axolotl: Callable[..., Outcome], tmp_path: Path) -> Callable[..., Any]:
    def train(**overrides: Any) -> Outcome:
        prepared = str(tmp_path / "prepared")
        settings = {**QLORA, "dataset_prepared_path": prepared, **overrides}
        block = settings.pop("sftguide", {})
        return train_axolotl(sftguide={"seed_adapter": True, **block}, **settings)

    return train


def trained(outcome: Outcome) -> dict[str, list[float]]:
    """The adapters' weights, bit by bit; those in 4 bits stand still."""
    found = {k: v for k, v in outcome.weights.items() if "lora_" in k}
    assert len(found) == 4 * 7 * 2
    return {name: weight.flatten().tolist() for name, weight in found.items()}


def test_it_is_watched_in_4_bits_and_kernels_for_cuda_are_off(
    qlora: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = qlora(witness=True, sftguide={"monitor": {"noise_scale": True}})
    layers = quantised_layers(outcome.trainer.model)
    assert len([name for name in layers if "lora" not in name]) == 4 * 7
    assert outcome.run.status == "finished"
    norms = [o.grad_norm for o in outcome.trace.observations]
    assert norms == pytest.approx(outcome.witness.norms, rel=1e-5)
    assert len(norms) == 12
    said = capsys.readouterr().out
    assert "no CUDA device: turned off lora_mlp_kernel, lora_qkv_kernel" in said
    assert any(o.grad_noise is not None for o in outcome.trace.observations)


def test_watching_it_changes_no_weight(
    qlora: Callable[..., Outcome],
    train_axolotl: Callable[..., Outcome],
    tmp_path: Path,
) -> None:
    first = qlora(max_steps=2, output_dir=str(tmp_path / "adapter"))
    start = {"lora_model_dir": str(first.output_dir), "max_steps": 6}
    watched = qlora(**start, output_dir=str(tmp_path / "watched"))
    off = {key: False for key, value in QLORA.items() if value is None}
    unwatched = train_axolotl(
        **{**QLORA, **off, **start},
        plugins=[],
        dataset_prepared_path=str(tmp_path / "prepared"),
        output_dir=str(tmp_path / "unwatched"),
    )
    assert trained(watched) == trained(unwatched)


def test_it_is_stopped_with_its_reason(
    qlora: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = qlora(
        learning_rate=1e30,
        max_grad_norm=0.0,
        optimizer="adamw_torch",
        max_steps=40,
        sftguide={"early_termination": {"non_finite": {"steps": 3}}},
    )
    assert outcome.run.status == "terminated"
    assert outcome.trainer.state.global_step < 40
    assert "by non_finite" in capsys.readouterr().out


def test_a_resumed_one_ends_with_the_weights_of_one_that_was_not_interrupted(
    qlora: Callable[..., Outcome], tmp_path: Path
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 6}
    whole = qlora(output_dir=str(tmp_path / "whole"), **saving)
    first = qlora(output_dir=str(tmp_path / "first"), **saving)
    resumed = qlora(
        output_dir=str(tmp_path / "first"),
        resume_from_checkpoint=str(first.output_dir / "checkpoint-6"),
        **saving,
    )
    assert [o.step for o in resumed.trace.observations] == list(range(1, 13))
    assert trained(whole) == trained(resumed)


def test_it_is_merged_and_generates(
    qlora: Callable[..., Outcome],
    axolotl_config: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    import yaml
    from axolotl.cli.merge_lora import do_cli

    outcome = qlora(max_steps=30)
    path = tmp_path / "merge.yml"
    path.write_text(
        yaml.safe_dump(axolotl_config(**QLORA, sftguide={"seed_adapter": True}))
    )
    do_cli(config=str(path))
    merged = outcome.output_dir / "merged"
    model = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    changed = [
        name
        for name, weight in base.state_dict().items()
        if name.endswith("proj.weight")
        and not torch.equal(weight, model.state_dict()[name])
    ]
    assert len(changed) == 4 * 7
    assert not quantised_layers(model)
    said = answer(model, AutoTokenizer.from_pretrained(merged), "What is 1 + 1?")
    assert isinstance(said, str)
