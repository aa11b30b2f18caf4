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

import json
import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.train import setup_model_and_tokenizer
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def config(folder, **keys):
    """A config with a tiny random model and 256 rows of data."""
    words = ["<pad>", "</s>", *map(str, range(100))]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        chat_template="{% for m in messages %}{{ m['content'] }} </s> {% endfor %}",
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
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{i % 100} {i // 100} 7"},
                {"role": "assistant", "content": " ".join(["5"] * (1 + i % 9))},
            ]
        }
        for i in range(256)
    ]
    Path(folder, "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = Path(folder, "config.yml")
    path.write_text(
        yaml.safe_dump(
            {
                "base_model": str(folder),
                "datasets": [
                    {
                        "path": f"{folder}/rows.jsonl",
                        "ds_type": "json",
                        "type": "chat_template",
                    }
                ],
                "dataset_prepared_path": f"{folder}/prepared",
                "dataset_num_proc": 1,
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


def adapter(cfg):
    """All initial A matrices, as one sum that shows a difference."""
    model, *_ = setup_model_and_tokenizer(cfg)
    return sum(
        float(value.double().abs().sum())
        for name, value in model.named_parameters()
        if "lora_A" in name
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(
            folder, adapter="lora", lora_r=4, lora_alpha=8, lora_target_linear=True
        )
        first, second = adapter(cfg), adapter(cfg)
    print("expected: with seed 42, the same initial adapter twice")
    print(f"observed: sums of the absolute weights: {first:.6f} and {second:.6f}")
    sys.exit(0 if first != second else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
