"""The adapter's initial weights do not depend on `seed`.

Host: Axolotl
Versions: axolotl 0.19.0, peft 0.20.0
Expected: the same config with the same `seed` starts from the same LoRA adapter.
Observed: it starts from another one each time: the losses of two runs differ from the
    first step on where B is not zero, and from the second on where it is.
Cause: axolotl/train.py, line 650: the model and its adapter are made by
    `setup_model_and_trainer` before transformers' Trainer calls `set_seed`, and
    nothing in axolotl/loaders seeds.
Reported: not found
"""

import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.train import setup_model_and_tokenizer
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

CONFIG = """
datasets: [{path: unused, type: alpaca}]
adapter: lora
lora_r: 4
lora_alpha: 8
lora_target_linear: true
lora_qkv_kernel: false
lora_o_kernel: false
lora_mlp_kernel: false
lora_embedding_kernel: false
sequence_len: 64
micro_batch_size: 2
gradient_accumulation_steps: 1
learning_rate: 0.001
seed: 42
bf16: false
fp16: false
tf32: false
attn_implementation: sdpa
"""


def config(folder):
    """The config above with a tiny random model."""
    ByT5Tokenizer().save_pretrained(folder)  # needs no files
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=384,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    ).save_pretrained(folder)
    path = Path(folder, "config.yml")
    path.write_text(f"{CONFIG}base_model: {folder}\noutput_dir: {folder}/out\n")
    return load_cfg(str(path))


def adapter(cfg):
    """All initial A matrices, as one sum that shows a difference."""
    model, *_ = setup_model_and_tokenizer(cfg)
    return sum(
        float(value.detach().double().abs().sum())
        for name, value in model.named_parameters()
        if "lora_A" in name
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(folder)
        first, second = adapter(cfg), adapter(cfg)
    print("expected: with seed 42, the same initial adapter twice")
    print(f"observed: sums of the absolute weights: {first:.6f} and {second:.6f}")
    sys.exit(0 if first != second else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
