"""Which runs may be compared: the comparability key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .curves import POINT_STEPS

TOKEN_MEAN = "token mean"
"""The loss normalisation that does not depend on how a batch is split."""

BATCH_FIELDS = ("micro_batch_size", "gradient_accumulation_steps", "ranks")
"""The factors of the effective batch size."""


def comparability_key(fields: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits, equal if and only if all the fields are equal.

    Args:
        fields: JSON values by name: the host and its loss normalisation, base model,
            adapter, trainable parameters, data, sequence length, packing, batch,
            clipping, dtype. The caller leaves out what a sweep varies: learning rate,
            schedule, seed, number of steps.
    """
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def batch_ratio(fields: Mapping[str, Any], others: Mapping[str, Any]) -> float | None:
    """The other run's effective batch size over this one's; None if not comparable.

    With the ratio and the gradient noise, a norm can be converted from one batch size
    to the other. Two runs compare if their fields differ only in the batch and the
    loss is the mean over all trained tokens; otherwise splitting the batch changes
    the gradient.
    """
    if fields.get("loss_normalisation") != TOKEN_MEAN:
        return None
    rest, other = (
        {name: value for name, value in each.items() if name not in BATCH_FIELDS}
        for each in (fields, others)
    )
    sizes = [effective_batch_size(each) for each in (fields, others)]
    if comparability_key(rest) != comparability_key(other) or None in sizes:
        return None
    return sizes[1] / sizes[0]  # type: ignore[operator]


@dataclass(frozen=True)
class Candidate:
    """The run in question: it decides which finished runs it is compared with."""

    study: str
    key: str
    """Its comparability key."""
    fields: Mapping[str, Any] | None = None
    """The fields of the key. With them, runs that differ only in how they split the
    same batch are compared too, if the loss is the mean over all tokens."""
    noise_measured: bool = False
    """Whether it measures its gradient noise. Then runs of other batch sizes are
    compared too, with their gradient norms read at its own batch size."""
    without: str = ""
    """Its own id: a run is not compared with itself."""
    metric: str | None = None
    """The score by which the others are judged; None for the one that most have."""

    def batch_ratio_of(self, key: str, fields: Mapping[str, Any]) -> float | None:
        """Another run's batch size over its own; None if the two are not comparable."""
        if key == self.key:
            return 1.0
        ratio = None if self.fields is None else batch_ratio(self.fields, fields)
        return ratio if ratio == 1 or self.noise_measured else None

    def forecast_ratio_of(self, key: str, fields: Mapping[str, Any]) -> float | None:
        """The same; 1 if only the loss of the other run says something of its score."""
        ratio = self.batch_ratio_of(key, fields)
        if ratio is not None or self.fields is None:
            return ratio
        own = forecast_key(self.fields)
        return 1.0 if own is not None and own == forecast_key(fields) else None


FORECAST_FIELDS = (
    "host",
    "loss_normalisation",
    "base_model",
    "revision",
    "data",
    "objective",
)
"""What two runs must share so that the loss of one says something of the other's score.

Batch size, adapter, precision and all that a sweep varies may differ.
"""


def forecast_key(fields: Mapping[str, Any]) -> str | None:
    """Equal for runs whose scores may be predicted from one another's losses.

    None if the base model or the data are unknown.
    """
    if not fields.get("base_model") or not (fields.get("data") or {}).get("digest"):
        return None
    return comparability_key({name: fields.get(name) for name in FORECAST_FIELDS})


@dataclass(frozen=True, slots=True)
class Peer:
    """A finished, scored and comparable run of the candidate's study."""

    id: str
    name: str
    batch_ratio: float
    """Its batch size over the candidate's."""
    batch_size: int | None
    score: float | None
    """Its score on the candidate's metric, or else on the one that most peers share;
    higher is better. None if it has no such score."""
    metric: str = "score"
    sign: float = 1.0
    """-1 if lower values of the metric are better, so that `score` is negated."""
    point_steps: int = POINT_STEPS
    """Optimizer steps per point of its curve."""


def effective_batch_size(fields: Mapping[str, Any]) -> int | None:
    """Samples of an optimizer step over all ranks; with packing, bins."""
    size = 1
    for name in BATCH_FIELDS:
        factor = fields.get(name)
        if not isinstance(factor, int) or factor < 1:
            return None
        size *= factor
    return size


def _plain(value: Any) -> Any:
    # The order of a set differs between processes.
    return (
        sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)
    )
