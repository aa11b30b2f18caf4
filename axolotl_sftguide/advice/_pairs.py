"""Keys that do nothing, or something else, because of another key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..config.deepspeed import deepspeed_settings
from ..config.yaml_edits import Edit
from ._finding import Finding, Weight
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE

_ADAPTER_KEYS = ("lora_r", "lora_alpha", "lora_target_modules", "lora_target_linear")
NO_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")


def packing(view: View) -> Iterator[Finding]:
    """Packing with an attention that does not keep samples apart."""
    apart = view.schema.closed("attention_that_separates")
    if not view.packed or view.attention in apart:
        return
    if view.attention is not None and "/" in view.attention:
        return  # a kernel of the Hub, which may keep them apart
    named = "no attn_implementation" if view.attention is None else view.attention
    yield Finding(
        WRONG,
        "sample_packing",
        True,
        f"sample_packing is on with {named}, which does not keep the samples of a row "
        "apart",
        "each sample also attends to the samples before it in its row",
        "Set attn_implementation: flash_attention_2, or sdpa without it",
        id="packing-without-separation",
    )


def adapter_keys(view: View) -> Iterator[Finding]:
    """Keys of adapters in a config without one."""
    on = [key for key in _ADAPTER_KEYS if view.get(key)]
    if not on or view.get("adapter") or view.bits:
        return
    yield Finding(
        AGAINST,
        "adapter",
        None,
        f"{', '.join(on)} {'is' if len(on) == 1 else 'are'} set, and adapter is not",
        "Axolotl ignores them and trains all weights of the model",
        "Set adapter: lora, or remove them",
        id="lora-without-adapter",
    )


def evaluation(view: View) -> Iterator[Finding]:
    """A cadence of evaluation without data, and data without a cadence."""
    asked = [k for k in ("eval_steps", "evals_per_epoch") if view.get(k)]
    if view.eval_strategy not in (None, "no", False):
        asked.append(
            "eval_strategy" if view.get("eval_strategy") else "evaluation_strategy"
        )
    refused = view.config.get("val_set_size") == 0 and asked != ["evals_per_epoch"]
    if asked and not view.evaluates and not refused and view.mix is None:
        off = view.config.get("val_set_size") == 0  # by the writer's own choice
        yield Finding(
            NOTE if off else AGAINST,
            asked[0],
            view.get(asked[0]),
            f"{asked[0]} is set, and there is nothing to evaluate on",
            "the run has no evaluation",
            f"Set val_set_size: 0.05 or test_datasets, or remove {asked[0]}",
            id="evaluation-without-data",
        )
    if not view.evaluates:
        return
    held = "val_set_size" if view.get("val_set_size") else "test_datasets"
    rows = "held-out rows" if held == "val_set_size" else "rows of test_datasets"
    bench = view.get("do_bench_eval") or view.get("do_causal_lm_eval")
    if not asked and not bench and view.other_kind is None:
        yield Finding(
            AGAINST,
            held,
            view.get(held) if held == "val_set_size" else None,
            f"{held} is set, and nothing says when to evaluate",
            f"the {rows} are neither trained on nor evaluated",
            f"Set evals_per_epoch: 4, or remove {held}",
            id="evaluation-without-cadence",
        )
    per_epoch, epochs = view.number("evals_per_epoch"), view.number("num_epochs", 1)
    if (
        per_epoch
        and epochs
        and per_epoch * epochs <= 1
        and asked == ["evals_per_epoch"]
    ):
        early = view.block.get("early_termination")
        decides = isinstance(early, Mapping) and early.get("evaluation")
        yield Finding(
            # Else the weights are the same, and can be evaluated later.
            AGAINST if decides else NOTE,
            "evals_per_epoch",
            view.get("evals_per_epoch"),
            f"evals_per_epoch: {per_epoch:g} in {epochs:g} epochs is at most one "
            "evaluation, which Axolotl drops",
            "the run has no evaluation",
            "Set evals_per_epoch: 2, or eval_strategy: epoch instead",
            id="evaluation-once",
        )


def best_model(view: View) -> Iterator[Finding]:
    """`load_best_model_at_end` and early stopping without what they need."""
    steps = {key: _share_or_steps(view, key) for key in ("save", "eval")}
    works = (
        view.evaluates
        and bool(steps["save"] and steps["eval"])
        and (steps["save"] or 0) % (steps["eval"] or 1) == 0
    )
    if view.config.get("load_best_model_at_end") is True and not works:
        yield Finding(
            WRONG,
            "load_best_model_at_end",
            True,
            "load_best_model_at_end needs rows to evaluate, and save_steps "
            "that eval_steps divides",
            "Axolotl turns it off and the last weights are kept, not the best",
            "Set val_set_size: 0.05, eval_steps: 50 and save_steps: 100 without "
            "save_strategy and eval_strategy",
            id="best-model-off",
        )
    if view.get("early_stopping_patience") and steps["eval"] and not view.evaluates:
        yield Finding(
            WRONG,
            "early_stopping_patience",
            view.get("early_stopping_patience"),
            "early_stopping_patience is set, and there is nothing to evaluate on",
            "the run ends in an error when training starts",
            "Set val_set_size: 0.05 or test_datasets",
            id="early-stopping-no-evaluation",
        )


def _share_or_steps(view: View, what: str) -> float | None:
    """`save_steps` or `eval_steps` as Axolotl derives it; below 1 a share of it all."""
    per_epoch = view.number(f"{what}s_per_epoch")
    epochs = view.number("num_epochs", 1)
    if per_epoch and epochs and 1 / (per_epoch * epochs) < 1:
        return 1.0 / (per_epoch * epochs)
    return view.number(f"{what}_steps")


def warmup(view: View) -> Iterator[Finding]:
    """A warmup that the schedule does not have, or that outlasts the run."""
    key = "warmup_steps" if view.get("warmup_steps") else "warmup_ratio"
    asked = view.number(key)
    if not asked or asked < 0:
        return
    schedule = view.get("lr_scheduler", "cosine")
    if schedule in NO_WARMUP:
        certain = schedule == "constant"
        yield Finding(
            AGAINST,
            key,
            view.get(key),
            f"lr_scheduler: {schedule} has no warmup",
            f"{key} is ignored",
            "Set lr_scheduler: constant_with_warmup"
            if certain
            else f"Remove {key}, or set another lr_scheduler",
            id="constant-warmup",
            edits=(Edit("set", "lr_scheduler", "constant_with_warmup"),) * certain,
        )
    elif key == "warmup_steps" and view.steps and asked >= view.steps:
        yield Finding(
            WRONG,
            key,
            view.get(key),
            f"warmup_steps: {asked:g} is not below the {view.steps:,} steps of the run",
            "learning_rate is never reached",
            f"Set warmup_steps: {max(0, view.steps // 20)}, or warmup_ratio: 0.05",
            id="warmup-exceeds-run",
        )


def checkpoints(view: View) -> Iterator[Finding]:
    """Checkpoints that are deleted, or from which a run cannot go on."""
    epochs = view.number("num_epochs", 1) or 0
    saves = (view.number("saves_per_epoch") or 0) * epochs
    every = view.number("save_steps")
    if every and every >= 1 and view.steps:
        saves = view.steps / every
    if saves > 4 and not view.get("save_total_limit"):
        key = "saves_per_epoch" if view.get("saves_per_epoch") else "save_steps"
        yield Finding(
            NOTE,
            key,
            view.get(key),
            f"{key} makes {int(saves)} checkpoints, and save_total_limit is not set",
            "Axolotl keeps the last 4 and deletes the others",
            f"Set save_total_limit: {int(saves)} to keep them all",
            id="checkpoints-deleted",
            edits=(Edit("set", "save_total_limit", int(saves)),),
        )
    resume = "resume_from_checkpoint"
    if not view.get(resume):
        resume = "auto_resume_from_checkpoints"
    if view.get("save_only_model") and view.get(resume):
        yield Finding(
            AGAINST,
            "save_only_model",
            True,
            f"save_only_model leaves the optimizer out of checkpoints, and {resume} is "
            "set",
            "a resumed run starts its optimizer and schedule anew",
            f"Set save_only_model: false, or remove {resume}",
            id="resume-without-optimizer",
        )
    strategy = view.config.get("save_strategy")
    if view.get("hub_model_id") and strategy == "no" and not view.get("save_steps"):
        yield Finding(
            AGAINST,
            "hub_model_id",
            view.get("hub_model_id"),
            "hub_model_id is set with save_strategy: no",
            "no checkpoint is uploaded while the run lasts",
            "Set save_strategy: epoch",
            id="hub-without-save",
        )


def parallel(view: View) -> Iterator[Finding]:
    """FSDP beside DeepSpeed, and DeepSpeed's own optimizer or scheduler."""
    deepspeed = view.get("deepspeed")
    if deepspeed and view.get("fsdp_config") and not view.get("fsdp"):
        yield Finding(
            WRONG,
            "deepspeed",
            deepspeed,
            "deepspeed and fsdp_config are both set",
            "Axolotl prepares FSDP alone and gives the trainer both",
            "Remove one of them",
            id="deepspeed-and-fsdp-config",
        )
    settings = deepspeed_settings(deepspeed) or {}
    for part, key in (("scheduler", "lr_scheduler"), ("optimizer", "optimizer")):
        block = settings.get(part)
        if isinstance(block, Mapping) and block.get("type"):
            yield Finding(
                AGAINST,
                "deepspeed",
                deepspeed if isinstance(deepspeed, str) else None,
                f"DeepSpeed's file sets its own {part}: {block['type']}",
                f"{key} of this config is ignored",
                f"Remove {part} from DeepSpeed's file",
                id="deepspeed-own-scheduler",
            )
