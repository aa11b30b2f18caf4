"""Names of settings in older versions of Axolotl and in other tools.

Spelling alone gives harmful hints: `push_dataset_to_hub` for `push_to_hub` publishes
the data. So these come first; other hints are at an edit distance of two at most.
"""

from __future__ import annotations

RENAMED = {
    # transformers and TRL
    "per_device_train_batch_size": "micro_batch_size",
    "per_device_eval_batch_size": "eval_batch_size",
    "train_batch_size": "micro_batch_size",
    "num_train_epochs": "num_epochs",
    "lr_scheduler_type": "lr_scheduler",
    "optim": "optimizer",
    "max_seq_length": "sequence_len",
    "max_seq_len": "sequence_len",
    "max_length": "sequence_len",
    "seq_length": "sequence_len",
    "seq_len": "sequence_len",
    "block_size": "sequence_len",
    "model_max_length": "sequence_len",
    "packing": "sample_packing",
    "model_name_or_path": "base_model",
    "model_name": "base_model",
    "model_id": "base_model",
    "model": "base_model",
    "dataset_kwargs": "datasets",
    "eval_dataset": "test_datasets",
    "eval_datasets": "test_datasets",
    "val_datasets": "test_datasets",
    "validation_datasets": "test_datasets",
    "gradient_clipping": "max_grad_norm",
    "clip_grad_norm": "max_grad_norm",
    "max_norm": "max_grad_norm",
    "adam_eps": "adam_epsilon",
    "run_name": "wandb_name",
    "wandb_run_name": "wandb_name",
    "lora_rank": "lora_r",
    "lora_target": "lora_target_modules",
    "target_modules": "lora_target_modules",
    "modules_to_save": "lora_modules_to_save",
    "use_dora": "peft_use_dora",
    "use_rslora": "peft_use_rslora",
    "init_lora_weights": "peft_init_lora_weights",
    "num_workers": "dataloader_num_workers",
    "max_prompt_length": "max_prompt_len",
    "use_liger_kernel": "liger_rms_norm",
    # LLaMA-Factory, Unsloth and others
    "cutoff_len": "sequence_len",
    "template": "chat_template",
    "val_size": "val_set_size",
    "val_split": "val_set_size",
    "test_size": "val_set_size",
    "evaluation_steps": "eval_steps",
    "checkpointing_steps": "save_steps",
    "random_seed": "seed",
    "random_state": "seed",
    "lr": "learning_rate",
    "epochs": "num_epochs",
    "max_epochs": "num_epochs",
    "n_epochs": "num_epochs",
    "warmup_proportion": "warmup_ratio",
    "gradient_accumulation": "gradient_accumulation_steps",
    "grad_accum_steps": "gradient_accumulation_steps",
    "accumulation_steps": "gradient_accumulation_steps",
    "early_stopping": "early_stopping_patience",
    "deepspeed_config": "deepspeed",
    "shuffle_dataset": "shuffle_merged_datasets",
    # older versions of Axolotl
    "saves_total_limit": "save_total_limit",
    "relora_steps": "jagged_restart_steps",
    "relora_warmup_steps": "jagged_restart_warmup_steps",
    "relora_anneal_steps": "jagged_restart_anneal_steps",
}
"""Keys at the top level, and Axolotl's name for each."""

SAME_VALUE = frozenset(
    """
    per_device_train_batch_size per_device_eval_batch_size num_train_epochs
    lr_scheduler_type max_seq_length max_seq_len seq_length seq_len cutoff_len
    model_name_or_path adam_eps lora_rank saves_total_limit use_dora use_rslora
    relora_steps relora_warmup_steps relora_anneal_steps random_seed lr epochs
    max_epochs warmup_proportion grad_accum_steps gradient_accumulation
    eval_datasets val_datasets validation_datasets packing wandb_run_name
    """.split()
)
"""Those that take the same values under both names, so that a rename is certain."""

