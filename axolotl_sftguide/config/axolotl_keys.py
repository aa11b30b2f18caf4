"""Keys of Axolotl's LoRA kernels. `host_schema` has all of its keys."""

LORA_KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")
"""Axolotl turns them on for adapters if none of them, nor the next, is set."""

LORA_EMBEDDING_KERNEL = "lora_embedding_kernel"
