"""Combinations of preference and reinforcement learning that Axolotl refuses."""

from __future__ import annotations

from ._refusal import Refusal
from ._view import View

_VALIDATION = "utils/schemas/validation.py"
_CONFIG = "utils/schemas/config.py"
_OF_DPO = ("dpo_loss_type", "dpo_loss_weights")


def _generations(view: View) -> tuple[int, int] | None:
    """Generations per prompt, and samples per step of one process, for GRPO."""
    trl = view.mapping("trl")
    count = trl.get("num_generations")
    if view.kind != "grpo" or not isinstance(count, int):
        return None
    given = trl.get("generation_batch_size")
    micro = view.number("micro_batch_size", 1) or 1
    return count, given if isinstance(given, int) else int(micro * view.accumulation)


def _uneven(view: View) -> bool:
    found = _generations(view)
    return found is not None and (found[0] < 2 or found[1] % found[0] != 0)


def _different_lengths(view: View) -> bool:
    losses, weights = (view.get(key) for key in _OF_DPO)
    if view.kind != "dpo" or weights is None:
        return False
    return losses is None or len(losses) != len(weights)


def _first_loss(view: View) -> object:
    losses = view.get("dpo_loss_type")
    return losses[0] if isinstance(losses, list) and losses else None


def _different_betas(view: View) -> bool:
    own, of_trl = view.get("beta"), view.mapping("trl").get("beta")
    return bool(own and of_trl and own != of_trl)


def _too_few_generations(view: View) -> bool:
    found = _generations(view)
    return found is not None and view.ranks > 1 and found[1] < found[0] * view.ranks


def _strided(view: View) -> bool:
    return view.kind == "ebft" and view.mapping("ebft").get("mode") == "strided"


