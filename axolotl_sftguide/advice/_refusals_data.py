"""Combinations of data, their preparation and chat templates that Axolotl refuses."""

from __future__ import annotations

from ._refusal import Refusal
from ._view import View

_VALIDATION = "utils/schemas/validation.py"


def _no_data(view: View) -> bool:
    given = [view.get("datasets"), view.get("pretraining_dataset")]
    made = [view.mix, view.get("nemo_gym_datasets")]  # a plugin makes them
    return all(each is None for each in (*given, *made))


def _templates_without_text(view: View) -> bool:
    return any(
        entry.get("chat_template") == "jinja" and not entry.get("chat_template_jinja")
        for _, entry in view.sources
    )


REFUSALS = (
    Refusal(
        "no-data",
        "datasets",
        f"{_VALIDATION}: check_dataset_or_pretraining_dataset",
        _no_data,
        "Neither datasets nor pretraining_dataset is set",
        "Set datasets: a list of entries with path and type",
    ),
    Refusal(
        "dataset-push-token",
        "push_dataset_to_hub",
        f"{_VALIDATION}: check_push_ds_auth",
        lambda v: (
            v.get("push_dataset_to_hub") and v.get("hf_use_auth_token") is not True
        ),
        "push_dataset_to_hub is set without hf_use_auth_token: true",
        "Set hf_use_auth_token: true to publish the prepared data; to publish the "
        "model, set hub_model_id instead",
    ),
    Refusal(
        "streaming-steps",
        "max_steps",
        f"{_VALIDATION}: check_streaming_w_max_steps",
        lambda v: (
            (v.get("streaming") or v.get("pretraining_dataset"))
            and not v.get("max_steps")
        ),
        "Streamed data have no length, and max_steps is not set",
        "Set max_steps",
    ),
    Refusal(
        "streaming-val-split",
        "val_set_size",
        f"{_VALIDATION}: check_streaming_w_val_set_size",
        lambda v: (
            (v.get("streaming") or v.get("pretraining_dataset"))
            and v.get("val_set_size")
        ),
        "val_set_size cannot split streamed data",
        "Remove val_set_size, and set test_datasets",
        remove=True,
    ),
    Refusal(
        "streaming-packing-many",
        "datasets",
        f"{_VALIDATION}: check_streaming_w_multiple_datasets",
        lambda v: v.get("streaming") and v.packed and len(v.get("datasets", ())) > 1,
        "Several streamed datasets cannot be packed",
        "Set sample_packing: false, or use one dataset",
    ),
    Refusal(
        "streaming-deduplication",
        "dataset_exact_deduplication",
        "utils/schemas/config.py: check_deduplication_with_streaming",
        lambda v: (
            v.get("dataset_exact_deduplication")
            and (v.get("streaming") or v.get("pretraining_dataset"))
        ),
        "dataset_exact_deduplication does not work with streamed data",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "deduplication-unprepared",
        "dataset_exact_deduplication",
        "utils/schemas/config.py: check_deduplication_with_skip_prepare",
        lambda v: (
            v.get("dataset_exact_deduplication") and v.get("skip_prepare_dataset")
        ),
        "dataset_exact_deduplication is part of the preparation that "
        "skip_prepare_dataset skips",
        "Remove one of them",
    ),
    Refusal(
        "pretraining-tokens-per-second",
        "include_tokens_per_second",
        f"{_VALIDATION}: pretrain_with_tps",
        lambda v: v.get("pretraining_dataset") and v.get("include_tokens_per_second"),
        "include_tokens_per_second does not work with pretraining_dataset",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "dataset-template-jinja",
        "datasets",
        "utils/schemas/datasets.py: check_chat_template_config",
        _templates_without_text,
        "chat_template: jinja in a dataset needs chat_template_jinja beside it",
        "Set chat_template_jinja to the template's text, or to the path of its file",
    ),
    Refusal(
        "template-jinja",
        "chat_template",
        f"{_VALIDATION}: check_chat_template_config",
        lambda v: (
            v.get("chat_template") == "jinja" and not v.get("chat_template_jinja")
        ),
        "chat_template: jinja needs chat_template_jinja",
        "Set chat_template_jinja to the template's text, or to the path of its file",
    ),
    Refusal(
        "packing-buffer-twice",
        "pretrain_multipack_buffer_size",
        f"{_VALIDATION}: check_multipack_buffer_size",
        lambda v: (
            v.get("pretrain_multipack_buffer_size")
            and v.get("streaming_multipack_buffer_size")
        ),
        "pretrain_multipack_buffer_size is the old name of "
        "streaming_multipack_buffer_size, and both are set",
        "Remove pretrain_multipack_buffer_size",
        remove=True,
    ),
)
