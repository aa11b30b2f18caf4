"""The curves of one run: its steps, sources, evaluations, limits and noise scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.rule_settings import EarlyTerminationSettings
from ..config.settings import BLOCK, load_settings
from ..errors import SettingsError
from ..runs.history import Run
from ..runs.traces import MEMORY_EVENT, Trace
from ..signals import Observation, Point
from ..signals.noise_scale import WINDOW, NoiseScale, estimate
from ..signals.sources import (
    HELD_OUT_EVENT,
    TRAINING_EVENT,
    held_out,
    read_events,
    sources_apart,
)
from ..stopping.limits import divergence_limits
from ..stopping.objectives import PREFERENCE, REINFORCEMENT, SUPERVISED
from ._thin import Series, averaged, rounded, series, thinned

_LIMITS = 80
"""Points of a curve of limits; the level of a run moves slowly."""

_NOISE_LOOKS = 12
"""Points at which the noise scale of a run is estimated."""

_SPEEDS = ("_runtime", "_per_second", "_preparation_time")
"""How the names of an evaluation's figures end that are no metric of the model."""


@dataclass(frozen=True)
class Material:
    """What is recorded of one run."""

    run: Run
    trace: Trace | None
    """None if the run has none, or it cannot be read."""
    points: Sequence[Point]
    """Its curve in the run history."""

    @property
    def observations(self) -> Sequence[Observation]:
        """The optimizer steps; none without a trace."""
        return self.trace.observations if self.trace else ()

    @property
    def peak_bytes(self) -> int | None:
        """The most memory that torch held on the GPU; None if it is not recorded."""
        peaks = [
            event.get("peak_bytes")
            for event in (self.trace.events if self.trace else ())
            if event["event"] == MEMORY_EVENT
        ]
        known = [peak for peak in peaks if isinstance(peak, int)]
        return max(known, default=None)


def step_curves(
    material: Material, by_steps: bool, most: int, *, means: int
) -> dict[str, Any]:
    """Loss and gradient norm, thinned; the steps of verdicts are kept.

    Args:
        material: What is recorded of the run.
        by_steps: Whether curves are over steps.
        most: Points of one curve.
        means: Points of smoothed curves, for charts of many runs; 0 for none.
    """
    judged = {d.step for d in material.run.decisions}
    observations = material.observations
    keep = [i for i, o in enumerate(observations) if o.step in judged]
    whole = {name: _whole(material, name, by_steps) for name in ("loss", "grad_norm")}
    found: dict[str, Any] = {
        "curves": _drawable({n: thinned(c, most, keep) for n, c in whole.items()})
    }
    if means:
        found["means"] = _drawable({n: averaged(c, means) for n, c in whole.items()})
    return found


def _whole(material: Material, name: str, by_steps: bool) -> Series:
    if material.observations:
        pairs = ((_x(o, by_steps), getattr(o, name)) for o in material.observations)
        return series(pairs)
    points = () if by_steps else material.points
    return series((p.samples_seen, getattr(p, name)) for p in points)


def _drawable(curves: dict[str, Series]) -> dict[str, Any]:
    """Plain values of the curves that have any."""
    return {
        name: curve.to_dict()
        for name, curve in curves.items()
        if any(y == y for y in curve.ys)
    }


def limit_curves(material: Material, by_steps: bool) -> dict[str, Any]:
    """The limits of the divergence rule over the run, by the rule itself."""
    run = material.run
    settings = rule_settings(run)
    if settings is None or not material.observations:
        return {}
    objectives = {o.name: o for o in (PREFERENCE, REINFORCEMENT)}
    objective = objectives.get(str(run.key_fields.get("objective")), SUPERVISED)
    limits = divergence_limits(
        settings,
        material.observations,
        objective=objective,
        max_steps=run.max_steps or None,
        most=_LIMITS,
    )
    return _drawable(
        {
            name: series(
                (one.step if by_steps else one.samples_seen, getattr(one, name))
                for one in limits
            )
            for name in ("loss", "grad_norm")
        }
    )


