"""Without `seed`, the data have another order at each preparation.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: an unset `seed` is 42, as Axolotl's own message says for an empty one, and
    as the trainer's is.
Observed: the rows are shuffled with the seed None. Two machines, or one after the
    prepared copy was removed, train in different orders under the trainer's seed of
    42.
Cause: axolotl/utils/schemas/validation.py, lines 31 to 37: pydantic calls a field
    validator for given values alone, so that `set_default_seed` does not see a
    missing key.
Reported: not found
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


def order():
    """The first rows of a new preparation, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(folder, val_set_size=0)
        return [row[:3] for row in load_datasets(cfg=cfg).train_dataset["input_ids"]]


def main():
    one, two = order(), order()
    print("expected: the same order twice")
    print(f"observed: {one[:4]}")
    print(f"observed: {two[:4]}")
    sys.exit(0 if one != two else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
