"""QLoRA for real on a CPU under TRL: watched, stopped, resumed, merged, generating."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from four_bits import BASE, SKILLS, answer, quantised_layers

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace

pytest.importorskip("bitsandbytes")


def make_trainer(folder: Path, *callbacks: Any, **overrides: Any) -> Any:
    from datasets import load_dataset
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    torch.manual_seed(42)
    model = AutoModelForCausalLM.from_pretrained(
        BASE,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
        ),
    )
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    adapters = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear")
    settings = {
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "max_steps": 12,
        "max_length": 64,
        "learning_rate": 0.005,
        "lr_scheduler_type": "constant",
        "optim": "paged_adamw_8bit",
        "bf16": False,
        "use_cpu": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": [],
        "gradient_checkpointing": False,
        "assistant_only_loss": True,
        **overrides,
    }
    data = load_dataset(
        "json", data_files=str(SKILLS), split="train", cache_dir=str(folder / "hf")
    )
    return SFTTrainer(
        model=get_peft_model(model, adapters),
        args=SFTConfig(**settings),
        train_dataset=data.select(range(400)),
        processing_class=AutoTokenizer.from_pretrained(BASE),
        callbacks=list(callbacks),
    )


def test_it_is_watched_in_4_bits(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, GradientMonitorCallback())
    trainer.train()
    assert len(quantised_layers(trainer.model)) >= 4 * 7
    (path,) = find_traces(tmp_path / "out")
    steps = read_trace(path).observations
    assert [o.step for o in steps] == list(range(1, 13))
    assert all(o.measured and o.grad_norm > 0 for o in steps)
    assert RunHistory().runs()[0].status == "finished"


def test_it_is_stopped(tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path,
        GradientMonitorCallback(),
        EarlyTerminationCallback(non_finite={"steps": 3}),
        learning_rate=1e30,
        max_grad_norm=0.0,
        optim="adamw_torch",
        max_steps=40,
    )
    trainer.train()
    assert trainer.state.global_step < 40
    assert RunHistory().runs()[0].status == "terminated"


def test_a_resumed_run_continues_where_it_was_interrupted(tmp_path: Path) -> None:
    """TRL trains the adapters in bfloat16 and resumes them in float32."""
    saving = {"save_strategy": "steps", "save_steps": 6}
    whole = make_trainer(tmp_path / "a", GradientMonitorCallback(), **saving)
    whole.train()
    resumed = make_trainer(tmp_path / "a", GradientMonitorCallback(), **saving)
    resumed.train(resume_from_checkpoint=str(tmp_path / "a" / "out" / "checkpoint-6"))
    weights = dict(whole.model.named_parameters())
    for name, weight in resumed.model.named_parameters():
        if weight.requires_grad:
            other = weights[name].float()
            torch.testing.assert_close(weight.float(), other, rtol=0, atol=0.005)
    (path,) = find_traces(tmp_path / "a" / "out")
    assert [o.step for o in read_trace(path).observations] == list(range(1, 13))


def test_it_is_merged_and_generates(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trainer = make_trainer(tmp_path, GradientMonitorCallback(), max_steps=20)
    trainer.train()
    trainer.save_model(str(tmp_path / "adapter"))
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    before = {k: v.clone() for k, v in base.state_dict().items()}
    merged = PeftModel.from_pretrained(base, tmp_path / "adapter").merge_and_unload()
    changed = [
        k for k, v in merged.state_dict().items() if not torch.equal(v, before[k])
    ]
    assert len(changed) == 4 * 7
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    assert isinstance(answer(merged, tokenizer, "What is 1 + 1?"), str)
