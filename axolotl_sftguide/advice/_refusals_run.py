"""Combinations of evaluation, saving, batch and schedule that Axolotl refuses."""

from __future__ import annotations

from ._refusal import Refusal
from ._view import View

_VALIDATION = "utils/schemas/validation.py"
_METRICS = ("sacrebleu", "comet", "ter", "chrf", "perplexity")


def _evaluates_nothing(view: View) -> bool:
    size = view.config.get("val_set_size")
    asked = view.get("eval_steps") or view.eval_strategy
    nothing = size is not None and size == 0 and not view.get("test_datasets")
    return bool(nothing and asked and view.eval_strategy != "no")


def _steps_that_do_not_divide(view: View) -> bool:
    save, evaluate = view.number("save_steps"), view.number("eval_steps")
    if not save or not evaluate:
        return True
    return save % evaluate != 0


REFUSALS = (
    Refusal(
        "two-evaluation-sets",
        "val_set_size",
        f"{_VALIDATION}: check_val_w_test_datasets",
        lambda v: v.get("test_datasets") and v.get("val_set_size"),
        "val_set_size and test_datasets are both set",
        "Remove val_set_size to evaluate on test_datasets",
        remove=True,
    ),
    Refusal(
        "eval-table-packing",
        "eval_table_size",
        f"{_VALIDATION}: check_eval_packing",
        lambda v: (
            v.packed
            and v.get("eval_table_size")
            and v.config.get("eval_sample_packing") is not False
        ),
        "eval_table_size does not work with packed evaluation rows",
        "Set eval_sample_packing: false, or remove eval_table_size",
        remove=True,
    ),
    Refusal(
        "batch-size-alone",
        "batch_size",
        f"{_VALIDATION}: check_batch_size_fields",
        lambda v: (
            v.get("batch_size")
            and not v.get("micro_batch_size")
            and not v.get("gradient_accumulation_steps")
        ),
        "batch_size is set without micro_batch_size",
        "Set micro_batch_size and gradient_accumulation_steps instead",
    ),
    Refusal(
        "batch-size-twice",
        "batch_size",
        f"{_VALIDATION}: check_gas_bsz",
        lambda v: v.get("gradient_accumulation_steps") and v.get("batch_size"),
        "batch_size and gradient_accumulation_steps are both set",
        "Remove batch_size",
        remove=True,
    ),
    Refusal(
        "warmup-twice",
        "warmup_ratio",
        f"{_VALIDATION}: check_warmup",
        lambda v: v.get("warmup_steps") and v.get("warmup_ratio"),
        "warmup_steps and warmup_ratio are both set",
        "Remove one of them",
    ),
    Refusal(
        "save-strategy-steps",
        "save_strategy",
        f"{_VALIDATION}: check_saves",
        lambda v: v.get("save_steps") and v.get("save_strategy", "steps") != "steps",
        "save_steps needs save_strategy: steps, and it is {value}",
        "Set save_strategy: steps, or remove save_steps",
    ),
    Refusal(
        "saves-twice",
        "saves_per_epoch",
        f"{_VALIDATION}: check_saves",
        lambda v: v.get("saves_per_epoch") and v.get("save_steps"),
        "saves_per_epoch and save_steps are both set",
        "Remove one of them",
    ),
    Refusal(
        "save-best-metric",
        "save_strategy",
        "utils/schemas/config.py: check_save_strategy_best_requires_metric",
        lambda v: (
            v.get("save_strategy") == "best" and not v.get("metric_for_best_model")
        ),
        "save_strategy: best needs metric_for_best_model",
        "Set metric_for_best_model: eval_loss",
    ),
    Refusal(
        "eval-strategy-steps",
        "eval_strategy",
        f"{_VALIDATION}: check_evals",
        lambda v: v.get("eval_steps") and (v.eval_strategy or "steps") != "steps",
        "eval_steps needs eval_strategy: steps, and it is {value}",
        "Set eval_strategy: steps, or remove eval_steps",
    ),
    Refusal(
        "eval-without-data",
        "eval_steps",
        f"{_VALIDATION}: check_evals",
        _evaluates_nothing,
        "eval_steps or eval_strategy is set, and val_set_size: 0 leaves nothing to "
        "evaluate",
        "Set val_set_size: 0.05 or test_datasets, or remove eval_steps and "
        "eval_strategy",
    ),
    Refusal(
        "evals-twice",
        "evals_per_epoch",
        f"{_VALIDATION}: check_evals",
        lambda v: v.get("evals_per_epoch") and v.get("eval_steps"),
        "evals_per_epoch and eval_steps are both set",
        "Remove one of them",
    ),
    Refusal(
        "evals-per-epoch-strategy",
        "eval_strategy",
        f"{_VALIDATION}: check_evals",
        lambda v: v.get("evals_per_epoch") and (v.eval_strategy or "steps") != "steps",
        "evals_per_epoch does not work with eval_strategy: {value}",
        "Remove eval_strategy, or evals_per_epoch",
        remove=True,
    ),
    Refusal(
        "bench-eval-cadence",
        "do_bench_eval",
        f"{_VALIDATION}: check_evals",
        lambda v: (
            v.get("do_bench_eval")
            and not (v.get("evals_per_epoch") or v.get("eval_steps"))
        ),
        "do_bench_eval needs evals_per_epoch or eval_steps",
        "Set evals_per_epoch: 1",
    ),
    Refusal(
        "causal-eval-packing",
        "do_causal_lm_eval",
        f"{_VALIDATION}: check_causal_lm_evals",
        lambda v: v.get("do_causal_lm_eval") and v.get("eval_sample_packing"),
        "do_causal_lm_eval does not work with packed evaluation rows",
        "Set eval_sample_packing: false",
    ),
    Refusal(
        "causal-eval-metrics",
        "eval_causal_lm_metrics",
        f"{_VALIDATION}: check_causal_lm_evals",
        lambda v: {*v.get("eval_causal_lm_metrics", ())} - {*_METRICS},
        f"eval_causal_lm_metrics takes {', '.join(_METRICS)}",
        "Set eval_causal_lm_metrics: [chrf]",
    ),
    Refusal(
        "early-stopping-steps",
        "early_stopping_patience",
        f"{_VALIDATION}: check_early_stopping",
        lambda v: v.get("early_stopping_patience") and _steps_that_do_not_divide(v),
        "early_stopping_patience needs save_steps and eval_steps, and save_steps must "
        "be a multiple of eval_steps",
        "Set both as numbers of steps, such as eval_steps: 50 and save_steps: 100",
    ),
    Refusal(
        "neftune-twice",
        "noisy_embedding_alpha",
        f"{_VALIDATION}: check_neftune",
        lambda v: v.get("noisy_embedding_alpha") and v.get("neftune_noise_alpha"),
        "noisy_embedding_alpha is the old name of neftune_noise_alpha, and both are "
        "set",
        "Remove noisy_embedding_alpha",
        remove=True,
    ),
    Refusal(
        "neftune-positive",
        "neftune_noise_alpha",
        f"{_VALIDATION}: validate_neftune_noise_alpha",
        lambda v: (v.number("neftune_noise_alpha", 1) or 0) <= 0,
        "neftune_noise_alpha must be greater than 0, and is {value}",
        "Set neftune_noise_alpha: 5, or remove it for no noise",
        remove=True,
    ),
)
