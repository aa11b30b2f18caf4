"""Configs that are valid, and lines and files of YAML that lead a reader astray."""

from __future__ import annotations

BOMBS = {
    "laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
        for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
    ),
    "laughing keys": "a: &a {x: lol, y: lol}\n"
    + "".join(
        f"{b}: &{b} {{{', '.join(f'k{i}: *{a}' for i in range(9))}}}\n"
        for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    ),
    "merges": "a: &a {x: 1}\n"
    + "".join(
        f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n"
        for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    ),
    "itself": "datasets: &a [*a]\n",
    "itself below": "sftguide: &a {mix: *a}\n",
    "its own key": "&a ? *a : 1\n",
    "deep list": f"datasets: {'[' * 3000}{']' * 3000}\n",
    "deep mapping": "sftguide: " + "{a: " * 2000 + "1" + "}" * 2000 + "\n",
    "deep block": "".join(f"{' ' * i}a:\n" for i in range(600)) + " " * 600 + "b\n",
    "open": "datasets: " + "[" * 5000 + "\n",
    "many keys": "".join(f"key{i}: {i}\n" for i in range(300)),
    "many datasets": "datasets:\n" + "  - {path: x, type: alpaca}\n" * 400,
    "long": "base_model: " + "x" * 1_000_000 + "\n",
    "digits": "learning_rate: " + "9" * 400 + "\n",
    "more digits": "micro_batch_size: " + "9" * 5000 + "\n",
    "sixty": "sequence_len: " + ":".join(["59"] * 200) + "\n",
    "sixties": "learning_rate: " + ":".join(["59"] * 400) + ".5\n",
    "comments": "# sftguide: ignore[" * 5000 + "\n",
}

LINES = (
    "x: !!python/object/apply:os.system ['touch pwned']",
    "x: !!python/name:os.system",
    "x: !!python/object/new:os.system [touch pwned]",
    "x: !!python/module:antigravity",
    "learning_rate: !!float x",
    "learning_rate: !!int '1.5'",
    "micro_batch_size: !!int ''",
    "micro_batch_size: !!binary aGVsbG8=",
    "base_model: !!binary '@@@@'",
    "base_model: !!timestamp 2026-99-99",
    "base_model: 2026-11-31",
    "base_model: 0000-00-00",
    "base_model: 2026-11-26T99:99:99Z",
    "base_model: 2026-11-26T10:10:10+99:99",
    "datasets: !!set {a, b}",
    "datasets: !!omap [a: 1, b: 2]",
    "datasets: !!pairs [a: 1]",
    "datasets: !!omap x",
    "datasets: !unknown [1]",
    "datasets: !<tag:yaml.org,2002:str> x",
    "<<: [1, 2]",
    "<<: {a: 1}",
    "<<: x",
    "? [a, b]\n: 1",
    "? {a: b}\n: 1",
    "1: 2",
    "null: 1",
    "true: 1",
    "1.5: x",
    "2026-01-01: x",
    "lr: 1e-4\nlr: 2e-4",
    "base_model: a\nbase_model: b",
    "learning_rate: 1e-4",
    "learning_rate: .inf",
    "learning_rate: -.inf",
    "learning_rate: .nan",
    "learning_rate: 1e400",
    "learning_rate: 1_000",
    "learning_rate: 0x1p3",
    "micro_batch_size: 0o17",
    "micro_batch_size: 0b11",
    "micro_batch_size: 190:20:30",
    "micro_batch_size: 08",
    "micro_batch_size: +1",
    "num_epochs: 1e9",
    "warmup_steps: -5",
    "adapter: !!null x",
    'base_model: "\\ud800"',
    'base_model: "\\x1b[31m\\x07"',
    'base_model: "a\\0b"',
    'base_model: "\\U0001F600\\u202e"',
    "base_model: &a b\ntokenizer_config: *a",
    "base_model: *nowhere",
    "%YAML 9.9\n---\nbase_model: x",
    "---\na: 1\n---\nb: 2",
    "...",
    "base_model:\tx",
    "\tbase_model: x",
    "base_model: |\n  a\n b",
    "base_model: >-\n\n\n   x",
    "base_model: 'x",
    'base_model: "x',
    "datasets: [a, b",
    "datasets: {a: b",
    "datasets: - a",
    "@base: x",
    "`base: x",
    "base_model: [x]\n  y: z",
    "deepspeed: ''",
    "deepspeed: {zero_optimization: {stage: .nan}}",
    "fsdp_config: [1]",
    "plugins: {a: b}",
    "plugins: [1, null, [x]]",
    "special_tokens: [a]",
    "sftguide: [1]",
    "sftguide:",
    "datasets: x",
    "datasets: [[]]",
    "datasets: [{path: [1]}]",
    "datasets: [{path: {}}]",
    "test_datasets: 1",
    "val_set_size: .nan",
    "lora_target_modules: {a: 1}",
    "rl: [dpo]",
)


CONFIGS = {
    "sft": """\
base_model: NousResearch/Llama-3.2-1B
load_in_8bit: true
adapter: lora
lora_r: 32
lora_alpha: 16
lora_dropout: 0.05
lora_target_linear: true
datasets:
  - path: tatsu-lab/alpaca
    type: alpaca
    split: train[:10%]
  - path: data.jsonl
    ds_type: json
    type: chat_template
    field_messages: conversations
    message_property_mappings: {role: from, content: value}
    roles: {assistant: [gpt], user: [human]}
val_set_size: 0.05
sequence_len: 2048
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 3
optimizer: adamw_8bit
lr_scheduler: cosine
learning_rate: 0.0002
warmup_ratio: 0.1
gradient_checkpointing: true
flash_attention: true
deepspeed: deepspeed_configs/zero2.json
special_tokens: {pad_token: <|end_of_text|>}
output_dir: ./outputs/out
""",
    "dpo": """\
base_model: Qwen/Qwen2.5-0.5B-Instruct
chat_template: qwen_25
rl: dpo
datasets:
  - path: argilla/distilabel-intel-orca-dpo-pairs
    type: chatml.intel
    split: train
rl_beta: 0.1
learning_rate: 5.0e-6
micro_batch_size: 1
fsdp_version: 2
fsdp_config: {offload_params: true, auto_wrap_policy: TRANSFORMER_BASED_WRAP}
""",
    "pretraining": """\
base_model: HuggingFaceTB/SmolLM2-135M
pretraining_dataset:
  - {path: allenai/c4, name: en, type: pretrain}
max_steps: 1000
sample_packing: true
sequence_len: 4096
streaming: true
plugins: [axolotl.integrations.liger.LigerPlugin]
""",
}
