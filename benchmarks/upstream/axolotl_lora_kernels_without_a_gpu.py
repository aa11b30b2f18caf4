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
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def config(folder, **keys):
    """A config with a tiny random model."""
    words = ["<pad>", "</s>", *map(str, range(100))]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
    ).save_pretrained(folder)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=128,
            pad_token_id=0,
            eos_token_id=1,
        )
    ).save_pretrained(folder)
    path = Path(folder, "config.yml")
    path.write_text(
        yaml.safe_dump(
            {
                "base_model": str(folder),
                "datasets": [{"path": "rows.jsonl", "type": "chat_template"}],
                "output_dir": f"{folder}/out",
                "sequence_len": 64,
                "micro_batch_size": 2,
                "gradient_accumulation_steps": 1,
                "max_steps": 2,
                "learning_rate": 1e-3,
                "optimizer": "adamw_torch",
                "lr_scheduler": "constant",
                "seed": 42,
                "bf16": False,
                "fp16": False,
                "tf32": False,
                "attn_implementation": "sdpa",
                **dict.fromkeys(
                    (
                        "lora_qkv_kernel",
                        "lora_o_kernel",
                        "lora_mlp_kernel",
                        "lora_embedding_kernel",
                    ),
                    False,
                ),
                **keys,
            }
        )
    )
    return load_cfg(str(path))


def rows(count=64):
    """Tokenised samples of 4 to 12 tokens, as Axolotl prepares them."""
    ids = [[2 + (i + j) % 90 for j in range(4 + i % 9)] for i in range(count)]
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "labels": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            "position_ids": [list(range(len(row))) for row in ids],
            "length": [len(row) for row in ids],
        }
    )


def main():
    for kernels in (False, None):
        with tempfile.TemporaryDirectory() as folder:
            names = ("qkv", "o", "mlp", "embedding")
            cfg = config(
                folder,
                adapter="qlora",
                load_in_4bit=True,
                lora_r=4,
                lora_alpha=8,
                lora_target_linear=True,
                save_strategy="no",
                val_set_size=0,
                **{f"lora_{name}_kernel": kernels for name in names},
            )
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
