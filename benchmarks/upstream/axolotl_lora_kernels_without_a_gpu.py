"""LoRA's kernels are switched on without a GPU, and end the run.

Host: Axolotl
Versions: axolotl 0.19.0, bitsandbytes 0.50.2
Expected: a QLoRA config that names no kernels trains on a CPU, as it does with the
    four `lora_*_kernel` keys set to false.
Observed: the kernels are on, and the first step ends in an error.
Cause: axolotl/utils/schemas/config.py, lines 1976 to 2083, does not ask whether there
    is a GPU; axolotl/kernels/quantize.py, line 49, asks torch for a CUDA stream.
Reported: not found
"""

import sys
import tempfile
from pathlib import Path

try:
    import bitsandbytes  # noqa: F401
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import TrainDatasetMeta
    from axolotl.train import train
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
import yaml
from datasets import Dataset
from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

CONFIG = """
adapter: qlora
load_in_4bit: true
lora_r: 4
lora_alpha: 8
lora_target_linear: true
micro_batch_size: 2
max_steps: 2
save_strategy: "no"
datasets: [{path: unused, type: alpaca}]
sequence_len: 64
gradient_accumulation_steps: 1
learning_rate: 0.001
bf16: false
fp16: false
tf32: false
attn_implementation: sdpa
"""


def config(folder, **keys):
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
    keys |= {"base_model": folder, "output_dir": f"{folder}/out"}
    path.write_text(CONFIG + yaml.safe_dump(keys))
    return load_cfg(str(path))


def rows():
    """Tokenised samples of 4 to 12 tokens, as Axolotl prepares them."""
    ids = [[2 + (i + j) % 90 for j in range(4 + i % 9)] for i in range(64)]
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "labels": ids,
            "attention_mask": [[1] * len(row) for row in ids],
        }
    )


def main():
    for kernels in (False, None):
        with tempfile.TemporaryDirectory() as folder:
            names = ("qkv", "o", "mlp", "embedding")
            cfg = config(folder, **{f"lora_{name}_kernel": kernels for name in names})
            try:
                train(cfg=cfg, dataset_meta=TrainDatasetMeta(rows(), rows(), 2))
                ended = "trained"
            except Exception as error:
                ended = f"{type(error).__name__}: {str(error)[:100]}"
        print(
            f"observed: lora_mlp_kernel {kernels}, then {cfg.lora_mlp_kernel}: {ended}"
        )
    print("expected: trained, twice")
    sys.exit(2 if ended == "trained" else 0)


if __name__ == "__main__":  # Axolotl starts processes
    main()
