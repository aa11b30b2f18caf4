"""A Python script for TRL: the same choices, with their reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..evidence.effective_batch import KEY as BATCH_SIZE
from ._author import Authored
from ._choice import Choice
from ._jinja import jinja_of
from ._model import OWN
from ._yaml import commented, header, scalar

_ARGUMENTS = {
    "output_dir": "output_dir",
    "seed": "seed",
    "sequence_len": "max_length",
    "sample_packing": "packing",
    "eval_sample_packing": "eval_packing",
    "micro_batch_size": "per_device_train_batch_size",
    "eval_batch_size": "per_device_eval_batch_size",
    "num_epochs": "num_train_epochs",
    "learning_rate": "learning_rate",
    "lr_scheduler": "lr_scheduler_type",
    "warmup_steps": "warmup_steps",
    "optimizer": "optim",
    "adam_beta1": "adam_beta1",
    "adam_beta2": "adam_beta2",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "logging_steps": "logging_steps",
    "save_total_limit": "save_total_limit",
    "loss_type": "loss_type",
    "gradient_checkpointing": "gradient_checkpointing",
    "deepspeed": "deepspeed",
}
"""The arguments of TRL's `SFTConfig` for Axolotl's keys."""


def as_script(made: Authored, path: str) -> str:
    """The config as the text of a Python script for TRL 1.9 or newer.

    Args:
        made: The config.
        path: Where the file will be, for the commands in its header.
    """
    lines = [*header(made, path), "", *_imports(made), ""]
    lines += [*_template(made), "", "", *_main(made)]
    return "\n".join(lines) + "\n"


def _imports(made: Authored) -> Iterator[str]:
    yield "import torch"
    yield "from datasets import load_dataset"
    if made.candidate.is_adapter:
        yield "from peft import LoraConfig"
    names = ["AutoTokenizer", "set_seed"]
    if made.candidate.training == "qlora":
        names.insert(1, "BitsAndBytesConfig")
    yield f"from transformers import {', '.join(names)}"
    yield "from trl import SFTConfig, SFTTrainer"
    yield "from trl.chat_template_utils import get_training_chat_template"
    yield ""
    yield "from axolotl_sftguide import mix, watch"


def _template(made: Authored) -> Iterator[str]:
    yield f"MODEL = {_quoted(made.model.name)}"
    yield "CUDA = torch.cuda.is_available()  # without it, a trial on the CPU"
    yield "DTYPE = torch.bfloat16 if CUDA else torch.float32"
    choice = made.choices.made["chat_template"]
    template = jinja_of(str(choice.value), _with_bos(made))
    if template is not None:
        yield ""
        yield f"# {choice.value}: {choice.reason}; `generation` marks what is trained."
        yield 'CHAT_TEMPLATE = r"""'
        yield from template.splitlines()
        yield '""".strip()'
    yield ""
    yield ""
    yield "def answers_are_marked(tokenizer):"
    yield '    """Whether TRL can tell the answers from the rest of this template."""'
    yield "    try:"
    yield "        get_training_chat_template(tokenizer)"
    yield "    except ValueError:"
    yield "        return False"
    yield "    return True"
    yield ""
    yield ""
    yield "def one_row_an_answer(rows):"
    yield '    """Each answer as a row, with what precedes it as its prompt."""'
    yield '    found = {"prompt": [], "completion": [], "tools": []}'
    yield '    tools = rows.get("tools") or [None] * len(rows["messages"])'
    yield '    for messages, own in zip(rows["messages"], tools):'
    yield "        for place, message in enumerate(messages):"
    yield '            if message["role"] == "assistant":'
    yield '                found["prompt"].append(messages[:place])'
    yield '                found["completion"].append([message])'
    yield '                found["tools"].append(own)'
    yield '    if "tools" not in rows:'
    yield '        del found["tools"]'
    yield "    return found"


def _with_bos(made: Authored) -> bool:
    return bool(made.choices.value("chat_template") != "chatml")


def _main(made: Authored) -> Iterator[str]:
    yield "def main():"
    body = [
        *_data(made),
        "",
        *_tokenizer(made),
        "",
        *_arguments(made),
        "",
        *_trainer(made),
    ]
    yield from (f"    {line}".rstrip() for line in body)
    yield ""
    yield ""
    yield 'if __name__ == "__main__":'
    yield "    main()"


def _data(made: Authored) -> Iterator[str]:
    choices = made.choices
    yield "# All sources as one dataset, without duplicates; see its manifest.json."
    yield "mixed = mix("
    yield "    {"
    for key in ("strategy", "held_out", "seed", "on_error"):
        choice = choices.made.get(f"sftguide.mix.{key}")
        if choice is not None:
            text = f'        "{key}": {_quoted(choice.value)},'
            yield from commented(text, choice.comment)
    yield '        "phases": ['
    yield "            {"
    yield '                "name": "data",'
    yield '                "datasets": ['
    for source in made.data.sources:
        yield f'                    {{"path": {_quoted(source.path)}}},'
    yield "                ],"
    yield "            }"
    yield "        ],"
    yield "    },"
    yield '    "outputs/prepared/mixes",'
    yield ")"
    yield 'kind = "parquet" if mixed.data.suffix == ".parquet" else "json"'
    files = '{"train": str(mixed.data)'
    if made.candidate.evaluates:
        files += ', "test": str(mixed.held_out)'
    yield f"data = load_dataset(kind, data_files={files}}})"


