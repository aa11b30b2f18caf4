"""Prepared data are reused after their source or their order has changed.

Host: Axolotl
Versions: axolotl 0.19.0, datasets 4.8.4
Expected: other rows in a file, and the same files in another order without shuffling,
    are prepared anew.
Observed: the earlier copy is trained on, silently.
Cause: axolotl/utils/data/shared.py, lines 633 to 683: the hash that names the copy
    has the paths, sorted, but neither what the files contain nor their order, nor
    `seed`, `shuffle_merged_datasets` and `curriculum_sampling`.
Reported: not found for the order;
    https://github.com/axolotl-ai-cloud/axolotl/pull/1136 tells of edited files
"""

import json
import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets
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


def first_row(cfg):
    return load_datasets(cfg=cfg).train_dataset[0]["input_ids"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("a.jsonl", "b.jsonl")]
        config(folder)
        rows = Path(folder, "rows.jsonl").read_text().splitlines()
        files[0].write_text("\n".join(rows[:20]))
        files[1].write_text("\n".join(rows[100:120]))
        entries = [
            {"path": str(file), "ds_type": "json", "type": "chat_template"}
            for file in files
        ]
        keys = {"shuffle_merged_datasets": False, "val_set_size": 0}
        before = first_row(config(folder, datasets=entries, **keys))
        turned = first_row(config(folder, datasets=entries[::-1], **keys))
        files[0].write_text("\n".join(rows[200:220]))
        edited = first_row(config(folder, datasets=entries, **keys))
    print("expected: three different first rows")
    print(f"observed: a, b:         {before}")
    print(f"observed: b, a:         {turned}")
    print(f"observed: a edited, b:  {edited}")
    sys.exit(0 if before in (turned, edited) else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
