"""Settings that do not fit the kind of training, the model or the other GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..config.yaml_edits import Edit
from ._finding import Finding, Weight
from ._marks import tokenizer_of
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE

_LOADERS = ("json", "jsonl", "csv", "parquet", "arrow", "text")
_PREQUANTISED = ("-gptq", "-awq")


def reward_types(view: View) -> Iterator[Finding]:
    """Datasets of another kind of training for a reward model."""
    wanted = {"reward_model": "bradley_terry", "process_reward_model": "stepwise_"}
    key = next((key for key in wanted if view.get(key)), None)
    if key is None:
        return
    known = {*view.schema.dataset_types(None), "alpaca"}
    for path, entry in view.sources:
        kind = entry.get("type")
        if kind not in known or str(kind).startswith(wanted[key]):
            continue  # also a module of one's own
        needed = "bradley_terry.chat_template" if key == "reward_model" else None
        needed = needed or "stepwise_supervised"
        yield Finding(
            WRONG,
            f"{path}.type",
            kind,
            f"type: {kind} is not for {key}: true",
            "the rows lack the columns that the trainer reads, and the run ends in an "
            "error",
            f"Set type: {needed}",
            id="reward-type",
        )
        return


def vision(view: View) -> Iterator[Finding]:
    """A processor with rows that were packed or prepared without their images."""
    if not view.get("processor_type") or view.kind:
        return
    if view.packed:
        yield Finding(
            WRONG,
            "sample_packing",
            True,
            "sample_packing is on, and processor_type is set",
            "Axolotl packs the rows as text, without the images",
            "Set sample_packing: false",
            id="vision-packing",
            edits=(Edit("set", "sample_packing", False),),
        )
    elif not view.get("skip_prepare_dataset") and not view.get("streaming"):
        yield Finding(
            AGAINST,
            "skip_prepare_dataset",
            view.get("skip_prepare_dataset"),
            "processor_type is set, and skip_prepare_dataset is not",
            "prepared rows lack the messages that the collator for images reads, and "
            "the run ends in an error at the first step",
            "Set skip_prepare_dataset: true and remove_unused_columns: false",
            id="vision-prepared",
        )


def prequantised(view: View) -> Iterator[Finding]:
    """All weights of a model that is quantised already."""
    name = str(view.get("base_model", ""))
    named = name.lower().endswith(_PREQUANTISED)
    if view.get("adapter") or view.bits or not (named or view.get("gptq")):
        return
    yield Finding(
        WRONG,
        "adapter",
        None,
        f"{name} is quantised, and adapter is not set",
        "transformers refuses to train quantised weights when the trainer is made",
        "Set adapter: lora, or base_model to the model before it was quantised",
        id="prequantised-without-adapter",
    )


def loader_as_path(view: View) -> Iterator[Finding]:
    """The name of a file format in the place of a path."""
    for path, entry in view.sources:
        name = entry.get("path")
        if name not in _LOADERS or Path(str(name)).exists():
            continue
        yield Finding(
            WRONG,
            f"{path}.path",
            name,
            f"path: {name} is the name of a format, not of a file, folder or dataset",
            "Axolotl looks for it on the Hub, and the run ends in an error",
            f"Set path to the file itself and ds_type: {name.removesuffix('l')}",
            id="format-as-path",
        )


def ends_twice(view: View) -> Iterator[Finding]:
    """Two rules for one token at the end of a turn."""
    tokenizer = tokenizer_of(
        str(view.get("tokenizer_config") or view.get("base_model"))
    )
    own = tokenizer.eos if tokenizer else None
    eos = view.mapping("special_tokens").get("eos_token") or own
    ends = view.listed("eot_tokens")
    for path, entry in view.sources:
        of_eos, of_eot = entry.get("train_on_eos") or "turn", entry.get("train_on_eot")
        if eos not in ends or of_eot in (None, of_eos):
            continue
        refused = len(ends) > 1
        yield Finding(
            WRONG if refused else NOTE,
            f"{path}.train_on_eot",
            of_eot,
            f"train_on_eot: {of_eot} and train_on_eos: {of_eos} are both for {eos}, "
            "which is in eot_tokens",
            "the run ends in an error while the data are prepared"
            if refused
            else "the token is trained wherever one of the two keys asks for it",
            "Set both to turn, or remove train_on_eot",
            id="ends-twice",
            edits=(Edit("remove", f"{path}.train_on_eot"),),
        )


def shards(view: View) -> Iterator[Finding]:
    """Replicas without shards, together with tensor or context parallelism."""
    of_tensors = view.number("tensor_parallel_size", 1) or 1
    divided = max(of_tensors, view.context_parallel)
    replicas = view.number("dp_replicate_size", 1) or 1
    shard = view.number("dp_shard_size", 1) or 1
    alone = view.config.get("dp_shard_size") is not None or not view.fsdp_is_set
    if divided > 1 and replicas > 1 and shard <= 1 and alone:
        key = "tensor_parallel_size" if of_tensors > 1 else "context_parallel_size"
        yield Finding(
            WRONG,
            "dp_replicate_size",
            view.get("dp_replicate_size"),
            f"dp_replicate_size: {replicas:g} and {key} need dp_shard_size above 1",
            "the run ends in an error when the GPUs are grouped",
            "Set dp_shard_size: 2 with fsdp_config, or remove dp_replicate_size",
            id="replicas-without-shards",
        )


def recomputed(view: View) -> Iterator[Finding]:
    """Checkpointing that ZeRO-3 does not support."""
    kwargs = view.mapping("gradient_checkpointing_kwargs")
    zero3 = "zero3" in str(view.get("deepspeed", ""))
    if not zero3 or kwargs.get("use_reentrant") is not False:
        return
    if view.get("unfrozen_parameters") or view.kind:
        return  # which need it
    yield Finding(
        AGAINST if view.get("adapter") == "qlora" else NOTE,
        "gradient_checkpointing_kwargs.use_reentrant",
        False,
        "use_reentrant is false with DeepSpeed ZeRO-3",
        "the run may end in a CheckpointError",
        "Set use_reentrant: true",
        id="zero3-non-reentrant",
        edits=(Edit("set", "gradient_checkpointing_kwargs.use_reentrant", True),),
    )


def quantised_later(view: View) -> Iterator[Finding]:
    """Quantisation-aware training of weights that an adapter leaves as they are."""
    if view.get("qat") and view.get("adapter"):
        yield Finding(
            AGAINST,
            "qat",
            None,
            "qat is for training of the whole model, and adapter is set",
            "only the base weights are quantised, not the merged weights",
            "Remove adapter, or qat",
            id="qat-adapter",
        )


def one_loss(view: View) -> Iterator[Finding]:
    """Two kernels for the same loss."""
    cut = any("CutCrossEntropyPlugin" in plugin for plugin in view.plugins)
    cut = cut and view.config.get("cut_cross_entropy") is not False
    fused = ("liger_fused_linear_cross_entropy", "liger_cross_entropy")
    other = next((key for key in fused if view.get(key)), None)
    if cut and other and any("LigerPlugin" in plugin for plugin in view.plugins):
        yield Finding(
            NOTE,
            other,
            True,
            f"CutCrossEntropyPlugin and {other} both replace the loss",
            "the order of plugins decides which one is used",
            f"Remove {other}, or set cut_cross_entropy: false",
            id="two-losses",
            edits=(Edit("remove", other),),
        )


def decay(view: View) -> Iterator[Finding]:
    """A weight decay that pulls an adapter back to zero."""
    value = view.number("weight_decay")
    if value is not None and value > 0.1 and view.training == "adapter":
        yield Finding(
            NOTE,
            "weight_decay",
            value,
            f"weight_decay: {value:g} pulls the adapter's weights towards zero",
            "the adapter may learn less",
            "Set weight_decay: 0.01",
            id="decay-adapter",
        )


def half_of_a_pair(view: View) -> Iterator[Finding]:
    """Settings whose gain depends on another one."""
    if view.get("fp8") and not view.get("torch_compile"):
        yield Finding(
            NOTE,
            "fp8",
            True,
            "fp8 is on, and torch_compile is not",
            "training may be slower and need more memory than in bf16",
            "Set torch_compile: true",
            id="fp8-without-compile",
            edits=(Edit("set", "torch_compile", True),),
        )
    if view.get("optimizer") == "adamc" and view.get("lr_scheduler") == "constant":
        yield Finding(
            NOTE,
            "optimizer",
            "adamc",
            "adamc corrects weight decay by the schedule, and lr_scheduler is constant",
            "it does the same as AdamW",
            "Set lr_scheduler: cosine",
            id="adamc-constant",
        )


RULES = (
    reward_types,
    vision,
    prequantised,
    loader_as_path,
    ends_twice,
    shards,
    recomputed,
    quantised_later,
    one_loss,
    decay,
    half_of_a_pair,
)
"""All of them."""


def evaluation_memory(view: View) -> Iterator[Finding]:
    """An evaluation that needs more memory than training."""
    micro = view.number("micro_batch_size", 1) or 1
    size = view.number("eval_batch_size")
    evaluates = view.evaluates or (view.mix or {}).get("held_out")
    if not size or size == micro or not evaluates:
        return
    if view.packs_evaluations:
        yield Finding(
            AGAINST if size < micro else NOTE,
            "eval_batch_size",
            view.get("eval_batch_size"),
            "eval_batch_size has no effect on a packed evaluation",
            f"an evaluation batch has {micro:g} sequences (micro_batch_size), and "
            "needs memory for the logits of all of them",
            "Set eval_sample_packing: false"
            if size < micro
            else f"Set eval_batch_size: {micro:g}, or eval_sample_packing: false",
            id="eval-batch-ignored",
            edits=(Edit("set", "eval_sample_packing", False),) if size < micro else (),
        )
    elif size > micro:
        yield Finding(
            NOTE,
            "eval_batch_size",
            view.get("eval_batch_size"),
            f"eval_batch_size: {size:g} is larger than micro_batch_size: {micro:g}",
            "evaluation may run out of memory where training fits",
            f"Set eval_batch_size: {micro:g}",
            id="eval-batch-larger",
            edits=(Edit("set", "eval_batch_size", int(micro)),),
        )
