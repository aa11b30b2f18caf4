"""Keys of kernels, preference training, data and trackers that need another key."""

from __future__ import annotations

from ._finding import Weight
from ._need import Need
from ._view import View

AGAINST = Weight.AGAINST
_IGNORES = "Axolotl ignores it"


def _tracked(view: View, *keys: str) -> bool:
    return any(view.get(key) for key in keys)


NEEDS = (
    Need(
        ("torch_compile_backend", "torch_compile_mode"),
        lambda v: v.get("torch_compile"),
        "{key} is set, and torch_compile is not",
        "nothing is compiled",
        "Set torch_compile: true, or remove {key}",
    ),
    Need(
        ("flex_attn_compile_kwargs",),
        lambda v: v.attention == "flex_attention",
        "{key} is set, and attn_implementation is not flex_attention",
        _IGNORES,
        "Set attn_implementation: flex_attention, or remove {key}",
    ),
    Need(
        ("fsdp_version",),
        lambda v: v.fsdp_is_set or v.get("deepspeed"),
        "{key} is set, and fsdp_config is not",
        "each GPU holds the whole model",
        "Set fsdp_config, or remove {key}",
        AGAINST,
    ),
    Need(
        ("fp32_norm_classes",),
        lambda v: v.get("fp32_norms"),
        "{key} is set, and fp32_norms is not",
        _IGNORES,
        "Set fp32_norms: true, or remove {key}",
    ),
    Need(
        (
            "trl",
            "rl_beta",
            "dpo_beta",
            "orpo_alpha",
            "simpo_gamma",
            "cpo_alpha",
            "kto_desirable_weight",
            "kto_undesirable_weight",
            "dpo_label_smoothing",
            "dpo_use_weighting",
            "dpo_padding_free",
            "ebft",
        ),
        lambda v: v.get("rl"),
        "{key} is set, and rl is not",
        "Axolotl ignores it and runs a supervised fine-tuning",
        "Set rl, or remove {key}",
        AGAINST,
    ),
    Need(
        ("early_stopping_patience", "load_best_model_at_end"),
        lambda v: not v.get("rl"),
        "{key} is set, and is not read with rl",
        "the run goes on to its end, and its last weights are kept",
        "Remove {key}, and compare the checkpoints yourself",
        AGAINST,
    ),
    Need(
        (
            "loss_watchdog_threshold",
            "neftune_noise_alpha",
            "noisy_embedding_alpha",
            "metric_for_best_model",
            "eval_table_size",
            "do_bench_eval",
            "do_causal_lm_eval",
        ),
        lambda v: not v.get("rl"),
        "{key} is set, and is not read with rl",
        _IGNORES,
        "Remove {key}",
    ),
    Need(
        ("eval_table_size",),
        lambda v: _tracked(
            v,
            "wandb_project",
            "use_wandb",
            "mlflow_experiment_name",
            "use_mlflow",
            "comet_project_name",
            "use_comet",
        ),
        "{key} is set, and no tracker that shows tables is",
        "no predictions are made",
        "Set wandb_project, mlflow_experiment_name or comet_project_name",
    ),
    Need(
        ("bench_dataset",),
        lambda v: v.get("do_bench_eval"),
        "{key} is set, and do_bench_eval is not",
        _IGNORES,
        "Set do_bench_eval: true, or remove {key}",
    ),
    Need(
        ("eval_causal_lm_metrics",),
        lambda v: v.get("do_causal_lm_eval"),
        "{key} is set, and do_causal_lm_eval is not",
        "these metrics are not computed",
        "Set do_causal_lm_eval: true, or remove {key}",
    ),
    Need(
        ("mlflow_run_name", "mlflow_tracking_uri", "hf_mlflow_log_artifacts"),
        lambda v: _tracked(v, "mlflow_experiment_name", "use_mlflow"),
        "{key} is set, and neither mlflow_experiment_name nor use_mlflow is",
        "the run is not logged to MLflow",
        "Set mlflow_experiment_name, or remove {key}",
        AGAINST,
    ),
    Need(
        ("comet_workspace", "comet_mode", "comet_experiment_key"),
        lambda v: _tracked(v, "comet_project_name", "use_comet"),
        "{key} is set, and neither comet_project_name nor use_comet is",
        "the run is not logged to Comet",
        "Set comet_project_name, or remove {key}",
        AGAINST,
    ),
    Need(
        ("trackio_run_name", "trackio_space_id"),
        lambda v: _tracked(v, "trackio_project_name", "use_trackio"),
        "{key} is set, and neither trackio_project_name nor use_trackio is",
        "the run is not logged to Trackio",
        "Set trackio_project_name, or remove {key}",
        AGAINST,
    ),
    Need(
        ("sample_packing_group_size", "sample_packing_bin_size"),
        lambda v: v.packed,
        "{key} is set, and sample_packing is not",
        "no rows are packed",
        "Set sample_packing: true, or remove {key}",
    ),
    Need(
        ("pose_max_context_len", "pose_num_chunks", "pose_split_on_token_ids"),
        lambda v: v.get("use_pose"),
        "{key} is set, and use_pose is not",
        "positions are not changed",
        "Set use_pose: true, or remove {key}",
        AGAINST,
    ),
    Need(
        ("dataset_shard_num",),
        lambda v: v.config.get("dataset_shard_idx") is not None,
        "{key} is set, and dataset_shard_idx is not",
        "the run trains on all rows",
        "Set dataset_shard_idx: 0, or remove {key}",
        AGAINST,
    ),
    Need(
        ("tiled_mlp_num_shards",),
        lambda v: v.get("tiled_mlp"),
        "{key} is set, and tiled_mlp is not",
        _IGNORES,
        "Set tiled_mlp: true, or remove {key}",
    ),
    Need(
        ("chat_template_jinja",),
        lambda v: v.get("chat_template", "jinja") == "jinja",
        "{key} is set, and chat_template names another template",
        "Axolotl ignores it and uses the named one",
        "Set chat_template: jinja, or remove {key}",
        AGAINST,
    ),
    Need(
        ("fp16",),
        lambda v: v.config.get("bf16") not in (True, "full", "true"),
        "{key} is set with bf16",
        "Axolotl trains in bf16",
        "Remove {key}",
    ),
    Need(
        ("lr_div_factor", "preprocess_iterable", "fsdp_final_state_dict_type"),
        lambda v: False,
        "{key} is a key that Axolotl 0.19.0 reads nowhere",
        "it changes nothing",
        "Remove {key}",
    ),
)