REFUSALS = (
    Refusal(
        "preference-packing",
        "sample_packing",
        f"{_VALIDATION}: check_sample_packing_w_rl",
        lambda v: v.packed and v.get("rl"),
        "sample_packing does not work with rl",
        "Set sample_packing: false",
    ),
    Refusal(
        "kto-columns",
        "remove_unused_columns",
        f"{_VALIDATION}: check_kto_config",
        lambda v: (
            v.kind == "kto" and v.config.get("remove_unused_columns") is not False
        ),
        "rl: kto needs remove_unused_columns: false",
        "Set remove_unused_columns: false",
    ),
    Refusal(
        "kto-eval-packing",
        "eval_sample_packing",
        f"{_VALIDATION}: check_kto_config",
        lambda v: v.kind == "kto" and v.get("eval_sample_packing"),
        "eval_sample_packing does not work with rl: kto",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "dpo-keys-elsewhere",
        "dpo_loss_type",
        f"{_VALIDATION}: check_dpo",
        lambda v: v.kind != "dpo" and any(v.config.get(k) is not None for k in _OF_DPO),
        "dpo_loss_type and dpo_loss_weights need rl: dpo",
        "Set rl: dpo, or remove them",
    ),
    Refusal(
        "dpo-weights",
        "dpo_loss_weights",
        f"{_VALIDATION}: check_dpo",
        _different_lengths,
        "dpo_loss_weights needs one weight for each entry of dpo_loss_type",
        "Set as many weights as loss types",
    ),
    Refusal(
        "grpo-generations",
        "trl.num_generations",
        f"{_VALIDATION}: check_grpo_batch_size_divisibility",
        _uneven,
        "GRPO needs at least 2 generations, and a number of samples per step that "
        "num_generations divides",
        "Set gradient_accumulation_steps so that micro_batch_size x "
        "gradient_accumulation_steps is a multiple of trl.num_generations",
    ),
    Refusal(
        "simpo-warmup",
        "warmup_ratio",
        f"{_VALIDATION}: check_simpo_warmup",
        lambda v: v.kind == "simpo" and v.get("warmup_ratio"),
        "warmup_ratio does not work with rl: simpo",
        "Set warmup_steps instead",
    ),
    Refusal(
        "ebft-block",
        "ebft",
        f"{_VALIDATION}: check_ebft_config_required",
        lambda v: v.kind == "ebft" and not v.get("ebft"),
        "rl: ebft needs an ebft block",
        "Set ebft: {{mode: structured}}",
    ),
    Refusal(
        "ebft-compile",
        "torch_compile",
        f"{_VALIDATION}: check_ebft_torch_compile",
        lambda v: (
            v.kind == "ebft"
            and v.config.get("torch_compile") is True
            and v.mapping("ebft").get("mode") == "strided"
            and v.get("gradient_checkpointing")
        ),
        "torch_compile does not work with gradient_checkpointing and ebft.mode: "
        "strided",
        "Remove torch_compile",
        remove=True,
    ),
    Refusal(
        "ebft-offloading",
        "activation_offloading",
        f"{_VALIDATION}: check_ebft_activation_offloading",
        lambda v: (
            _strided(v)
            and v.config.get("activation_offloading") is True
            and v.attention == "flex_attention"
        ),
        "activation_offloading does not work with ebft.mode: strided and "
        "attn_implementation: flex_attention",
        "Remove activation_offloading",
        remove=True,
    ),
    Refusal(
        "gdpo-aggregation",
        "trl.multi_objective_aggregation",
        f"{_VALIDATION}: check_gdpo",
        lambda v: (
            v.kind == "gdpo"
            and v.mapping("trl").get("multi_objective_aggregation")
            == "sum_then_normalize"
        ),
        "multi_objective_aggregation: sum_then_normalize is GRPO, and rl is gdpo",
        "Set rl: grpo, or trl.multi_objective_aggregation: normalize_then_sum",
    ),
    Refusal(
        "grpo-liger-context-parallel",
        "context_parallel_size",
        f"{_VALIDATION}: check_grpo_liger_sequence_parallel",
        lambda v: (
            v.kind == "grpo"
            and v.mapping("trl").get("use_liger_loss")
            and (v.number("context_parallel_size", 1) or 1) > 1
        ),
        "context_parallel_size does not work with rl: grpo and trl.use_liger_loss",
        "Remove context_parallel_size, or trl.use_liger_loss",
        remove=True,
    ),
    Refusal(
        "grpo-generations-per-rank",
        "trl.num_generations",
        f"{_VALIDATION}: check_grpo_batch_size_divisibility",
        _too_few_generations,
        "GRPO on several GPUs needs micro_batch_size x gradient_accumulation_steps of "
        "at least num_generations x GPUs",
        "Raise gradient_accumulation_steps",
    ),
    Refusal(
        "dpo-liger-ipo",
        "dpo_use_liger_kernel",
        f"{_VALIDATION}: check_dpo_use_liger_kernel",
        lambda v: (
            v.get("dpo_use_liger_kernel")
            and (v.kind == "ipo" or _first_loss(v) == "ipo")
        ),
        "dpo_use_liger_kernel does not support the loss ipo",
        "Remove dpo_use_liger_kernel",
        remove=True,
    ),
    Refusal(
        "betas-differ",
        "beta",
        f"{_CONFIG}: check_beta_and_trl_beta_match",
        _different_betas,
        "beta and trl.beta are both set, and differ",
        "Remove beta",
        remove=True,
    ),
    Refusal(
        "preference-reentrant",
        "gradient_checkpointing_kwargs",
        f"{_VALIDATION}: check_rl_config_gradient_checkpointing",
        lambda v: (
            v.get("rl")
            and v.reentrant
            and v.get("gradient_checkpointing")
            and v.get("adapter") == "qlora"
            and v.get("load_in_4bit")
            and v.ranks > 1
        ),
        "use_reentrant: true does not work with rl and qlora on several GPUs",
        "Set gradient_checkpointing_kwargs: {{use_reentrant: false}}",
    ),
)
