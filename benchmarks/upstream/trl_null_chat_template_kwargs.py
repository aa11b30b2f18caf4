"""A row without `chat_template_kwargs`, among rows that have them, ends the run.

Host: TRL
Versions: trl 1.9.0, datasets 4.8.4
Expected: a row whose `chat_template_kwargs` is null is rendered without such
    arguments.
Observed: TypeError: 'NoneType' object is not a mapping, while the data are prepared.
    `datasets` fills null into each row that lacks a column which other rows have, so
    two files that train alone cannot be trained together.
Cause: trl/trainer/sft_trainer.py, line 1463: `example.get("chat_template_kwargs",
    {})` has a default for a missing key, not for null.
Reported: not found; the line is in https://github.com/huggingface/trl/pull/6315
    (merged)
"""

import sys
import tempfile

try:
    from trl import SFTConfig, SFTTrainer
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

words = {"<pad>": 0, "</s>": 1, "hello": 2, "there": 3}
tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
turns = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "there"},
]
print("expected: both rows are prepared")
with tempfile.TemporaryDirectory() as folder:
    try:
        SFTTrainer(
            model=LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=4,
                    hidden_size=8,
                    intermediate_size=8,
                    num_hidden_layers=1,
                    num_attention_heads=1,
                )
            ),
            args=SFTConfig(output_dir=folder, bf16=False, use_cpu=True, report_to=[]),
            train_dataset=Dataset.from_list(
                [
                    {"messages": turns, "chat_template_kwargs": {"thinking": False}},
                    {"messages": turns},
                ]
            ),
            processing_class=PreTrainedTokenizerFast(
                tokenizer_object=tokenizer,
                pad_token="<pad>",
                eos_token="</s>",
                chat_template="{% for m in messages %}{{ m['content'] }} {% endfor %}",
            ),
        )
    except TypeError as error:
        print(f"observed: TypeError: {error}")
        sys.exit(0)
print("observed: both are prepared")
sys.exit(2)
