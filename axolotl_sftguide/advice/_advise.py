"""All findings by weight, and a summary of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import _host, _keys, _numbers
from ._finding import Finding, Weight
from ._view import View

_ALWAYS: tuple[Callable[[View], Iterator[Finding]], ...] = (
    _keys.unknown_keys,
    _keys.own_block,
    _host.traps,
    _host.kernels,
    _host.fused_loss,
    _host.reproducibility,
    _host.schedules,
)
_FOR_SFT: tuple[Callable[[View], Iterator[Finding]], ...] = (
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
    """Check an Axolotl config against published evidence and Axolotl's behaviour.

    Args:
        config: The config as written in YAML, before Axolotl's own validation.
        rows: Number of training rows after preparation; without it, findings that
            depend on it are left out.
        ranks: Number of data-parallel ranks.
        parameters: Number of parameters of the model, if known; small models are not
            judged by what was shown for billions of parameters.
        model_type: The `model_type` in the model's `config.json`, if known.

    Returns:
        The most serious findings first; those of one weight in the config's order.
    """
    view = View(config, rows, ranks, parameters, model_type)
    found = [finding for rule in _ALWAYS for finding in rule(view)]
    if view.other_kind is not None:
        found.append(
            Finding(
                Weight.NOTE,
                "",
                None,
                f"This config is for {view.other_kind}",
                "advice on batch size, learning rate and data of SFT does not apply",
                "Findings on Axolotl's own behaviour still apply",
            )
        )
    else:
        found += [finding for rule in _FOR_SFT for finding in rule(view)]
    order = {key: i for i, key in enumerate(config)}
    return sorted(
        found, key=lambda f: (f.weight, order.get(f.path.partition(".")[0], len(order)))
    )


def summary(
    config: Mapping[str, Any], *, rows: int | None = None, ranks: int = 1
) -> list[str]:
    """Summarise a run in four lines: model, data, step and schedule."""
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


def _schedule(view: View) -> str:
    epochs = view.number("num_epochs", 1)
    if view.steps is not None:
        length = f"{view.steps:,} steps"
    elif epochs is None:
        length = f"num_epochs {view.get('num_epochs')!r} is not a number"
    else:
        length = f"{epochs:g} epoch{'s' * (epochs != 1)}"
    rate = view.get("learning_rate", "none")
    warmup = view.config.get("warmup_steps", view.config.get("warmup_ratio"))
    warm = "warmup 3%" if warmup is None else f"warmup {warmup}"
    return f"{rate} {view.get('lr_scheduler', 'cosine')}, {warm}, {length}"
