"""All findings by weight, and what a run would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import _host, _numbers
from ._finding import Finding, Weight
from ._view import View

_ALWAYS: tuple[Callable[[View], Iterator[Finding]], ...] = (
    _host.unknown_keys,
    _host.own_block,
    _host.traps,
    _host.kernels,
    _host.fused_loss,
    _host.reproducibility,
    _host.schedules,
)
_OF_SFT: tuple[Callable[[View], Iterator[Finding]], ...] = (
    _host.batches,
    _host.data,
    _numbers.rate,
    _numbers.batch,
    _numbers.epochs,
    _numbers.adapters,
)


def advise(
    config: Mapping[str, Any],
    *,
    rows: int | None = None,
    ranks: int = 1,
    parameters: int | None = None,
    model_type: str | None = None,
) -> list[Finding]:
    """What evidence and the host's behaviour say of a configuration of Axolotl.

    Args:
        config: As it is written in YAML, before Axolotl's own validation.
        rows: Of the training data after preparation; without them nothing is said
            of what depends on them.
        ranks: Data-parallel ranks.
        parameters: Of the model, where they are known; what was shown for models of
            billions is not held against a small one.
        model_type: Of the model's `config.json`, where it is known.

    Returns:
        The weightiest first; in the order of the configuration where they weigh the
        same.
    """
    view = View(config, rows, ranks, parameters, model_type)
    found = [finding for rule in _ALWAYS for finding in rule(view)]
    if view.other_kind is not None:
        found.append(
            Finding(
                Weight.NOTE,
                "",
                None,
                f"trains {view.other_kind}: advice on batch, rate and data of SFT "
                "does not apply",
                "the findings on the host's behaviour do",
            )
        )
    else:
        found += [finding for rule in _OF_SFT for finding in rule(view)]
    order = {key: i for i, key in enumerate(config)}
    return sorted(
        found, key=lambda f: (f.weight, order.get(f.path.partition(".")[0], len(order)))
    )


def summary(
    config: Mapping[str, Any], *, rows: int | None = None, ranks: int = 1
) -> list[str]:
    """Four lines: the model, the data, the step, the schedule."""
    view = View(config, rows, ranks)
    kind = "full fine-tuning" if view.training == "full" else str(view.get("adapter"))
    bits = " in 4 bits" if view.get("load_in_4bit") else ""
    return [
        f"model     {view.get('base_model', 'none')}, {kind}{bits}",
        f"data      {_data(view)}",
        f"step      {_step(view)}",
        f"schedule  {_schedule(view)}",
    ]


def _data(view: View) -> str:
    if view.mix is not None:
        phases = view.mix.get("phases") or []
        count = f"{len(phases)} phases {view.mix.get('strategy', 'stacked')}"
    else:
        count = f"{len(view.sources)} dataset{'s' * (len(view.sources) != 1)}"
    rows = "" if view.rows is None else f", {view.rows:,} rows"
    packed = ", packed" if view.packed else ""
    return f"{count}{rows}, up to {view.get('sequence_len', 512)} tokens{packed}"


def _step(view: View) -> str:
    micro = view.get("micro_batch_size", 1)
    if "effective_batch_size" in view.block:
        wanted = view.block["effective_batch_size"]
        return f"{wanted} samples over all ranks, accumulation derived"
    made = f"{micro} x {view.accumulation} x {view.ranks} rank{'s' * (view.ranks > 1)}"
    if view.packed:
        return f"{made} rows of several samples each"
    return f"{view.samples} samples = {made}"


def _counted(number: float | None, word: str) -> str:
    return f"{number:g} {word}{'s' * (number != 1)}"


def _schedule(view: View) -> str:
    length = (
        f"{view.steps} steps"
        if view.steps is not None
        else _counted(view.number("num_epochs", 1), "epoch")
    )
    rate = view.get("learning_rate", "none")
    warmup = view.config.get("warmup_steps", view.config.get("warmup_ratio"))
    warm = "warm-up of 3%" if warmup is None else f"warm-up {warmup}"
    return f"{rate} {view.get('lr_scheduler', 'cosine')}, {warm}, {length}"
