"""The fields of the comparability key, read from a live trainer.

Trainers are read by duck typing.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

from .accumulation import loss_normalisation

_MOST_ROWS_DIGESTED = 200_000

_ADAPTER_FIELDS = (
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "target_parameters",
    "modules_to_save",
    "bias",
    "use_rslora",
    "use_dora",
    "init_lora_weights",
)


def host_name(trainer: Any) -> str:
    """`axolotl`, `trl` or `transformers`: whose trainer this is."""
    packages = {cls.__module__.split(".")[0] for cls in type(trainer).__mro__}
    return next((h for h in ("axolotl", "trl") if h in packages), "transformers")


def key_fields(trainer: Any) -> dict[str, Any]:
    """The fields of the comparability key that every host provides."""
    args, model = trainer.args, trainer.model
    return {
        "host": host_name(trainer),
        "loss_normalisation": loss_normalisation(trainer),
        **_model_fields(model),
        "adapter": _adapter_fields(model),
        "data": data_identity(getattr(trainer, "train_dataset", None)),
        "sequence_len": getattr(args, "max_length", None),
        "packing": bool(getattr(args, "packing", False)),
        "micro_batch_size": args.per_device_train_batch_size,
        "gradient_accumulation_steps": args.gradient_accumulation_steps,
        "ranks": args.world_size,
        "max_grad_norm": args.max_grad_norm,
        "mixed_precision": "bf16" if args.bf16 else "fp16" if args.fp16 else "no",
    }


def data_identity(dataset: Any) -> dict[str, Any]:
    """Row count, and a digest of the tokenised rows that ignores their order.

    The digest is None beyond 200,000 rows and for data that are not an Arrow dataset
    with lists of `input_ids`.
    """
    try:
        rows = len(dataset)
    except TypeError:
        return {"rows": None, "digest": None}
    columns = getattr(dataset, "column_names", None) or []
    names = [name for name in ("input_ids", "labels") if name in columns]
    if "input_ids" not in names or rows > _MOST_ROWS_DIGESTED:
        return {"rows": rows, "digest": None}
    if not all(_holds_whole_numbers(dataset.features[name]) for name in names):
        return {"rows": rows, "digest": None}
    total = 0
    for table in dataset.select_columns(names).with_format("arrow").iter(1000):
        for row in zip(*(_row_bytes(table[name]) for name in names), strict=True):
            digest = hashlib.blake2b(b"|".join(row), digest_size=8).digest()
            total = (total + int.from_bytes(digest, "big")) % 2**64
    return {"rows": rows, "digest": f"{total:016x}"}


def _holds_whole_numbers(feature: Any) -> bool:
    kind = getattr(getattr(feature, "feature", None), "dtype", None)
    return str(kind).startswith(("int", "uint"))


def _row_bytes(column: Any) -> list[bytes]:
    lists = column.combine_chunks()
    values, offsets = lists.values.to_numpy(False), lists.offsets.to_numpy(False)
    return [
        values[start:end].astype("int64").tobytes() for start, end in pairwise(offsets)
    ]


def _model_fields(model: Any) -> dict[str, Any]:
    parameters = list(model.parameters())
    quantization = getattr(model.config, "quantization_config", None)
    if quantization is not None and hasattr(quantization, "to_dict"):
        quantization = quantization.to_dict()
    return {
        "base_model": getattr(model.config, "_name_or_path", None),
        "revision": getattr(model.config, "_commit_hash", None),
        "parameters": sum(p.numel() for p in parameters),
        "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "dtype": str(next((p.dtype for p in parameters if p.requires_grad), None)),
        "quantization": quantization,
    }


def _adapter_fields(model: Any) -> dict[str, Any] | None:
    configs = getattr(model, "peft_config", None)
    if not configs:
        return None
    config = next(iter(configs.values())).to_dict()
    fields: dict[str, Any] = {"peft_type": str(config.get("peft_type"))}
    for name in _ADAPTER_FIELDS:
        value = config.get(name)
        fields[name] = sorted(value) if isinstance(value, (set, list)) else value
    return fields
