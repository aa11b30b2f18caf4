"""The fields of the comparability key, read from a live trainer.

Trainers are read by duck typing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from ..stopping.objectives import REINFORCEMENT, SUPERVISED, Objective
from ..stopping.objectives import objective_of as named_objective
from .accumulation import loss_normalisation

logger = logging.getLogger(__name__)

_MOST_ROWS_DIGESTED = 200_000
_BLOCK_ROWS = 1000
_MOST_ROWS_SAMPLED = 50_000
_FEWEST_ROWS_SAMPLED = 1000

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


def objective_of(trainer: Any) -> Objective:
    """What the trainer's loss means."""
    names = [cls.__name__ for cls in type(trainer).__mro__]
    if hasattr(trainer, "reward_funcs"):  # it scores completions, whatever its name
        return REINFORCEMENT
    return named_objective(names)


def key_fields(trainer: Any, objective: Objective) -> tuple[dict[str, Any], list[str]]:
    """The fields of the comparability key that every host provides.

    Returns:
        The fields, and the names of those that could not be read; they are None.
    """
    args, model = trainer.args, trainer.model
    readers: dict[str, Callable[[], Any]] = {
        "host": lambda: host_name(trainer),
        "loss_normalisation": lambda: loss_normalisation(trainer),
        "base_model": lambda: _base_model(model),
        "revision": lambda: getattr(_config(model), "_commit_hash", None),
        "parameters": lambda: sum(p.numel() for p in model.parameters()),
        "trainable_parameters": lambda: sum(p.numel() for p in _trainable(model)),
        "dtype": lambda: str(next((p.dtype for p in _trainable(model)), None)),
        "quantization": lambda: _quantization(model),
        "adapter": lambda: _adapter_fields(model),
        "data": lambda: data_identity(getattr(trainer, "train_dataset", None)),
        "sequence_len": lambda: getattr(args, "max_length", None),
        "packing": lambda: bool(getattr(args, "packing", False)),
        "micro_batch_size": lambda: args.per_device_train_batch_size,
        "gradient_accumulation_steps": lambda: args.gradient_accumulation_steps,
        "ranks": lambda: args.world_size,
        "max_grad_norm": lambda: args.max_grad_norm,
        "mixed_precision": lambda: (
            "bf16" if args.bf16 else "fp16" if args.fp16 else "no"
        ),
    }
    fields, unread = {}, []
    for name, read in readers.items():
        # A field only describes the run: a fault in it costs the comparison alone.
        try:
            fields[name] = read()
        except Exception:
            fields[name] = None
            unread.append(name)
            logger.debug(f"traceback of reading {name}", exc_info=True)
    if objective is not SUPERVISED:
        fields["objective"] = objective.name
    return fields, unread


def data_identity(dataset: Any) -> dict[str, Any]:
    """Row count, and a digest of the tokenised rows that ignores their order.

    Beyond 200,000 rows the digest is that of the lengths of all rows and of the rows of
    some lengths, which are the same in any order. Where nearly all rows have the same
    length, it is that of evenly spread blocks, which does depend on the order. It is
    None for data that are not an Arrow dataset with lists of `input_ids`.
    """
    try:
        rows = len(dataset)
    except TypeError:
        return {"rows": None, "digest": None}
    columns = getattr(dataset, "column_names", None) or []
    names = [name for name in ("input_ids", "labels") if name in columns]
    if "input_ids" not in names:
        return {"rows": rows, "digest": None}
    if not all(_holds_whole_numbers(dataset.features[name]) for name in names):
        return {"rows": rows, "digest": None}
    total = 0
    read = dataset.select_columns(names).with_format("arrow")
    if rows > _MOST_ROWS_DIGESTED:
        lengths = _lengths(read)
        total = _digest_of_lengths(lengths)
        read = read.select(_sample(lengths))
    for table in read.iter(_BLOCK_ROWS):
        for row in zip(*(_row_bytes(table[name]) for name in names), strict=True):
            digest = hashlib.blake2b(b"|".join(row), digest_size=8).digest()
            total = (total + int.from_bytes(digest, "big")) % 2**64
    return {"rows": rows, "digest": f"{total:016x}"}


def _lengths(dataset: Any) -> Any:
    """The number of tokens of each row, without reading the tokens."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(dataset.data.column("input_ids")).to_numpy()
    order = getattr(dataset, "_indices", None)  # of a shuffled or selected dataset
    return lengths if order is None else lengths[order.column(0).to_numpy()]


def _digest_of_lengths(lengths: Any) -> int:
    import numpy as np

    counted = np.stack(np.unique(lengths, return_counts=True)).astype("<i8")
    digest = hashlib.blake2b(counted.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _sample(lengths: Any) -> Any:
    """The positions of the rows to digest."""
    import numpy as np

    values, counts = np.unique(lengths, return_counts=True)
    # A pseudo-random order of the lengths, the same in every process.
    mixed = np.argsort(values.astype("u8") * np.uint64(0x9E3779B97F4A7C15))
    chosen, rows = [], 0
    for i in mixed:
        if rows + counts[i] <= _MOST_ROWS_SAMPLED:
            chosen.append(values[i])
            rows += counts[i]
    if rows >= _FEWEST_ROWS_SAMPLED:
        return np.flatnonzero(np.isin(lengths, chosen))
    blocks = _MOST_ROWS_SAMPLED // _BLOCK_ROWS
    starts = np.linspace(0, len(lengths) - _BLOCK_ROWS, blocks, dtype=np.int64)
    return np.unique(starts[:, None] + np.arange(_BLOCK_ROWS))


def _holds_whole_numbers(feature: Any) -> bool:
    kind = getattr(getattr(feature, "feature", None), "dtype", None)
    return str(kind).startswith(("int", "uint"))


def _row_bytes(column: Any) -> list[bytes]:
    lists = column.combine_chunks()
    if hasattr(lists, "offsets"):
        values, offsets = lists.values.to_numpy(False), lists.offsets.to_numpy(False)
    else:  # lists of one fixed length
        values = lists.flatten().to_numpy(False)
        offsets = range(0, len(values) + 1, lists.type.list_size)
    return [
        values[start:end].astype("int64").tobytes() for start, end in pairwise(offsets)
    ]


def _config(model: Any) -> Any:
    """The model's configuration; None for a module of torch without one."""
    return getattr(model, "config", None)


def _base_model(model: Any) -> Any:
    return getattr(model.config, "_name_or_path", None)


def _trainable(model: Any) -> Iterator[Any]:
    return (p for p in model.parameters() if p.requires_grad)


def _quantization(model: Any) -> Any:
    quantization = getattr(_config(model), "quantization_config", None)
    to_dict = getattr(quantization, "to_dict", None)
    return quantization if to_dict is None else to_dict()


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
