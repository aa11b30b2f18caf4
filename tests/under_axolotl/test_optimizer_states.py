"""Planned states of optimizers that only Axolotl has against those that they make."""

from __future__ import annotations

import torch

from axolotl_sftguide import plan_memory

MODEL = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 512,
}


def test_muon_has_one_state_for_matrices_and_two_for_tables() -> None:
    from axolotl.contribs.mit.muon import MuonOptimizerFactory
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**MODEL))
    model = model.to(torch.bfloat16)
    trained = MuonOptimizerFactory()(model, None, lr=1e-3, weight_decay=0.0)
    tokens = torch.arange(8)[None]
    model(input_ids=tokens, labels=tokens).loss.backward()
    trained.step()
    held = sum(
        tensor.nbytes
        for state in trained.state.values()
        for tensor in state.values()
        if isinstance(tensor, torch.Tensor)
    )
    asked = {"bf16": True, "sequence_len": 128, "optimizer": "muon"}
    parts = {part.name: part.size_bytes for part in plan_memory(asked, MODEL).parts}
    assert parts["optimizer"] == held