def _tokenizer(made: Authored) -> Iterator[str]:
    choices = made.choices
    yield "tokenizer = AutoTokenizer.from_pretrained(MODEL)"
    template = jinja_of(str(choices.value("chat_template")), _with_bos(made))
    if template is not None:
        yield "tokenizer.chat_template = CHAT_TEMPLATE"
    elif choices.value("chat_template") == OWN or not made.model.tuned:
        yield "# The chat template is the tokenizer's own."
    for key in ("eos_token", "pad_token"):
        choice = choices.made.get(f"special_tokens.{key}")
        if choice is not None:
            text = f"tokenizer.{key} = {_quoted(choice.value)}"
            yield from commented(text, choice.comment)
    if "special_tokens.pad_token" not in choices.made:
        yield "tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token"
    yield "marked = answers_are_marked(tokenizer)"
    yield "if not marked:"
    yield '    old = data["train"].column_names'
    yield "    data = data.map(one_row_an_answer, batched=True, remove_columns=old)"


def _arguments(made: Authored) -> Iterator[str]:
    yield "args = SFTConfig("
    lines: list[str] = []
    for key, name in _ARGUMENTS.items():
        choice = made.choices.made.get(key)
        if choice is not None:
            lines += commented(f"    {name}={_literal(choice)},", choice.comment)
        if key == "micro_batch_size":
            text = f"    gradient_accumulation_steps={made.accumulation},"
            batch = made.choices.made[BATCH_SIZE]
            why = f"{batch.comment}: {batch.value} samples"
            if made.request.gpus > 1:
                why += f" on {made.request.gpus} GPUs"
            lines += commented(text, why)
    lines += commented(
        "    assistant_only_loss=marked,",
        "otherwise each row is a prompt and its answer",
    )
    lines += ["    bf16=CUDA,", "    tf32=CUDA or None,"]
    yield from lines
    yield from _schedule(made)
    yield from _model_arguments(made)
    yield '    report_to="none",'
    yield ")"


def _literal(choice: Choice) -> str:
    value = choice.value
    if isinstance(value, float) and 0 < value < 1e-3:
        return scalar(value)
    return _quoted(value)


def _quoted(value: Any) -> str:
    """A value as Python code, text in double quotes."""
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _schedule(made: Authored) -> Iterator[str]:
    epochs = float(made.choices.value("num_epochs"))
    times = made.choices.value("evals_per_epoch", 1)
    if made.candidate.evaluates:
        why = made.choices.made.get("evals_per_epoch")
        comment = f"{times} an epoch" + (f": {why.reason}" if why else "")
        every = f"1 / {times * epochs:g}" if times * epochs > 1 else "0.99"
        yield '    eval_strategy="steps",'
        yield from commented(f"    eval_steps={every},", comment)
    saves = made.choices.value("saves_per_epoch", 1)
    every = f"1 / {saves * epochs:g}" if saves * epochs > 1 else "0.99"
    yield '    save_strategy="steps",'
    yield from commented(f"    save_steps={every},", f"{saves} an epoch")


def _model_arguments(made: Authored) -> Iterator[str]:
    yield "    model_init_kwargs={"
    yield '        "dtype": DTYPE,'
    yield '        "attn_implementation": "flash_attention_2" if CUDA else "sdpa",'
    yield "    },"
    if made.candidate.sharding == "fsdp":
        layer = made.choices.value("fsdp_config.transformer_layer_cls_to_wrap")
        offload = " offload" if made.candidate.offload else ""
        yield f'    fsdp="full_shard auto_wrap{offload}",'
        yield "    fsdp_config={"
        yield '        "version": 2,'
        yield f'        "transformer_layer_cls_to_wrap": ["{layer}"],'
        yield "    },"


def _trainer(made: Authored) -> Iterator[str]:
    choices = made.choices
    study = choices.value("sftguide.study")
    yield "set_seed(args.seed)  # before the adapter is made: TRL 1.9 does not seed it"
    yield "trainer = SFTTrainer("
    yield "    model=MODEL,"
    yield "    args=args,"
    yield '    train_dataset=data["train"],'
    if made.candidate.evaluates:
        yield '    eval_dataset=data["test"],'
    yield "    processing_class=tokenizer,"
    if made.candidate.training == "qlora":
        yield "    quantization_config=BitsAndBytesConfig("
        yield "        load_in_4bit=True,"
        yield '        bnb_4bit_quant_type="nf4",'
        yield "        bnb_4bit_use_double_quant=True,"
        yield "        bnb_4bit_compute_dtype=DTYPE,"
        yield "    ),"
    if made.candidate.is_adapter:
        yield "    peft_config=LoraConfig("
        yield '        task_type="CAUSAL_LM",'
        for key, name in (("lora_r", "r"), ("lora_alpha", "lora_alpha")):
            choice = choices.made[key]
            yield from commented(f"        {name}={choice.value},", choice.comment)
        target = choices.made["lora_target_linear"]
        text = '        target_modules="all-linear",'
        yield from commented(text, target.comment)
        yield "    ),"
    yield ")"
    noise = (
        ", noise_scale=True" if choices.value("sftguide.monitor.noise_scale") else ""
    )
    yield f'watch(trainer, study="{study}"{noise})'
    yield "trainer.train()"
    yield "trainer.save_model()"
