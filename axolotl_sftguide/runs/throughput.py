"""Samples a second that earlier runs had, by what they were trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from .history import Run


@dataclass(frozen=True, slots=True)
class Throughput:
    """Of runs like a configuration, on one kind of device."""

    device: str
    samples_per_s: float
    """Of one device: the median of the runs."""
    runs: int


def past_throughput(runs: Iterable[Run], config: Mapping[str, Any]) -> list[Throughput]:
    """What runs of the same model, adapter, length and packing had, fastest first.

    Samples take as long as they are long: of other data the rate is another.

    Args:
        runs: Of the history.
        config: Of Axolotl.
    """
    rates: dict[str, list[float]] = defaultdict(list)
    wanted = _traits(config)
    for run in runs:
        rate, ranks = run.samples_per_s, run.key_fields.get("ranks")
        if rate and ranks and run.device and _traits_of(run.key_fields) == wanted:
            rates[run.device].append(rate / ranks)
    found = [Throughput(name, median(each), len(each)) for name, each in rates.items()]
    return sorted(found, key=lambda t: -t.samples_per_s)


def _traits(config: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        str(config.get("base_model")),
        bool(config.get("adapter")),
        bool(config.get("load_in_4bit")),
        config.get("sequence_len"),
        bool(config.get("sample_packing")),
    )


def _traits_of(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    quantization = fields.get("quantization") or {}
    return (
        str(fields.get("base_model")),
        bool(fields.get("adapter")),
        bool(quantization.get("load_in_4bit")),
        fields.get("sequence_len"),
        bool(fields.get("packing")),
    )
