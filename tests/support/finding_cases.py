"""For each kind of finding a config that has it, and what its remedy says to write."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

BASE = """
base_model: meta-llama/Llama-3.1-8B
datasets: [{path: rows.jsonl, type: alpaca}]
adapter: lora
lora_r: 16
lora_alpha: 32
lora_target_linear: true
micro_batch_size: 2
gradient_accumulation_steps: 8
learning_rate: 2.0e-4
num_epochs: 2
warmup_steps: 10
optimizer: adamw_torch_fused
sequence_len: 2048
bf16: true
attn_implementation: flash_attention_2
gradient_checkpointing: true
seed: 42
output_dir: out
"""
LIGER = "axolotl.integrations.liger.LigerPlugin"
CUT = "axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin"
KERNELS = "axolotl.integrations.kernels.KernelsPlugin"
SWANLAB = "axolotl.integrations.swanlab.SwanLabPlugin"
FULL = "adapter: null\nlora_r: null\nlora_alpha: null\nlora_target_linear: null\n"
FULL += "learning_rate: 2.0e-5\n"
FSDP2 = "fsdp_version: 2\n"


class Case(NamedTuple):
    """A patch of the base with a finding, and a patch that follows the remedy."""

    id: str
    lines: str
    remedy: str


REFUSED = [
    Case("no-data", "datasets: null", "datasets: [{path: a, type: alpaca}]"),
    Case("dataset-push-token", "push_dataset_to_hub: me/x", "hf_use_auth_token: true"),
    Case(
        "two-evaluation-sets",
        "val_set_size: 0.1\ntest_datasets: [{path: b, type: alpaca}]\neval_steps: 9",
        "val_set_size: null",
    ),
    Case(
        "eval-table-packing",
        "sample_packing: true\neval_table_size: 5",
        "eval_sample_packing: false",
    ),
    Case(
        "batch-size-alone",
        "batch_size: 16\nmicro_batch_size: null\ngradient_accumulation_steps: null",
        "batch_size: null\nmicro_batch_size: 2\ngradient_accumulation_steps: 8",
    ),
    Case("batch-size-twice", "batch_size: 16", "batch_size: null"),
    Case("warmup-twice", "warmup_ratio: 0.1", "warmup_ratio: null"),
    Case(
        "save-strategy-steps",
        "save_strategy: epoch\nsave_steps: 100",
        "save_strategy: steps",
    ),
    Case("saves-twice", "saves_per_epoch: 2\nsave_steps: 100", "save_steps: null"),
    Case("save-best-metric", "save_strategy: best", "metric_for_best_model: eval_loss"),
    Case(
        "eval-strategy-steps",
        "val_set_size: 0.1\neval_strategy: epoch\neval_steps: 9",
        "eval_strategy: steps",
    ),
    Case(
        "eval-without-data",
        "val_set_size: 0\neval_steps: 100",
        "val_set_size: 0.05",
    ),
    Case(
        "evals-twice",
        "val_set_size: 0.1\neval_steps: 9\nevals_per_epoch: 2",
        "eval_steps: null",
    ),
    Case(
        "evals-per-epoch-strategy",
        "val_set_size: 0.1\nevals_per_epoch: 2\neval_strategy: epoch",
        "eval_strategy: null",
    ),
    Case("bench-eval-cadence", "do_bench_eval: true", "evals_per_epoch: 1"),
    Case(
        "causal-eval-packing",
        "do_causal_lm_eval: true\neval_sample_packing: true",
        "eval_sample_packing: false",
    ),
    Case(
        "early-stopping-steps",
        "val_set_size: 0.1\nearly_stopping_patience: 3\nevals_per_epoch: 4",
        "evals_per_epoch: null\neval_steps: 50\nsave_steps: 100",
    ),
    Case(
        "neftune-twice",
        "noisy_embedding_alpha: 5\nneftune_noise_alpha: 5",
        "noisy_embedding_alpha: null",
    ),
    Case(
        "flattening-packing",
        "batch_flattening: true\nsample_packing: true",
        "batch_flattening: null",
    ),
    Case(
        "flattening-attention",
        "batch_flattening: true\nattn_implementation: sdpa",
        "attn_implementation: flash_attention_2",
    ),
    Case("neftune-positive", "neftune_noise_alpha: -1", "neftune_noise_alpha: 5"),
    Case(
        "streaming-steps",
        "datasets: null\npretraining_dataset: [{path: a}]",
        "max_steps: 100",
    ),
    Case(
        "streaming-val-split",
        "streaming: true\nmax_steps: 100\nval_set_size: 0.1\neval_steps: 50",
        "val_set_size: null\neval_steps: null",
    ),
    Case(
        "streaming-packing-many",
        "streaming: true\nmax_steps: 100\nsample_packing: true\n"
        "datasets: [{path: a, type: alpaca}, {path: b, type: alpaca}]",
        "sample_packing: false",
    ),
    Case(
        "streaming-deduplication",
        "streaming: true\nmax_steps: 100\ndataset_exact_deduplication: true",
        "dataset_exact_deduplication: null",
    ),
    Case(
        "deduplication-unprepared",
        "dataset_exact_deduplication: true\nskip_prepare_dataset: true",
        "skip_prepare_dataset: false",
    ),
    Case(
        "pretraining-tokens-per-second",
        "datasets: null\npretraining_dataset: [{path: a}]\nmax_steps: 9\n"
        "warmup_steps: 2\ninclude_tokens_per_second: true",
        "include_tokens_per_second: null",
    ),
    Case("template-jinja", "chat_template: jinja", "chat_template_jinja: '{{ x }}'"),
    Case(
        "dataset-template-jinja",
        "datasets: [{path: a, type: chat_template, chat_template: jinja}]",
        "datasets: [{path: a, type: chat_template, chat_template: chatml}]",
    ),
    Case(
        "target-pattern",
        "lora_target_linear: null\nlora_target_modules: ['q_proj(', down_proj]",
        "lora_target_modules: [q_proj, down_proj]",
    ),
    Case(
        "quantised-without-adapter",
        f"{FULL}load_in_4bit: true",
        "adapter: qlora\nlora_target_linear: true",
    ),
    Case("qlora-4bit", "adapter: qlora", "load_in_4bit: true"),
    Case(
        "qlora-8bit",
        "adapter: qlora\nload_in_4bit: true\nload_in_8bit: true",
        "load_in_8bit: null",
    ),
    Case(
        "qlora-gptq", "adapter: qlora\nload_in_4bit: true\ngptq: true", "adapter: lora"
    ),
    Case(
        "target-parameters-dropout",
        "lora_target_parameters: [mlp.experts.down_proj]\nlora_dropout: 0.1",
        "lora_dropout: 0",
    ),
    Case(
        "lora-8bit-kernels",
        "load_in_8bit: true\nlora_mlp_kernel: true",
        "lora_mlp_kernel: false",
    ),
    Case(
        "kernels-remote-code",
        "trust_remote_code: true\nlora_o_kernel: true",
        "lora_o_kernel: false",
    ),
    Case("fused-mlp-adapter", "flash_attn_fuse_mlp: true", "flash_attn_fuse_mlp: null"),
    Case("onebit-adapter", "use_onebitllms: true", "use_onebitllms: null"),
    Case(
        "rate-groups-loraplus",
        "loraplus_lr_ratio: 16\nlr_groups: [{name: a, modules: [b], lr: 1.0e-5}]",
        "lr_groups: null",
    ),
    Case(
        "frozen-and-layers",
        "peft_layers_to_transform: [1]\nunfrozen_parameters: [lm_head]",
        "unfrozen_parameters: null",
    ),
    Case(
        "layers-pattern",
        "peft_layers_pattern: [layers]",
        "peft_layers_to_transform: [1, 2]",
    ),
    Case("attention-twice", "flash_attention: true", "flash_attention: null"),
    Case(
        "softmax-scaling-flex",
        "scaling_softmax: true",
        "attn_implementation: flex_attention",
    ),
    Case(
        "gemma4-hybrid-attention",
        "gemma4_hybrid_attn_impl: true\nattn_implementation: sdpa",
        "attn_implementation: flash_attention_2",
    ),
    Case(
        "fused-losses-many",
        f"plugins: [{LIGER}]\nliger_cross_entropy: true\n"
        "liger_fused_linear_cross_entropy: true",
        "liger_cross_entropy: null",
    ),
    Case(
        "cut-loss-precision",
        f"plugins: [{CUT}]\ncut_cross_entropy: true\nbf16: null",
        "bf16: true",
    ),
    Case(
        "cut-loss-chunked",
        f"plugins: [{CUT}]\nchunked_cross_entropy: true",
        "chunked_cross_entropy: null",
    ),
    Case(
        "liger-glu-twice",
        f"plugins: [{LIGER}]\nliger_swiglu: true\nliger_glu_activation: true",
        "liger_swiglu: null",
    ),
    Case(
        "liger-glu-tiled",
        f"plugins: [{LIGER}]\nliger_glu_activation: true\ntiled_mlp: true\n"
        "tiled_mlp_use_original_mlp: false",
        "tiled_mlp_use_original_mlp: true",
    ),
    Case(
        "liger-token-scaling",
        f"plugins: [{LIGER}]\nliger_use_token_scaling: true",
        "liger_fused_linear_cross_entropy: true",
    ),
    Case(
        "offloading-without-checkpointing",
        "activation_offloading: true\ngradient_checkpointing: null",
        "gradient_checkpointing: true",
    ),
    Case(
        "selective-without-checkpointing",
        "selective_checkpointing: true\ngradient_checkpointing: null",
        "gradient_checkpointing: true",
    ),
    Case(
        "selective-reentrant",
        "selective_checkpointing: true\n"
        "gradient_checkpointing_kwargs: {use_reentrant: true}",
        "gradient_checkpointing_kwargs: {use_reentrant: false}",
    ),
    Case(
        "selective-offloading",
        "selective_checkpointing: true\nactivation_offloading: legacy",
        "activation_offloading: hidden_states",
    ),
    Case(
        "unfrozen-reentrant",
        f"{FULL}unfrozen_parameters: [lm_head]\n"
        "gradient_checkpointing_kwargs: {use_reentrant: true}",
        "gradient_checkpointing_kwargs: {use_reentrant: false}",
    ),
    Case(
        "compile-options",
        "torch_compile_options: {shape_padding: true}",
        "torch_compile: true",
    ),
    Case(
        "better-transformer-amp",
        "flash_optimum: true",
        "flash_optimum: null\nattn_implementation: sdpa",
    ),
    Case(
        "gptq-revision",
        "gptq: true\nrevision_of_model: main",
        "revision_of_model: null",
    ),
    Case(
        "two-quantisations",
        "adapter: qlora\nload_in_4bit: true\nmodel_quantization_config: Mxfp4Config",
        "model_quantization_config: null",
    ),
    Case(
        "memory-limits-twice",
        "max_memory: {0: 20GiB}\ngpu_memory_limit: 20GiB",
        "max_memory: null",
    ),
    Case(
        "mpt-checkpointing",
        "base_model: mosaicml/mpt-7b",
        "gradient_checkpointing: false",
    ),
    Case(
        "moe-quantised-targets",
        "adapter: qlora\nload_in_4bit: true\nquantize_moe_experts: true",
        "lora_target_linear: null\nlora_target_parameters: [mlp.experts.down_proj]",
    ),
    Case(
        "moe-quantised-adapter",
        "quantize_moe_experts: true\nlora_target_linear: null\n"
        "lora_target_parameters: [mlp.experts.down_proj]",
        "adapter: qlora\nload_in_4bit: true",
    ),
    Case(
        "qat-quantised",
        "adapter: qlora\nload_in_4bit: true\nqat: {weight_dtype: int8}",
        "adapter: lora\nload_in_4bit: null",
    ),
    Case("per-layer-offload", "ple_cpu_offload: true", "ple_cpu_offload: null"),
    Case(
        "deepspeed-and-fsdp",
        "deepspeed: deepspeed_configs/zero3.json\nfsdp: [full_shard, auto_wrap]",
        "fsdp: null",
    ),
    Case(
        "fsdp2-4bit-loading",
        f"{FSDP2}adapter: qlora\nload_in_4bit: true\n"
        "fsdp_config: {cpu_ram_efficient_loading: true}",
        "fsdp_config: {cpu_ram_efficient_loading: false}",
    ),
    Case(
        "fsdp2-8bit-optimizer",
        f"{FSDP2}fsdp_config: {{reshard_after_forward: true}}\n"
        "optimizer: adamw_bnb_8bit",
        "optimizer: adamw_torch_8bit",
    ),
    Case(
        "fsdp1-offload-8bit-optimizer",
        "fsdp_config: {fsdp_offload_params: true}\noptimizer: adamw_bnb_8bit",
        "optimizer: adamw_torch_fused",
    ),
    Case(
        "fsdp-pin-memory",
        f"{FSDP2}fsdp_config: {{cpu_offload_pin_memory: false}}",
        "fsdp_config: {reshard_after_forward: true}",
    ),
    Case(
        "fsdp2-preference-quantised",
        f"{FSDP2}fsdp_config: {{reshard_after_forward: true}}\nrl: dpo\n"
        "datasets: [{path: a, type: chatml.intel}]\n"
        "adapter: qlora\nload_in_4bit: true",
        "fsdp_version: 1",
    ),
    Case(
        "fsdp-size-wrap",
        f"{FSDP2}fsdp_config: {{auto_wrap_policy: SIZE_BASED_WRAP}}",
        "fsdp_config: {auto_wrap_policy: SIZE_BASED_WRAP, min_num_params: 1000000}",
    ),
    Case(
        "fsdp-falcon", "base_model: tiiuae/falcon-7b\nfsdp: [full_shard]", "fsdp: null"
    ),
    Case("fp32-norms", "fp32_norms: true", "fp32_norms: null"),
    Case("fp8-config", "fp8_config: {recipe: tensorwise}", "fp8_config: null"),
    Case("deepcompile", "deepcompile: true", "deepcompile: null"),
    Case(
        "context-parallel-attention",
        "context_parallel_size: 2\nattn_implementation: sdpa",
        "attn_implementation: flash_attention_2",
    ),
    Case(
        "context-parallel-packing",
        "context_parallel_size: 2\nsample_packing: true",
        "micro_batch_size: 1",
    ),
    Case(
        "muon-parallel",
        f"{FULL}optimizer: muon\nfsdp_config: {{offload_params: true}}",
        "fsdp_version: 2",
    ),
    Case(
        "flash-optimizer-parallel",
        f"{FULL}optimizer: flash_adamw\nfsdp_config: {{offload_params: true}}",
        "fsdp_version: 2",
    ),
    Case(
        "polora-adapter",
        f"{FULL}optimizer: polora",
        "adapter: lora\nlora_target_linear: true",
    ),
    Case(
        "galore-adapter",
        "optimizer: q_galore_adamw8bit",
        "optimizer: adamw_torch_fused",
    ),
    Case("relora-restart", "relora: true", "jagged_restart_steps: 100"),
    Case(
        "relora-combination",
        "relora: true\njagged_restart_steps: 100\nlr_scheduler: one_cycle",
        "lr_scheduler: cosine",
    ),
    Case(
        "preference-packing",
        "rl: dpo\nsample_packing: true\ndatasets: [{path: a, type: chatml.intel}]",
        "sample_packing: false",
    ),
    Case(
        "kto-columns",
        "rl: kto\ndatasets: [{path: a, type: chatml.intel}]",
        "remove_unused_columns: false",
    ),
    Case(
        "kto-eval-packing",
        "rl: kto\ndatasets: [{path: a, type: chatml.intel}]\n"
        "remove_unused_columns: false\neval_sample_packing: true",
        "eval_sample_packing: null",
    ),
    Case("dpo-keys-elsewhere", "dpo_loss_type: [sigmoid]", "dpo_loss_type: null"),
    Case(
        "dpo-weights",
        "rl: dpo\ndatasets: [{path: a, type: chatml.intel}]\n"
        "dpo_loss_type: [sigmoid, sft]\ndpo_loss_weights: [1.0]",
        "dpo_loss_weights: [1.0, 0.5]",
    ),
    Case(
        "grpo-generations",
        "rl: grpo\ntrl: {num_generations: 3}",
        "gradient_accumulation_steps: 9",
    ),
    Case(
        "simpo-warmup",
        "rl: simpo\ndatasets: [{path: a, type: chatml.intel}]\n"
        "warmup_steps: null\nwarmup_ratio: 0.1",
        "warmup_ratio: null\nwarmup_steps: 10",
    ),
    Case("ebft-block", "rl: ebft\ndatasets: [{path: a}]", "ebft: {mode: structured}"),
    Case(
        "ebft-compile",
        "rl: ebft\ndatasets: [{path: a}]\nebft: {mode: strided}\ntorch_compile: true",
        "torch_compile: null",
    ),
    Case(
        "mxfp4-loading",
        "model_quantization_config: Mxfp4Config\n"
        f"{FSDP2}fsdp_config: {{cpu_ram_efficient_loading: true}}",
        "fsdp_config: {cpu_ram_efficient_loading: false}",
    ),
    Case("removed-key", "rpo_alpha: 1.0", "rpo_alpha: null"),
    Case(
        "sharegpt",
        "base_model: meta-llama/Llama-3.1-8B-Instruct\n"
        "datasets: [{path: a, type: sharegpt}]",
        "datasets: [{path: a, type: chat_template, field_messages: conversations, "
        "message_property_mappings: {role: from, content: value}}]",
    ),
    Case("bad-value", "sequence_len: 4k", "sequence_len: 4096"),
    Case(
        "plugin-class",
        "plugins: [axolotl.integrations.liger.LigerKernelPlugin]",
        f"plugins: [{LIGER}]",
    ),
    Case("required-key", "learning_rate: null", "learning_rate: 2.0e-4"),
    Case(
        "packing-buffer-twice",
        "datasets: null\npretraining_dataset: [{path: a}]\nmax_steps: 100\n"
        "pretrain_multipack_buffer_size: 50\nstreaming_multipack_buffer_size: 50",
        "pretrain_multipack_buffer_size: null",
    ),
    Case(
        "causal-eval-metrics",
        "val_set_size: 0.1\neval_steps: 9\neval_causal_lm_metrics: [rouge]",
        "eval_causal_lm_metrics: [chrf]",
    ),
    Case(
        "polora-parallel",
        "optimizer: polora\ndeepspeed: zero2.json",
        "deepspeed: null",
    ),
    Case(
        "polora-other-weights",
        "optimizer: polora\npeft_use_dora: true",
        "peft_use_dora: null",
    ),
    Case(
        "polora-rates",
        "optimizer: polora\nloraplus_lr_ratio: 16",
        "loraplus_lr_ratio: null",
    ),
    Case(
        "galore-orig-params",
        f"{FULL}{FSDP2}optimizer: q_galore_adamw8bit\n"
        "fsdp_config: {transformer_layer_cls_to_wrap: LlamaDecoderLayer}",
        "fsdp_config: {transformer_layer_cls_to_wrap: LlamaDecoderLayer, "
        "use_orig_params: true}",
    ),
    Case(
        "fp8-gather-fsdp2",
        "fp8: true\ntorch_compile: true\nfp8_enable_fsdp_float8_all_gather: true",
        "fp8_enable_fsdp_float8_all_gather: null",
    ),
    Case(
        "fp8-gather-recipe",
        f"{FSDP2}fp8: true\ntorch_compile: true\nfp8_config: {{recipe: rowwise}}\n"
        "fp8_enable_fsdp_float8_all_gather: true\n"
        "fsdp_config: {transformer_layer_cls_to_wrap: LlamaDecoderLayer}",
        "fp8_enable_fsdp_float8_all_gather: null",
    ),
    Case(
        "ebft-offloading",
        "rl: ebft\nebft: {mode: strided}\nattn_implementation: flex_attention\n"
        "activation_offloading: true",
        "activation_offloading: null",
    ),
    Case(
        "gdpo-aggregation",
        "rl: gdpo\ntrl: {multi_objective_aggregation: sum_then_normalize}",
        "trl: {multi_objective_aggregation: normalize_then_sum}",
    ),
    Case(
        "grpo-liger-context-parallel",
        "rl: grpo\ntrl: {use_liger_loss: true}\ncontext_parallel_size: 2",
        "context_parallel_size: null",
    ),
    Case(
        "dpo-liger-ipo",
        "rl: dpo\ndpo_loss_type: [ipo]\ndpo_use_liger_kernel: true\n"
        "datasets: [{path: a, type: chatml.intel}]",
        "dpo_use_liger_kernel: null",
    ),
    Case(
        "betas-differ",
        "rl: grpo\nbeta: 0.1\ntrl: {beta: 0.2}",
        "beta: null",
    ),
    Case(
        "qat-ternary",
        f"{FULL}qat: {{weight_dtype: ternary, activation_dtype: int4}}",
        "qat: {weight_dtype: ternary, activation_dtype: int8}",
    ),
    Case(
        "compile-option-unknown",
        "torch_compile: true\ntorch_compile_options: {max_autotune: true}",
        "torch_compile_options: {max_autotune_gemm: true}",
    ),
    Case(
        "processor-kwargs-reserved",
        "processor_type: AutoProcessor\nskip_prepare_dataset: true\n"
        "processor_kwargs: {trust_remote_code: true}",
        "processor_kwargs: null\ntrust_remote_code: true",
    ),
    Case(
        "mistral-common-tokenizer",
        "tokenizer_use_mistral_common: true\nspecial_tokens: {pad_token: <pad>}",
        "special_tokens: null",
    ),
    Case(
        "attention-of-later-transformers",
        "attn_implementation: flash_attention_torch",
        "attn_implementation: flash_attention_2",
    ),
    Case(
        "selective-matmul-adapter",
        "selective_checkpointing: {save: [attention, 'aten::mm']}",
        "selective_checkpointing: {save: [attention]}",
    ),
    Case(
        "liger-norm-tensor-parallel",
        f"plugins: [{LIGER}]\nliger_rms_norm: true\ntensor_parallel_size: 2",
        "liger_rms_norm: false",
    ),
    Case(
        "liger-loss-tensor-parallel",
        f"plugins: [{LIGER}]\nliger_fused_linear_cross_entropy: true\n"
        "tensor_parallel_size: 2",
        "liger_fused_linear_cross_entropy: null",
    ),
    Case(
        "expert-backends-many",
        f"plugins: [{KERNELS}]\nuse_scattermoe: true\nuse_sonicmoe: true",
        "use_sonicmoe: null",
    ),
    Case(
        "expert-backend-unknown",
        f"plugins: [{KERNELS}]\nexpert_backend: megablocks",
        "expert_backend: scattermoe",
    ),
    Case(
        "experts-grouped-backend",
        f"plugins: [{KERNELS}]\nmoe_grouped_backend: dequant",
        "moe_grouped_backend: null",
    ),
    Case(
        "experts-grouped-fp4",
        f"plugins: [{KERNELS}]\ndsv4_fp4_grouped_mode: fp8",
        "dsv4_fp4_grouped_mode: nvfp4",
    ),
    Case(
        "rest-of-experts-quantised",
        f"plugins: [{KERNELS}]\nnonexpert_quantization: int8",
        "nonexpert_quantization: null",
    ),
    Case(
        "nvfp4-merge-start",
        f"plugins: [{KERNELS}]\nnvfp4_merge_aware_start_step: 10",
        "nvfp4_merge_aware_start_step: null",
    ),
    Case(
        "nvfp4-merge",
        f"plugins: [{KERNELS}]\nnvfp4_merge_aware: true",
        "nvfp4_merge_aware: null",
    ),
    Case(
        "dsv4-attention-adapter",
        f"plugins: [{KERNELS}]\nuse_dsv4_kernels: true",
        "lora_target_linear: null\nlora_target_parameters: [mlp.experts.down_proj]",
    ),
    Case(
        "swanlab-project",
        f"plugins: [{SWANLAB}]\nuse_swanlab: true",
        "swanlab_project: mine",
    ),
    Case(
        "swanlab-mode",
        f"plugins: [{SWANLAB}]\nuse_swanlab: true\nswanlab_project: mine\n"
        "swanlab_mode: online",
        "swanlab_mode: cloud",
    ),
    Case(
        "spectrum-fsdp",
        "plugins: [axolotl.integrations.spectrum.SpectrumPlugin]\nfsdp: [full_shard]\n"
        "fsdp_config: {transformer_layer_cls_to_wrap: LlamaDecoderLayer}",
        "fsdp_config: {transformer_layer_cls_to_wrap: LlamaDecoderLayer, "
        "use_orig_params: true}",
    ),
    Case(
        "mask-ratios",
        "plugins: [axolotl.integrations.diffusion.DiffusionPlugin]\n"
        "diffusion: {min_mask_ratio: 0.95}",
        "diffusion: {min_mask_ratio: 0.05}",
    ),
    Case(
        "nemo-gym-parts",
        "plugins: [axolotl.integrations.nemo_gym.NemoGymPlugin]\nrl: grpo\n"
        "nemo_gym_enabled: true\nnemo_gym_config_paths: [a.yaml]",
        "nemo_gym_datasets: [{path: a.jsonl, server_name: s}]",
    ),
    Case(
        "expert-parallel-size",
        "plugins: [axolotl.integrations.expert_parallel.ExpertParallelPlugin]\n"
        "expert_parallel_size: 0",
        "expert_parallel_size: 1",
    ),
]
"""What Axolotl's own validation refuses; the tests under Axolotl ask it."""

