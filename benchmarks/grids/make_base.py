"""Make the base of the grids: a tokenizer and a Llama that has read WordNet's nouns.

    python make_base.py --wordnet /usr/share/wordnet --seed 42 --out BASE

The text has a line for each noun: its definition, its kind (one of 26) and its word.
No verb, adjective or adverb is in it, and no question. Afterwards the base is asked for
the kinds of nouns that the text does not contain.

Needs torch, transformers and tokenizers. The tokenizer is the same bytes for one seed;
the weights may differ between machines.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from wordnet import Entry, asked, checksum, line_of, nouns

VOCABULARY = 4096
SPECIAL = ("<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>")
# A turn of the role `text` is a line of the base's text, which the answer continues, so
# that the same code scores chat and what the base knew before there was any chat.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'text' %}{{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %}"
    "{% if messages[0]['role'] != 'text' %}{{ '<|assistant|>' }}{% endif %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt and messages[0]['role'] != 'text' %}"
    "{{ '<|assistant|>' }}{% endif %}"
)

EPOCHS = 2
ROWS_PER_STEP = 16
TOKENS_PER_ROW = 128
PEAK_LEARNING_RATE = 3e-3
WARMUP_STEPS = 100
QUESTIONS = 2000


def make_tokenizer(lines: Sequence[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, in which a word is the same token everywhere."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    bos, eos, pad = SPECIAL[:3]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of five million parameters, with random weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=672,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def batches(
    lines: Sequence[list[int]], epochs: int, seed: int
) -> Iterator[torch.Tensor]:
    """Rows of tokens cut from one stream, the lines in a new order each epoch.

    Yields:
        Token ids of shape `(ROWS_PER_STEP, TOKENS_PER_ROW)`.
    """
    order = list(range(len(lines)))
    draw = random.Random(seed)
    size = ROWS_PER_STEP * TOKENS_PER_ROW
    stream: list[int] = []
    for _ in range(epochs):
        draw.shuffle(order)
        for index in order:
            stream += lines[index]
            while len(stream) >= size:
                yield torch.tensor(stream[:size]).view(ROWS_PER_STEP, TOKENS_PER_ROW)
                stream = stream[size:]


def train(
    model: LlamaForCausalLM, lines: Sequence[list[int]], epochs: int, seed: int
) -> None:
    """Next-token prediction with AdamW, in bf16 where that is exact enough."""
    steps = sum(map(len, lines)) * epochs // (ROWS_PER_STEP * TOKENS_PER_ROW)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, WARMUP_STEPS),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - WARMUP_STEPS),
        ],
        [WARMUP_STEPS],
    )
    model.train()
    started = time.monotonic()
    for step, ids in enumerate(batches(lines, epochs, seed), start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == steps:
            spent = time.monotonic() - started
            print(
                f"step {step}/{steps}  loss {loss.item():.3f}  {spent:.0f}s", flush=True
            )


@torch.no_grad()
def kinds_known(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, entries: list[Entry]
) -> float:
    """The share of definitions that the model continues greedily with their kind."""
    model.eval()
    right = 0
    for start in range(0, len(entries), 100):
        batch = entries[start : start + 100]
        prompts = [
            [tokenizer.bos_token_id, *tokenizer(asked(e)).input_ids] for e in batch
        ]
        width = max(map(len, prompts))
        pad = tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
        out = model.generate(
            input_ids=ids,
            attention_mask=(ids != pad).long(),
            max_new_tokens=4,
            do_sample=False,
            pad_token_id=pad,
        )
        said = tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)
        right += sum(
            s.partition(":")[0].strip() == e.kind
            for s, e in zip(said, batch, strict=True)
        )
    return right / len(entries)


def main() -> None:
    """Make the base and say what it knows."""
    parser = argparse.ArgumentParser(description="Make the base of the grids.")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    text, held_out = nouns(args.wordnet, args.seed)
    tokenizer = make_tokenizer([line_of(e) for e in text])
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    lines = [[bos, *tokenizer(line_of(e)).input_ids, eos] for e in text]
    model = make_model(tokenizer)
    tokens = sum(map(len, lines))
    size = model.num_parameters()
    print(f"{size:,} parameters, {len(lines):,} lines, {tokens:,} tokens")
    started = time.monotonic()
    train(model, lines, args.epochs, args.seed)
    minutes = (time.monotonic() - started) / 60
    questions = held_out[-QUESTIONS:]  # the scores of runs ask the first ones
    known = kinds_known(model, tokenizer, questions)
    _, most = collections.Counter(e.kind for e in questions).most_common(1)[0]
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    facts = {
        "parameters": model.num_parameters(),
        "lines": len(lines),
        "tokens_per_epoch": tokens,
        "epochs": args.epochs,
        "seed": args.seed,
        "minutes": round(minutes, 1),
        "held_out_questions": len(questions),
        "held_out_accuracy": known,
        "chance": 1 / len({e.kind for e in text}),
        "most_common_kind": most / len(questions),
        "sha256": {
            name: checksum(args.out / name)
            for name in ("model.safetensors", "tokenizer.json")
        },
        "wordnet_sha256": {"data.noun": checksum(args.wordnet / "data.noun")},
        "versions": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
        },
    }
    print(json.dumps(facts, indent=2))
    (args.out / "base.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
