"""A tiny model and tiny data for the tests that drive the real hosts."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WORDS = "red blue green dog cat bird house tree sun moon eats sees likes runs".split()
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'assistant' %}{{ '<|assistant|>' }}"
    "{% generation %}{{ m['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ '<|' + m['role'] + '|>' + m['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def rows(count: int = 256, seed: int = 0) -> list[dict[str, Any]]:
    """Questions of two to nine words; the answer has them in reverse order."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        words = [draw.choice(WORDS) for _ in range(draw.randint(2, 9))]
        found.append(
            {
                "messages": [
                    {"role": "user", "content": " ".join(words)},
                    {"role": "assistant", "content": " ".join(reversed(words))},
                ]
            }
        )
    return found


def uneven_rows(count: int = 256, seed: int = 0) -> list[dict[str, Any]]:
    """Answers of one, two or thirty words, so that the two means differ."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        words = [draw.choice(WORDS) for _ in range(draw.choice([1, 2, 30]))]
        asked = f"{draw.choice(WORDS)} {draw.choice(WORDS)}"
        found.append(
            {
                "messages": [
                    {"role": "user", "content": asked},
                    {"role": "assistant", "content": " ".join(words)},
                ]
            }
        )
    return found


def write_rows(path: Path, messages: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in messages))
    return path


def make_base(folder: Path) -> Path:
    """A Llama of 30 thousand random parameters with a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = bytes_
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>"],
        initial_alphabet=bytes_.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 10, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=CHAT_TEMPLATE,
    )
    wrapped.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(wrapped),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=128,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
            tie_word_embeddings=True,
        )
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_adapter(base: Path, folder: Path) -> Path:
    """A saved LoRA adapter, so that two runs start from the same one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = LoraConfig(
            r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        model = get_peft_model(LlamaForCausalLM.from_pretrained(base), config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # zero as made: the first norm would say little
                torch.nn.init.normal_(parameter, std=0.02)
        model.save_pretrained(folder)
    return folder


NARROW = {
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "sliding_window": 256,
}
"""Wide enough for blocks of 64 quantised weights."""
_PER_LAYER = ("layer_types", "no_rope_layers", "max_window_layers")


def make_narrow(config: Mapping[str, Any], folder: Path) -> Path:
    """A model of some architecture with two narrow layers of random weights.

    Args:
        config: The `config.json` of a model with that architecture.
        folder: Where to save it, with the quickstart's tokenizer.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    quickstart = Path(__file__).parents[2] / "recipes" / "quickstart" / "base"
    tokenizer = AutoTokenizer.from_pretrained(quickstart)
    tokenizer.save_pretrained(folder)
    shape = {k: v for k, v in config.items() if k not in _PER_LAYER} | NARROW
    shape |= {f"{name}_token_id": None for name in ("bos", "eos", "pad")}
    shape |= {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**shape))
        model.save_pretrained(folder)
    return folder
