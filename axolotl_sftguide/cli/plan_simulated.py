"""`sftguide plan --simulate`: the memory of a step of transformers' own model code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import plan_page
from .common import echo, progress


@dataclass(frozen=True, slots=True)
class SimulatedPlan:
    """What a simulated step needs on one GPU."""

    step_bytes: int
    """Weights, gradients and activations at their largest sum."""
    optimizer_bytes: int
    slack_bytes: int
    """For CUDA's context and the allocator, assumed as in a plan by formula."""
    gpu_bytes: int
    not_simulated: tuple[str, ...]
    """Keys of the config that are left out."""

    @property
    def peak_bytes(self) -> int:
        """All of it."""
        return self.step_bytes + self.optimizer_bytes + self.slack_bytes

    @property
    def fits(self) -> bool:
        """Whether the peak is within the GPU's memory."""
        return self.peak_bytes <= self.gpu_bytes


def simulated_plan(
    config: Mapping[str, Any], model_config: Mapping[str, Any], gpu_bytes: int
) -> SimulatedPlan:
    """Simulate a step; this loads torch.

    Raises:
        SFTGuideError: If torch, transformers or peft is missing.
        PlanError: If the model cannot be simulated.
    """
    from ..errors import SFTGuideError
    from ..planning import slack_bytes

    try:
        from ..hosts.simulation import not_simulated, simulate
    except ImportError as error:
        raise SFTGuideError(
            f"--simulate needs torch, transformers and peft ({error})"
        ) from None
    with progress("simulating a step"):
        found = simulate(config, model_config)
    return SimulatedPlan(
        found.step_bytes,
        found.optimizer_bytes,
        slack_bytes(found.peak_bytes),
        gpu_bytes,
        tuple(not_simulated(config)),
    )


def as_dict(found: SimulatedPlan) -> dict[str, Any]:
    """The simulation as plain values, for JSON."""
    return {
        "peak_bytes": found.peak_bytes,
        "parts": [
            {"name": "simulated step", "bytes": found.step_bytes},
            {"name": "optimizer", "bytes": found.optimizer_bytes},
            {"name": "context and slack", "bytes": found.slack_bytes},
        ],
        "gpu_bytes": found.gpu_bytes,
        "fits": found.fits,
        "not_planned": list(found.not_simulated),
    }


def show(found: SimulatedPlan | None, model: str) -> None:
    """Print the simulation, if there is one."""
    if found is None:
        return
    rows = (
        ("simulated step", found.step_bytes, "weights, gradients and activations"),
        ("optimizer", found.optimizer_bytes, "by formula"),
        ("context and slack", found.slack_bytes, "assumed"),
        ("simulated peak", found.peak_bytes, "of transformers' own model code"),
    )
    for name, size, note in rows:
        echo(plan_page.memory_row(name, size, note))
    if found.not_simulated:
        plan_page.print_row("not simulated", ", ".join(found.not_simulated))
    verdict = "fits" if found.fits else "does not fit"
    gpu = f"{found.gpu_bytes / 2**30:.2f} GiB"
    echo(f"{model} {verdict} in {gpu} (simulated).\n")