def rule_settings(run: Run) -> EarlyTerminationSettings | None:
    """The rules' settings in the run's config; the defaults if it has none.

    None if this version cannot read them.
    """
    block = run.config.get(BLOCK)
    own = block.get("early_termination") if isinstance(block, dict) else None
    try:
        return load_settings({"early_termination": own or {}}).early_termination
    except SettingsError:
        return None


def source_curves(
    material: Material, by_steps: bool, most: int, *, means: bool
) -> dict[str, Any]:
    """The loss of each source in training and held out, and which ones differ.

    Args:
        material: What is recorded of the run.
        by_steps: Whether curves are over steps.
        most: Points of one curve.
        means: Whether to give smoothed curves instead, for charts of many runs.
    """
    thin = averaged if means else thinned
    trace = material.trace
    if trace is None:
        return {}
    at = _samples_by_step(material.observations)
    found: dict[str, Any] = {}
    for name, event in (("training", TRAINING_EVENT), ("held_out", HELD_OUT_EVENT)):
        parts = read_events(trace.events, event)
        names = dict.fromkeys(source for part in parts for source in part.loss)
        curves = {
            source: series(
                (part.step if by_steps else at(part.step), part.loss[source])
                for part in parts
                if source in part.loss
            )
            for source in names
        }
        if curves:
            found[name] = _drawable({n: thin(c, most) for n, c in curves.items()})
    apart = sources_apart(held_out(read_events(trace.events, HELD_OUT_EVENT)))
    return {**found, "apart": apart} if apart else found


def evaluation_curves(material: Material, by_steps: bool, most: int) -> dict[str, Any]:
    """The losses of the host's own evaluations, by metric."""
    trace = material.trace
    if trace is None:
        return {}
    at = _samples_by_step(material.observations)
    found: dict[str, list[tuple[int, float]]] = {}
    for event in trace.events:
        metrics = event.get("metrics") if event["event"] == "evaluation" else None
        if not isinstance(metrics, dict):
            continue
        step = int(event.get("step", 0))
        for name, value in metrics.items():
            if name.endswith("loss") and not name.endswith(_SPEEDS):
                x = step if by_steps else at(step)
                found.setdefault(name, []).append((x, float(value)))
    return _drawable(
        {
            name: thinned(series(pairs), most)
            for name, pairs in found.items()
            if len(pairs) > 1
        }
    )


def noise(material: Material, by_steps: bool, *, over: bool) -> dict[str, Any]:
    """The noise scale at the end, and over the run if requested, with 95% intervals."""
    observations = material.observations
    last = estimate(observations)
    if last is None:
        return {}
    found: dict[str, Any] = {"says": last.advice(), "batch": rounded(last.batch_size)}
    if last.withheld is None:
        found |= _figures(last)
    looks = list(_noise_looks(observations, by_steps)) if over else []
    if len(looks) > 1:
        found["over"] = looks
    return found


def _noise_looks(
    observations: Sequence[Observation], by_steps: bool
) -> Iterator[dict[str, Any]]:
    measured = [i for i, o in enumerate(observations) if o.grad_noise is not None]
    for look in range(1, _NOISE_LOOKS + 1):
        last = len(measured) * look // _NOISE_LOOKS - 1
        if last < 0:
            continue
        # Each measured step is compared with the one before it.
        begin = max(0, measured[max(0, last - WINDOW)] - 1)
        end = measured[last] + 1
        one = estimate(observations[begin:end])
        if one is not None and one.withheld is None:
            yield {"x": _x(observations[end - 1], by_steps), **_figures(one)}


def _figures(found: NoiseScale) -> dict[str, float | None]:
    return {
        "scale": rounded(found.simple),
        "low": rounded(found.simple_low),
        "high": rounded(found.simple_high),
    }


def _x(observation: Observation, by_steps: bool) -> int:
    return observation.step if by_steps else observation.samples_seen


def _samples_by_step(observations: Sequence[Observation]) -> Any:
    """A function from a step to the samples seen by then; 0 before the first."""
    known = {o.step: o.samples_seen for o in observations}
    last = observations[-1].samples_seen if observations else 0

    def at(step: int) -> int:
        return 0 if step <= 0 else known.get(step, last)

    return at
