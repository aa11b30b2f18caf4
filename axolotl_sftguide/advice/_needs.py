"""Keys that do nothing without another key."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.yaml_edits import Edit
from ._finding import Finding, Weight
from ._need import Need
from ._needs_of_training import NEEDS as OF_TRAINING
from ._needs_of_weights import NEEDS as OF_WEIGHTS
from ._view import View

AGAINST, NOTE = Weight.AGAINST, Weight.NOTE


_COSINE = ("cosine", "rex")
_NEEDS: tuple[Need, ...] = (
    Need(
        ("loraplus_lr_ratio", "peft_use_dora", "peft_use_rslora", "lora_model_dir"),
        lambda v: v.get("adapter") or v.bits,
        "{key} is set, and adapter is not",
        "Axolotl ignores it and trains all weights of the model",
        "Set adapter: lora, or remove {key}",
        AGAINST,
    ),
    Need(
        ("default_system_message",),
        lambda v: v.get("chat_template") == "chatml",
        "{key} is set, and chat_template is not chatml",
        "Axolotl ignores it",
        "Write the system message into the data, or remove {key}",
        AGAINST,
    ),
    Need(
        ("loss_watchdog_patience",),
        lambda v: v.get("loss_watchdog_threshold") is not None,
        "{key} is set, and loss_watchdog_threshold is not",
        "the loss watchdog is off",
        "Set loss_watchdog_threshold, or remove {key}",
        AGAINST,
    ),
    Need(
        ("cosine_min_lr_ratio",),
        lambda v: (
            v.get("lr_scheduler", "cosine") in _COSINE
            or v.get("jagged_restart_steps")
            or v.get("relora")
        ),
        "{key} is set, and lr_scheduler is not cosine",
        "the learning rate has no such minimum",
        "Set lr_scheduler: cosine, or remove {key}",
        AGAINST,
    ),
    Need(
        ("cosine_constant_lr_ratio",),
        lambda v: v.get("cosine_min_lr_ratio") and v.get("lr_scheduler") in _COSINE,
        "{key} is set without cosine_min_lr_ratio",
        "Axolotl ignores it",
        "Set lr_scheduler: cosine and cosine_min_lr_ratio, or remove {key}",
    ),
    Need(
        ("gradient_checkpointing_kwargs",),
        lambda v: v.get("gradient_checkpointing") or v.get("activation_offloading"),
        "{key} is set, and gradient_checkpointing is not",
        "no activations are recomputed, which costs memory",
        "Set gradient_checkpointing: true, or remove {key}",
    ),
    Need(
        ("hub_strategy", "hub_revision"),
        lambda v: v.get("hub_model_id"),
        "{key} is set, and hub_model_id is not",
        "nothing is uploaded",
        "Set hub_model_id: OWNER/NAME, or remove {key}",
        AGAINST,
    ),
    Need(
        ("wandb_name", "wandb_entity", "wandb_log_model", "wandb_watch"),
        lambda v: (
            v.get("wandb_project")
            or v.get("use_wandb")
            or str(v.get("wandb_mode")) == "disabled"
        ),
        "{key} is set, and neither wandb_project nor use_wandb is",
        "the run is not logged to Weights & Biases",
        "Set wandb_project, or remove {key}",
    ),
    Need(
        ("eval_sample_packing", "sample_packing_sequentially"),
        lambda v: v.packed,
        "{key} is set, and sample_packing is not",
        "no rows are packed",
        "Set sample_packing: true, or remove {key}",
    ),
    Need(
        ("group_by_length",),
        lambda v: not v.packed,
        "{key} is set with sample_packing",
        "rows are packed in another order",
        "Remove {key}",
    ),
    Need(
        ("pad_to_sequence_len",),
        lambda v: v.packed or v.get("reward_model") or v.other_kind,
        "{key} is set, and sample_packing is not",
        "each row is padded to sequence_len, which costs time and memory",
        "Set sample_packing: true, or remove {key}",
        id="rows-padded",
    ),
)


def inert_keys(view: View) -> Iterator[Finding]:
    """Findings on keys without the key that they need."""
    for need in (*_NEEDS, *OF_WEIGHTS, *OF_TRAINING):
        on = [key for key in need.keys if view.get(key)]
        if not on or need.met(view):
            continue
        key = on[0]
        yield Finding(
            need.weight,
            key,
            view.get(key),
            need.problem.format(key=key),
            need.effect,
            need.remedy.format(key=key),
            id=need.id,
            edits=tuple(Edit("remove", name) for name in on)
            if need.weight == NOTE
            else (),
        )