INSTRUCT = "base_model: meta-llama/Llama-3.1-8B-Instruct\n"

OTHERS = [
    Case(
        "key-without-effect",
        "adapter: null\nlora_r: null\nlora_alpha: null\nlora_target_linear: null\n"
        "learning_rate: 2.0e-5\nloraplus_lr_ratio: 16",
        "loraplus_lr_ratio: null",
    ),
    Case(
        "experts-without-adapters",
        "base_model: Qwen/Qwen3-30B-A3B",
        "lora_target_parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj]",
    ),
    Case("trackio-pinned", "use_trackio: true", "use_trackio: null"),
    Case("beta2-small-batch", "adam_beta2: 0.95", "adam_beta2: 0.998"),
    Case(
        "patience-without-evaluation",
        "plugins: [axolotl_sftguide.SFTGuidePlugin]\n"
        "sftguide: {early_termination: {evaluation: {patience: 3}}}",
        "val_set_size: 0.05\neval_steps: 50",
    ),
    Case(
        "tools-unwritten",
        f"{INSTRUCT}chat_template: llama3\n"
        "datasets: [{path: a, type: chat_template, field_tools: tools}]",
        "chat_template: tokenizer_default",
    ),
    Case(
        "special-tokens-untrained",
        "special_tokens: {additional_special_tokens: ['<call>']}",
        "lora_modules_to_save: [embed_tokens, lm_head]",
    ),
    Case(
        "tokenizer-of-another",
        "tokenizer_config: Qwen/Qwen2.5-7B",
        "tokenizer_config: meta-llama/Llama-3.1-8B",
    ),
    Case(
        "pairs-swapped",
        "rl: dpo\ndatasets: [{path: a, type: "
        "{field_prompt: p, field_chosen: rejected, field_rejected: chosen}}]",
        "datasets: [{path: a, type: "
        "{field_prompt: p, field_chosen: chosen, field_rejected: rejected}}]",
    ),
    Case(
        "answers-alone",
        "datasets: [{path: a, type: completion, field: answer}]",
        "datasets: [{path: a, type: completion, field: text}]",
    ),
    Case(
        "first-shard-alone",
        "datasets: [{path: a, type: alpaca, shards: 10}]",
        "datasets: [{path: a, type: alpaca, preprocess_shards: 10}]",
    ),
    Case(
        "type-of-other-data",
        f"{INSTRUCT}datasets: [{{path: mlabonne/FineTome-100k, type: chat_template}}]",
        "datasets: [{path: mlabonne/FineTome-100k, type: chat_template, "
        "field_messages: conversations, "
        "message_property_mappings: {role: from, content: value}}]",
    ),
    Case(
        "split-absent",
        f"{INSTRUCT}datasets: "
        "[{path: HuggingFaceH4/ultrachat_200k, type: chat_template}]",
        "datasets: [{path: HuggingFaceH4/ultrachat_200k, type: chat_template, "
        "split: train_sft}]",
    ),
    Case("output-over-base", "base_model: ./base\noutput_dir: base", "output_dir: out"),
    Case(
        "highest-loss-is-best",
        "greater_is_better: true\nmetric_for_best_model: eval_loss",
        "greater_is_better: null",
    ),
    Case("random-weights", "reinit_weights: true", "reinit_weights: null"),
    Case(
        "gemma-float16",
        "base_model: google/gemma-2-9b\nbf16: false\nfp16: true",
        "bf16: true\nfp16: null",
    ),
    Case(
        "secret-in-clear",
        "comet_api_key: abcdef0123456789",
        "comet_api_key: null",
    ),
    Case(
        "watchdog-below-loss",
        "loss_watchdog_threshold: 0.5",
        "loss_watchdog_threshold: 5.0",
    ),
    Case(
        "held-out-few",
        "val_set_size: 5\nevals_per_epoch: 2",
        "val_set_size: 0.05",
    ),
    Case(
        "dataset-twice",
        "datasets: [{path: a, type: alpaca}, {path: a, type: alpaca}]",
        "datasets: [{path: a, type: alpaca}]",
    ),
    Case(
        "layers-beyond-model",
        f"{FULL}unfrozen_parameters: ['model\\.layers\\.(3[0-9])\\.', "
        "'model.layers.40.']",
        "unfrozen_parameters: ['model.layers.30.']",
    ),
    Case("rows-padded", "pad_to_sequence_len: true", "sample_packing: true"),
    Case("sequence-len-default", "sequence_len: null", "sequence_len: 2048"),
    Case("max-steps-and-epochs", "max_steps: 100", "max_steps: null"),
    Case(
        "held-out-all",
        "val_set_size: 1\nevals_per_epoch: 2",
        "val_set_size: 0.05",
    ),
    Case(
        "held-out-most",
        "val_set_size: 0.95\nevals_per_epoch: 2",
        "val_set_size: 0.05",
    ),
    Case(
        "evaluation-on-training-rows",
        "test_datasets: [{path: rows.jsonl, type: alpaca, split: train}]\n"
        "evals_per_epoch: 2",
        "test_datasets: [{path: rows.jsonl, type: alpaca, split: test}]",
    ),
    Case(
        "evaluation-after-run",
        "max_steps: 100\nnum_epochs: null\nval_set_size: 0.05\neval_steps: 500",
        "eval_steps: 25",
    ),
    Case(
        "checkpoint-after-run",
        "max_steps: 100\nnum_epochs: null\nsave_steps: 500",
        "save_steps: 25",
    ),
    Case(
        "warmup-most",
        "max_steps: 100\nnum_epochs: null\nwarmup_steps: null\nwarmup_ratio: 0.8",
        "warmup_ratio: 0.05",
    ),
    Case("flash-attention-float32", "bf16: false", "bf16: true"),
    Case("float16-weights", f"{FULL}bf16: false\nfp16: true", "bf16: true\nfp16: null"),
    Case(
        "format-field",
        "datasets: [{path: a, type: {field_output: b, format: '{prompt}: '}}]",
        "datasets: [{path: a, type: {field_output: b, format: '{instruction}: '}}]",
    ),
    Case(
        "format-without-prompt",
        "datasets: [{path: a, type: {field_output: b, format: 'Answer: '}}]",
        "datasets: [{path: a, type: {field_output: b, format: '{instruction} A: '}}]",
    ),
    Case(
        "roles-none",
        f"{INSTRUCT}datasets: [{{path: a, type: chat_template, roles_to_train: []}}]",
        "datasets: [{path: a, type: chat_template, roles_to_train: [assistant]}]",
    ),
    Case(
        "roles-without-assistant",
        f"{INSTRUCT}datasets: [{{path: a, type: chat_template, "
        "roles_to_train: [human]}]",
        "datasets: [{path: a, type: chat_template, roles_to_train: [gpt]}]",
    ),
    Case(
        "turn-end-off",
        f"{INSTRUCT}datasets: [{{path: a, type: chat_template, train_on_eos: none}}]",
        "datasets: [{path: a, type: chat_template, train_on_eos: turn}]",
    ),
    Case(
        "turn-end-untrained",
        "chat_template: llama3\ndatasets: [{path: a, type: chat_template}]",
        'eot_tokens: ["<|eot_id|>"]',
    ),
    Case(
        "template-missing",
        "datasets: [{path: a, type: chat_template}]",
        'chat_template: llama3\neot_tokens: ["<|eot_id|>"]',
    ),
    Case(
        "template-of-another",
        f"{INSTRUCT}chat_template: chatml\n"
        "datasets: [{path: a, type: chat_template}]",
        "chat_template: llama3",
    ),
    Case(
        "template-unused",
        "chat_template: llama3",
        "datasets: [{path: a, type: chat_template}]\neot_tokens: ['<|eot_id|>']",
    ),
    Case(
        "tokens-untrained",
        "tokens: ['<tool>']",
        "lora_modules_to_save: [embed_tokens, lm_head]",
    ),
    Case(
        "model-gguf",
        "base_model: TheBloke/Llama-2-7B-GGUF",
        "base_model: meta-llama/Llama-2-7b-hf",
    ),
    Case(
        "model-class",
        "model_type: MistralForCausalLM",
        "model_type: AutoModelForCausalLM",
    ),
    Case("unknown-key", "learning_rat: 1", "learning_rat: null"),
    Case(
        "unknown-nested-key",
        "special_tokens: {pad_tokn: x}",
        "special_tokens: {pad_token: x}",
    ),
    Case(
        "key-of-other-training",
        "rl: dpo\ndatasets: [{path: a, type: chat_template.default, "
        "message_property_mappings: {role: from, content: value}}]",
        "datasets: [{path: a, type: chat_template.default}]",
    ),
    Case(
        "schedule-arguments",
        "lr_scheduler: cosine\nlr_scheduler_kwargs: {min_lr: 1.0e-5}",
        "lr_scheduler: cosine_with_min_lr",
    ),
    Case("four-bits-ignored", "load_in_4bit: true", "adapter: qlora"),
    Case(
        "adapter-frozen",
        "unfrozen_parameters: ['model.layers.3[0-9]+.mlp']",
        "unfrozen_parameters: null",
    ),
    Case(
        "unfrozen-none",
        f"{FULL}unfrozen_parameters: ['layers.3[0-9]+.mlp', '^lm_head.weight$']",
        "unfrozen_parameters: ['model.layers.3[0-9]+.mlp', '^lm_head.weight$']",
    ),
    Case(
        "saved-modules-absent",
        "lora_modules_to_save: [embed_token, lm_head]",
        "lora_modules_to_save: [embed_tokens, lm_head]",
    ),
    Case(
        "highest-is-best",
        "val_set_size: 0.1\neval_steps: 10\nsave_steps: 10\n"
        "metric_for_best_model: eval_ter\ngreater_is_better: false",
        "metric_for_best_model: eval_loss",
    ),
    Case(
        "entry-key-unread",
        "datasets: [{path: a, type: alpaca, field_messages: conversations}]",
        f"{INSTRUCT}datasets: [{{path: a, type: chat_template, "
        "field_messages: conversations}]",
    ),
    Case("plugin-not-listed", "liger_rope: true", f"plugins: [{LIGER}]"),
    Case(
        "plugin-unknown",
        "plugins: [axolotl.integrations.ligerr.LigerPlugin]\nliger_rope: true",
        f"plugins: [{LIGER}]",
    ),
    Case("foreign-plugin-key", "plugins: [mine.Plugin]\nown: 1", "own: null"),
    Case("renamed-key", "num_train_epochs: 3", "num_train_epochs: null"),
    Case("value-not-in-set", "optimizer: adamw", "optimizer: adamw_torch"),
    Case(
        "dataset-type",
        "datasets: [{path: a, type: alpca}]",
        "datasets: [{path: a, type: alpaca}]",
    ),
    Case("number-out-of-range", "micro_batch_size: 0", "micro_batch_size: 1"),
    Case(
        "packing-without-separation",
        "sample_packing: true\nattn_implementation: null",
        "attn_implementation: flash_attention_2",
    ),
    Case("lora-without-adapter", "adapter: null", "adapter: lora"),
    Case(
        "reward-type",
        "reward_model: true\ndatasets: [{path: a, type: chat_template}]",
        "datasets: [{path: a, type: bradley_terry.chat_template}]",
    ),
    Case(
        "vision-packing",
        "processor_type: AutoProcessor\nsample_packing: true",
        "sample_packing: false",
    ),
    Case(
        "vision-prepared",
        "processor_type: AutoProcessor",
        "skip_prepare_dataset: true\nremove_unused_columns: false",
    ),
    Case("prequantised-without-adapter", FULL + "gptq: true", "gptq: null"),
    Case(
        "format-as-path",
        "datasets: [{path: json, data_files: a.jsonl, type: alpaca}]",
        "datasets: [{path: a.jsonl, ds_type: json, type: alpaca}]",
    ),
    Case(
        "ends-twice",
        f"{INSTRUCT}eot_tokens: [<|eot_id|>, <|eom_id|>]\n"
        "datasets: [{path: a, type: chat_template, train_on_eot: all}]",
        "datasets: [{path: a, type: chat_template}]",
    ),
    Case(
        "replicas-without-shards",
        "tensor_parallel_size: 2\ndp_replicate_size: 2",
        "dp_replicate_size: null",
    ),
    Case(
        "zero3-non-reentrant",
        "adapter: qlora\nload_in_4bit: true\ndeepspeed: zero3.json\n"
        "gradient_checkpointing_kwargs: {use_reentrant: false}",
        "gradient_checkpointing_kwargs: {use_reentrant: true}",
    ),
    Case("qat-adapter", "qat: {weight_dtype: int4}", FULL),
    Case(
        "two-losses",
        f"plugins: [{CUT}, {LIGER}]\nliger_fused_linear_cross_entropy: true",
        "liger_fused_linear_cross_entropy: null",
    ),
    Case("decay-adapter", "weight_decay: 0.5", "weight_decay: 0.01"),
    Case("fp8-without-compile", "fp8: true", "torch_compile: true"),
    Case(
        "adamc-constant",
        "optimizer: adamc\nlr_scheduler: constant\nwarmup_steps: null",
        "lr_scheduler: cosine",
    ),
    Case(
        "best-model-off",
        "load_best_model_at_end: true\nval_set_size: 0.1\nsave_strategy: epoch\n"
        "eval_strategy: epoch",
        "save_strategy: null\neval_strategy: null\neval_steps: 50\nsave_steps: 100",
    ),
    Case(
        "early-stopping-no-evaluation",
        "early_stopping_patience: 2\neval_steps: 50\nsave_steps: 100",
        "val_set_size: 0.05",
    ),
    Case("evaluation-without-data", "evals_per_epoch: 4", "val_set_size: 0.05"),
    Case("evaluation-without-cadence", "val_set_size: 0.05", "evals_per_epoch: 4"),
    Case(
        "evaluation-once",
        "val_set_size: 0.05\nevals_per_epoch: 1\nnum_epochs: 1",
        "evals_per_epoch: 2",
    ),
    Case(
        "constant-warmup",
        "lr_scheduler: constant",
        "lr_scheduler: constant_with_warmup",
    ),
    Case("warmup-exceeds-run", "max_steps: 10", "warmup_steps: 0"),
    Case(
        "resume-without-optimizer",
        "save_only_model: true\nresume_from_checkpoint: out/checkpoint-9",
        "save_only_model: false",
    ),
    Case(
        "checkpoints-deleted",
        "saves_per_epoch: 10",
        "save_total_limit: 20",
    ),
    Case(
        "hub-without-save",
        "hub_model_id: me/x\nsave_strategy: 'no'",
        "save_strategy: epoch",
    ),
    Case(
        "deepspeed-and-fsdp-config",
        "deepspeed: zero3.json\nfsdp_config: {offload_params: true}",
        "fsdp_config: null",
    ),
    Case(
        "deepspeed-own-scheduler",
        "deepspeed: {scheduler: {type: WarmupLR}}",
        "deepspeed: {zero_optimization: {stage: 2}}",
    ),
    Case(
        "layer-class",
        f"{FSDP2}fsdp_config: {{transformer_layer_cls_to_wrap: Qwen2DecoderLayer}}",
        "fsdp_config: {transformer_layer_cls_to_wrap: LlamaDecoderLayer}",
    ),
    Case(
        "targets-absent",
        "lora_target_linear: null\nlora_target_modules: [q_proj, down_proj, c_fc]",
        "lora_target_modules: [q_proj, down_proj]",
    ),
    Case("targets-missing", "lora_target_linear: null", "lora_target_linear: true"),
    Case(
        "targets-none",
        "lora_target_linear: null\nlora_target_modules: [c_attn, c_fc]",
        "lora_target_linear: true",
    ),
    Case("beyond-positions", "sequence_len: 200000", "sequence_len: 131072"),
    Case(
        "eval-batch-larger",
        "val_set_size: 0.1\neval_steps: 50\neval_batch_size: 16",
        "eval_batch_size: 2",
    ),
    Case(
        "eval-batch-ignored",
        "sample_packing: true\nval_set_size: 0.1\neval_steps: 50\neval_batch_size: 1",
        "eval_sample_packing: false",
    ),
    Case(
        "batch-size-ignored",
        "gradient_accumulation_steps: null\nbatch_size: 64",
        "batch_size: null\ngradient_accumulation_steps: 32",
    ),
    Case(
        "batch-size-of-block",
        "plugins: [axolotl_sftguide.SFTGuidePlugin]\n"
        "sftguide: {effective_batch_size: 16}",
        "gradient_accumulation_steps: null",
    ),
    Case(
        "packed-samples",
        "sample_packing: true",
        "gradient_accumulation_steps: null\n"
        "plugins: [axolotl_sftguide.SFTGuidePlugin]\n"
        "sftguide: {effective_batch_size: 16}",
    ),
    Case(
        "mean-of-means",
        "seed: 42",
        "plugins: [axolotl_sftguide.SFTGuidePlugin]\n"
        "sftguide: {exact_accumulation: true}",
    ),
    Case("warmup-one", "warmup_steps: 1", "warmup_steps: 0"),
    Case(
        "warmup-none",
        "warmup_steps: null\nwarmup_ratio: 0.01\nmax_steps: 50",
        "warmup_ratio: null\nwarmup_steps: 2",
    ),
    Case("warmup-default", "warmup_steps: null", "warmup_steps: 0"),
    Case("no-seed", "seed: null", "seed: 42"),
    Case(
        "unseeded-adapter",
        "seed: 42",
        "plugins: [axolotl_sftguide.SFTGuidePlugin]\nsftguide: {seed_adapter: true}",
    ),
    Case(
        "unshuffled-split",
        "val_set_size: 0.1\neval_steps: 50\nshuffle_merged_datasets: false",
        "val_set_size: null\neval_steps: null",
    ),
    Case(
        "kernels-on-cpu",
        "bf16: false\nattn_implementation: sdpa",
        "lora_mlp_kernel: false\nlora_qkv_kernel: false\nlora_o_kernel: false",
    ),
    Case(
        "fused-loss-unsupported",
        "base_model: ibm-granite/granite-4.1-8b-base\n"
        f"plugins: [{LIGER}]\nliger_fused_linear_cross_entropy: true",
        "liger_fused_linear_cross_entropy: null\nchunked_cross_entropy: true",
    ),
    Case("clipping-off", "max_grad_norm: 0", "max_grad_norm: 1.0"),
    Case(
        "watchdog-counts-logs",
        "loss_watchdog_threshold: 5\nlogging_steps: 10",
        "logging_steps: 1",
    ),
    Case(
        "deprecated-attention",
        "attn_implementation: null\nsdp_attention: true",
        "sdp_attention: null\nattn_implementation: sdpa",
    ),
    Case(
        "packing-sdpa-bf16",
        "sample_packing: true\nattn_implementation: sdpa",
        "attn_implementation: flash_attention_2",
    ),
    Case("trained-prompts", "train_on_inputs: true", "train_on_inputs: null"),
    Case("other-training", "rl: orpo", "rl: null"),
    Case(
        "own-block",
        "plugins: [axolotl_sftguide.SFTGuidePlugin]\nsftguide: {stdy: a}",
        "sftguide: {study: a}",
    ),
    Case("own-block-name", "sft_guide: {study: a}", "sft_guide: null"),
    Case(
        "own-plugin-missing",
        "sftguide: {study: a}",
        "plugins: [axolotl_sftguide.SFTGuidePlugin]",
    ),
    Case(
        "mix-and-datasets",
        f"{INSTRUCT}plugins: [axolotl_sftguide.SFTGuidePlugin]\n"
        "sftguide: {mix: {phases: [{name: a, datasets: [{path: x}]}]}}",
        "datasets: null",
    ),
    Case("rate-adapter-low", "learning_rate: 1.0e-6", "learning_rate: 2.0e-4"),
    Case("rate-adapter-high", "learning_rate: 5.0e-3", "learning_rate: 2.0e-4"),
    Case("rate-full-high", f"{FULL}learning_rate: 1.0e-3", "learning_rate: 2.0e-5"),
    Case("rate-extreme", "learning_rate: 1.0", "learning_rate: 2.0e-4"),
    Case(
        "batch-adapter-large",
        "gradient_accumulation_steps: 512",
        "gradient_accumulation_steps: 8",
    ),
    Case("epochs-many", "num_epochs: 12", "num_epochs: 2"),
    Case(
        "adapter-attention-only",
        "lora_target_linear: null\nlora_target_modules: [q_proj, v_proj]",
        "lora_target_linear: true",
    ),
    Case("adapter-scale", "lora_alpha: 512", "lora_alpha: 32"),
]
"""What Axolotl accepts."""

ELSEWHERE = {
    "batch-large-few-rows",  # these need the number of rows
    "batch-small-many-rows",
    "grpo-generations-per-rank",  # these need the number of GPUs
    "kernels-fsdp1",
    "preference-reentrant",
    "host-refuses",
    "key-twice",  # this needs the text
    "other-file",
    "placeholders",
    "unknown-ignore",
}
"""Kinds with tests of their own."""


def patched(*patches: str) -> dict[str, Any]:
    """The base with patches applied; null removes a key."""
    config: dict[str, Any] = yaml.safe_load(BASE)
    for patch in patches:
        for key, value in (yaml.safe_load(patch) or {}).items():
            if value is None:
                config.pop(key, None)
            else:
                config[key] = value
    return config