FOREIGN = {
    "push_to_hub": "Set hub_model_id: OWNER/NAME to upload the model",
    "hub_private_repo": "Remove it: Axolotl always uploads to a private repository",
    "hub_token": "Remove it, and log in with `hf auth login`",
    "report_to": "Set use_wandb, use_mlflow, use_tensorboard or use_trackio: true",
    "finetuning_type": "Set adapter: lora, or leave adapter out to train all weights",
    "full_finetune": "Remove it: without adapter Axolotl trains all weights",
    "full_finetuning": "Remove it: without adapter Axolotl trains all weights",
    "stage": "Set rl for preference training, or leave it out for SFT",
    "use_peft": "Set adapter: lora",
    "peft_config": "Set adapter and the lora_* keys",
    "quantization_bit": "Set load_in_4bit: true or load_in_8bit: true",
    "dataset": "Set datasets: a list of entries with path and type",
    "dataset_name": "Set datasets: a list of entries with path and type",
    "dataset_path": "Set datasets: a list of entries with path and type",
    "train_file": "Set datasets: a list of entries with path and type",
    "prompt_style": "Set type in each entry of datasets",
    "dataset_text_field": "Set field in the entry of datasets",
    "use_flash_attention_2": "Set attn_implementation: flash_attention_2",
    "use_flash_attn": "Set attn_implementation: flash_attention_2",
    "flash_attn": "Set attn_implementation: flash_attention_2",
    "torch_dtype": "Set bf16: true or fp16: true",
    "dtype": "Set bf16: true or fp16: true",
    "mixed_precision": "Set bf16: true or fp16: true",
    "data_seed": "Remove it: seed also orders the data",
    "eta_min": "Set cosine_min_lr_ratio to eta_min / learning_rate",
    "min_lr": "Set cosine_min_lr_ratio to min_lr / learning_rate",
    "eos_token": "Set special_tokens.eos_token",
    "bos_token": "Set special_tokens.bos_token",
    "pad_token": "Set special_tokens.pad_token",
    "unk_token": "Set special_tokens.unk_token",
    "debug": "Remove it: `axolotl preprocess --debug` shows the tokens of some rows",
    "lora_bias": "Remove it: Axolotl trains no biases in adapters",
    "beta": "Set rl_beta",
    "rl_adapter_ref_model": "Remove it: the reference is the model without its adapter",
    "gptq_disable_exllama": "Remove it",
    "assistant_only_loss": "Remove it: type: chat_template trains on answers alone",
    "completion_only_loss": "Remove it: train_on_inputs: false is the default",
}
"""Keys at the top level without one key of Axolotl for them, and what to write."""

_OF_ENTRIES = (
    "path type split data_files ds_type field_messages message_property_mappings "
    "field_system roles roles_to_train train_on_eos train_on_eot conversation "
    "message_field_role message_field_content field_human field_model"
)
FOREIGN |= {
    key: f"Move {key} into the entry of datasets" for key in _OF_ENTRIES.split()
}

OF_DATASETS = {
    "train_on_split": "Set split instead",
    "subset": "Set name instead",
    "config_name": "Set name instead",
    "dataset_path": "Set path instead",
    "data_file": "Set data_files instead",
    "files": "Set data_files instead",
    "format": "Set type instead",
    "text_column": "Set field instead",
    "messages_column": "Set field_messages instead",
    "field_prompt": "Set type: {field_instruction: ..., field_output: ...}",
    "field_response": "Set type: {field_instruction: ..., field_output: ...}",
    "field_instruction": "Move it into type: {field_instruction: ...}",
    "field_output": "Move it into type: {field_output: ...}",
    "field_input": "Move it into type: {field_input: ...}",
    "field_system": "Move it into type: {field_system: ...}",
    "max_samples": "Set split: train[:1000] for the first 1,000 rows",
    "num_samples": "Set split: train[:1000] for the first 1,000 rows",
    "train_on_inputs": "Move it to the top level",
    "weight": "Use sftguide.mix for shares and repeats",
    "share": "Use sftguide.mix for shares and repeats",
    "repeats": "Use sftguide.mix for shares and repeats",
    "ratio": "Use sftguide.mix for shares and repeats",
    "probability": "Use sftguide.mix for shares and repeats",
}
"""Keys of an entry of `datasets`."""

DATASET_RENAMES = {
    "train_on_split": "split",
    "subset": "name",
    "config_name": "name",
    "dataset_path": "path",
    "data_file": "data_files",
    "text_column": "field",
    "messages_column": "field_messages",
}
"""Those of them whose rename is certain."""

DATASET_TYPES = {
    "sharegpt": "chat_template",
    "chatml": "chat_template",
    "openai": "chat_template",
    "conversation": "chat_template",
    "conversations": "chat_template",
    "chat": "chat_template",
    "instruct": "alpaca",
    "text": "completion",
    "raw": "completion",
    "pretraining": "completion",
}
"""Values of a dataset's `type` in other tools, and Axolotl's."""
