"""All findings by weight, and a summary of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import (
    _entries,
    _harmful,
    _host,
    _keys,
    _mismatch,
    _model_fit,
    _needs,
    _numbers,
    _own_block,
    _pairs,
    _plugins,
    _precision,
    _public_data,
    _refused,
    _run_length,
    _schedule_kwargs,
    _templates,
    _tokenizer,
    _untrained,
)
from ._files import other_file
from ._finding import Finding, Weight
from ._placeholders import without_placeholders
from ._summary import run_summary
from ._view import View

_ALWAYS: tuple[Callable[[View], Iterator[Finding]], ...] = (
    _keys.values,
    _keys.unknown_keys,
    _plugins.plugins,
    _refused.combinations,
    _refused.removed_keys,
    _refused.adapters,
    _refused.rate_is_number,
    _refused.dataset_types,
    _refused.closed_values,
    _refused.ranges,
    _own_block.own_block,
    _pairs.packing,
    _pairs.adapter_keys,
    _pairs.evaluation,
    _pairs.best_model,
    _pairs.warmup,
    _pairs.checkpoints,
    _mismatch.evaluation_memory,
    _pairs.parallel,
    _needs.inert_keys,
    _schedule_kwargs.schedule_kwargs,
    _untrained.full_precision,
    _untrained.frozen,
    _untrained.saved_modules,
    _untrained.best_value,
    _run_length.length,
    _run_length.held_out,
    _run_length.cadence,
    _run_length.long_warmup,
    _precision.precision,
    _entries.entries,
    _public_data.public_data,
    _templates.templates,
    _templates.unused_template,
    _templates.tools,
    _tokenizer.added_tokens,
    _tokenizer.special_tokens,
    _tokenizer.other_tokenizer,
    _tokenizer.model_file,
    _harmful.over_the_base,
    _harmful.kept_checkpoint,
    _harmful.random_weights,
    _harmful.small_range,
    _harmful.secrets,
    _harmful.watchdog,
    _model_fit.no_targets,
    _model_fit.targets,
    _model_fit.experts,
    _model_fit.layer_numbers,
    _model_fit.layer_class,
    _model_fit.positions,
    *_mismatch.RULES,
    _host.traps,
    _host.kernels,
    _host.trackers,
    _host.fused_loss,
    _host.reproducibility,
    _host.schedules,
)
_FOR_SFT: tuple[Callable[[View], Iterator[Finding]], ...] = (
    _host.batches,
    _host.data,
    _numbers.rate,
    _numbers.batch,
    _numbers.beta2,
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
    model: Mapping[str, Any] | None = None,
    steps: int | None = None,
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
        model: The model's `config.json`, if known.
        steps: Number of optimizer steps, if it was counted on the prepared rows.

    Returns:
        The most serious findings first; those of one weight by what they cost, and
        then in the config's order.
    """
    other = other_file(config)
    if other is not None:
        return [other]
    config, found, filled = without_placeholders(config)
    model = model or {}
    model_type = model_type or model.get("model_type")
    model_type = model_type if isinstance(model_type, str) else None
    view = View(config, rows, ranks, parameters, model_type, model, steps)
    missing = ("required-key", "no-data", "no-seed", "warmup-default")
    found += [
        finding
        for rule in _ALWAYS
        for finding in rule(view)
        if not (finding.path in filled and finding.id in missing)
    ]
    if view.other_kind is not None:
        found.append(
            Finding(
                Weight.NOTE,
                "",
                None,
                f"This config is for {view.other_kind}",
                "advice on batch size, learning rate and data of SFT does not apply",
                "Findings on Axolotl's own behaviour still apply",
                id="other-training",
            )
        )
    else:
        found += [finding for rule in _FOR_SFT for finding in rule(view)]
    order = {key: i for i, key in enumerate(config)}
    return sorted(
        _once(found),
        key=lambda f: (
            f.weight,
            f.cost,
            order.get(f.path.partition(".")[0], len(order)),
        ),
    )


def _once(found: list[Finding]) -> Iterator[Finding]:
    """One finding for each path and kind; a refused value needs no other finding."""
    refused = {f.path for f in found if f.id in ("bad-value", "removed-key")}
    seen = set()
    for finding in found:
        if finding.path in refused and finding.id not in ("bad-value", "removed-key"):
            continue
        if (finding.id, finding.path) not in seen:
            seen.add((finding.id, finding.path))
            yield finding


def summary(
    config: Mapping[str, Any],
    *,
    rows: int | None = None,
    ranks: int = 1,
    steps: int | None = None,
) -> list[str]:
    """Summarise in four lines what a run will do: model, data, step and schedule."""
    return run_summary(View(config, rows, ranks, counted_steps=steps))
