"""`load_best_model_at_end: true` is switched off without a message.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: a run that evaluates and saves at the same moments loads its best checkpoint
    at the end, as asked, or an error says why it cannot.
Observed: the option is false in the trainer, and the last model is kept: with
    `save_strategy: epoch` and `eval_strategy: epoch`, and with one save and ten
    evaluations per epoch.
Cause: axolotl/core/builders/causal.py, lines 248 to 260: `save_steps` and
    `eval_steps` must be set and divide. Strategies by epoch set neither, and
    fractions of the run are divided as floating-point numbers (1/2 % 1/20 is not 0).
Reported: not found; https://github.com/axolotl-ai-cloud/axolotl/issues/1286 (closed)
    was the same with `test_datasets`
"""

import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import TrainDatasetMeta
    from axolotl.train import setup_model_and_trainer
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


def loads_best(**cadence):
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(
            folder,
            load_best_model_at_end=True,
            val_set_size=0.1,
            num_epochs=2,
            max_steps=None,
            **cadence,
        )
        trainer, *_ = setup_model_and_trainer(cfg, TrainDatasetMeta(rows(), rows(), 2))
        return trainer.args.load_best_model_at_end


def main():
    print("expected: load_best_model_at_end is True in the trainer, or an error")
    off = 0
    for cadence in (
        {"save_strategy": "epoch", "eval_strategy": "epoch"},
        {"saves_per_epoch": 1, "evals_per_epoch": 10},
        {"save_steps": 20, "eval_steps": 10},
    ):
        found = loads_best(**cadence)
        print(f"observed: {cadence}: {found}")
        off += not found
    sys.exit(0 if off else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
