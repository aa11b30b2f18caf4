"""Samples per second of earlier runs, by device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from .history import Run


@dataclass(frozen=True, slots=True)
class Throughput:
    """The throughput of runs like a configuration, on one kind of device."""

    device: str
    samples_per_s: float
    """Samples per second of one device, the median over the runs."""
    runs: int


def past_throughput(runs: Iterable[Run], config: Mapping[str, Any]) -> list[Throughput]:
    """Throughput of runs with the same model, adapter, length and packing.

    The fastest device comes first. The rate depends on the lengths of the samples, so
    it differs for other data.

    Args:
        runs: The runs of the history.
        config: An Axolotl config.
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
