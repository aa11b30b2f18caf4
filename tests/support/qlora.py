"""A QLoRA training as Axolotl is asked for it, for plans of its memory."""

QLORA = {
    "adapter": "qlora",
    "load_in_4bit": True,
    "lora_r": 16,
    "lora_target_linear": True,
    "bf16": True,
    "gradient_checkpointing": True,
    "plugins": [
        "axolotl.integrations.liger.LigerPlugin",
        "axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin",
    ],
    "cut_cross_entropy": False,
    "liger_fused_linear_cross_entropy": True,
    "optimizer": "paged_adamw_8bit",
    "sequence_len": 2048,
    "micro_batch_size": 1,
}
