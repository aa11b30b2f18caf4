"""A packed evaluation ignores `eval_batch_size`.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: with `eval_batch_size: 1`, an evaluation holds one sequence at a time.
Observed: it holds `micro_batch_size` sequences, so that the logits of an evaluation
    need a multiple of the memory that was planned for.
Cause: axolotl/core/trainers/base.py, lines 158 to 167: the sampler of packed batches
    takes `per_device_train_batch_size`, for evaluations too.
Reported: not found; https://github.com/axolotl-ai-cloud/axolotl/issues/1813 (open)
    may be one
"""

import json
import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets
    from axolotl.train import setup_model_and_trainer
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


with tempfile.TemporaryDirectory() as folder:
    cfg = config(
        folder,
        sample_packing=True,
        eval_sample_packing=True,
        val_set_size=0.5,
        micro_batch_size=4,
        eval_batch_size=1,
        eval_steps=1,
    )
    trainer, *_ = setup_model_and_trainer(cfg, load_datasets(cfg=cfg))
    batch = next(iter(trainer.get_eval_dataloader()))
rows, tokens = batch["input_ids"].shape
print("expected: 1 sequence of 64 tokens")
print(
    f"observed: {rows} x {tokens} tokens; per_device_eval_batch_size is "
    f"{trainer.args.per_device_eval_batch_size}"
)
sys.exit(0 if rows * tokens > 64 else 2)
