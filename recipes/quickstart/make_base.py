"""Make the quickstart's base model: a tokenizer and a small Llama that has read.

    python make_base.py --seed 42 --out base

Needs torch, transformers and tokenizers. The text is that of `make_data.py`; no
question and no chat is in it. The tokenizer is the same bytes for one seed; the
weights need not be, floating point differs between machines.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from make_data import Person, people, pretraining_text
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 1536
SPECIAL = ("<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

EPOCHS = 12
ROWS_PER_STEP = 32
TOKENS_PER_ROW = 128
PEAK_LEARNING_RATE = 4e-3
WARMUP_STEPS = 60

# Beginnings that the text knows, by attribute, to see what was learned of the facts.
BEGINNINGS = {
    "town": "{who} lives in",
    "craft": "{who} works as a",
    "instrument": "{who} plays the",
    "animal": "{who} keeps a",
}


def make_tokenizer(documents: Sequence[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer in which a digit is always a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    # A word is the same token at the start of a text and within it.
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    bos, eos, pad = SPECIAL[:3]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of less than a million parameters, with random weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        rope_theta=10_000.0,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def batches(
    documents: Sequence[Sequence[int]], epochs: int, seed: int
) -> Iterator[torch.Tensor]:
    """Rows of tokens cut from one stream, the documents in a new order each epoch.

    Yields:
        Token ids of shape `(ROWS_PER_STEP, TOKENS_PER_ROW)`.
    """
    order = list(range(len(documents)))
    draw = random.Random(seed)
    size = ROWS_PER_STEP * TOKENS_PER_ROW
    stream: list[int] = []
    for _ in range(epochs):
        draw.shuffle(order)
        for index in order:
            stream += documents[index]
            while len(stream) >= size:
                yield torch.tensor(stream[:size]).view(ROWS_PER_STEP, TOKENS_PER_ROW)
                stream = stream[size:]


def train(
    model: LlamaForCausalLM, documents: Sequence[Sequence[int]], epochs: int, seed: int
) -> None:
    """Next-token prediction with AdamW, linear warmup and cosine decay."""
    tokens = sum(map(len, documents)) * epochs
    steps = tokens // (ROWS_PER_STEP * TOKENS_PER_ROW)
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
    for step, ids in enumerate(batches(documents, epochs, seed), start=1):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 100 == 0 or step == steps:
            spent = time.monotonic() - started
            print(f"step {step}/{steps}  loss {loss.item():.3f}  {spent:.0f}s")


@torch.no_grad()
def facts_known(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, everyone: list[Person]
) -> float:
    """The share of facts whose sentence the model ends rightly, greedily."""
    model.eval()
    right = 0
    for person in everyone:
        for key, beginning in BEGINNINGS.items():
            text = beginning.format(who=person.name)
            ids = tokenizer(text, return_tensors="pt").input_ids
            ids = torch.cat([torch.tensor([[tokenizer.bos_token_id]]), ids], dim=1)
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=6,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
            said = tokenizer.decode(out[0, ids.shape[1] :]).strip()
            right += said.startswith(person.facts[key])
    return right / (len(everyone) * len(BEGINNINGS))


def main() -> None:
    """Make the base and say what it knows."""
    parser = argparse.ArgumentParser(description="Make the quickstart's base model.")
    parser.add_argument("--seed", type=int, default=42, help="of the valley's facts")
    parser.add_argument("--weights-seed", type=int, default=42)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()

    torch.manual_seed(args.weights_seed)
    text = pretraining_text(args.seed)
    tokenizer = make_tokenizer(text)
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    documents = [[bos, *tokenizer(line).input_ids, eos] for line in text]
    model = make_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, {sum(map(len, documents)):,} tokens")
    train(model, documents, args.epochs, args.weights_seed)
    known = facts_known(model, tokenizer, people(args.seed)[:100])
    print(f"facts known: {known:.3f} (chance 0.125)")
    model.to(torch.bfloat16).save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    main()
