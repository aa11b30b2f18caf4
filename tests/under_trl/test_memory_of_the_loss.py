"""TRL's chunked loss takes the memory that `plan --trainer trl` says."""

from __future__ import annotations

import pytest
import torch
from peak_memory import PeakMemory

from axolotl_sftguide import plan_memory


@pytest.mark.parametrize(("hidden", "words"), [(256, 8192), (2048, 8192)])
def test_the_planned_logits_are_within_five_percent(hidden: int, words: int) -> None:
    from trl.trainer import sft_trainer

    chunked = getattr(sft_trainer, "_chunked_cross_entropy_loss", None)
    if chunked is None:
        pytest.skip("this TRL has no chunked loss of its own")
    states = torch.randn(1, 512, hidden, dtype=torch.bfloat16, requires_grad=True)
    table = torch.randn(words, hidden, dtype=torch.bfloat16)
    labels = torch.randint(0, words, (1, 512))
    with PeakMemory(collect=True) as peak:
        peak.known([states, table, labels])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, *_ = chunked(states, table, 256, labels=labels)
        loss.backward()
    model = {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": words,
    }
    config = {
        "adapter": "lora",
        "lora_target_linear": True,
        "bf16": True,
        "sequence_len": 512,
        "micro_batch_size": 1,
        "loss_type": "chunked_nll",
    }
    made = plan_memory(config, model, trainer="trl")
    logits = next(part for part in made.parts if part.name == "logits")
    assert logits.size_bytes == pytest.approx(peak.peak, rel=0.05)
