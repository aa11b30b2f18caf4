"""A plugin's `post_train` is called twice.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: once after the training, as the docstring of `BasePlugin.post_train` says.
Observed: twice: when the trainer has ended, and again when the model is saved. What a
    plugin does there, such as an evaluation or an upload, happens twice.
Cause: axolotl/train.py, line 240 (in `execute_training`) and line 677 (in `train`).
Reported: not found
"""

import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import TrainDatasetMeta
    from axolotl.integrations.base import BasePlugin, PluginManager
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


class Counting(BasePlugin):
    calls = 0

    def post_train(self, cfg, model):
        Counting.calls += 1


def main():
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(folder, save_strategy="no", val_set_size=0)
        PluginManager.get_instance().plugins["counting"] = Counting()
        train(cfg=cfg, dataset_meta=TrainDatasetMeta(rows(), rows(), 2))
    print("expected: 1 call")
    print(f"observed: {Counting.calls} calls")
    sys.exit(0 if Counting.calls > 1 else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
