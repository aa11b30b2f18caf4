"""The rules of the `sftguide.early_termination` block."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .sizes import Size
from .validation import Block


def _yaml_off(value: Any) -> Any:
    """YAML 1.1 reads a bare `off` as false."""
    return "off" if value is False else value


Action = Annotated[Literal["off", "warn", "stop"], BeforeValidator(_yaml_off)]


class NonFiniteSettings(Block):
    """A loss or gradient norm that is NaN or infinite."""

    action: Action = "stop"
    """`off`, `warn` or `stop`."""
    steps: int = Field(5, ge=1)
    """Consecutive non-finite optimizer steps that trigger the rule."""


class DivergenceSettings(Block):
    """A loss or norm that leaves the run's recent level and does not come back."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default that of `early_termination`."""
    window: int = Field(64, ge=8)
    """Number of accepted optimizer steps that define the recent level."""
    sigmas: float = Field(6.0, gt=0)
    """Distance from the level, in robust standard deviations (1.4826 x MAD)."""
    margin: float = Field(0.1, ge=0)
    """Minimum distance from the level, as a share of it."""
    norm_margin: float = Field(9.0, ge=0)
    """The same for the gradient norm: 9.0 allows ten times its level."""
    patience: int = Field(24, ge=2)
    """Consecutive optimizer steps above the limit that trigger the rule."""


class NotLearningSettings(Block):
    """A run that does not learn: no gradient, no trained tokens, or a flat loss."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default that of `early_termination`."""
    steps: int = Field(5, ge=1)
    """Consecutive optimizer steps with a zero gradient norm or no trained tokens."""
    share: float = Field(0.25, gt=0, lt=0.5)
    """Share of the run before a flat loss is a warning; it may stop the run after
    twice this share."""
    grace: int = Field(100, ge=8)
    """Optimizer steps that stand for this share if the length of the run is unknown."""
    sigmas: float = Field(2.5, gt=0)
    """Minimum fall of the loss, in standard errors, that shows that a run learns."""
    margin: float = Field(0.03, ge=0)
    """Maximum change of the loss, as a share of its initial value and noise included,
    of a run that is stopped."""
    patience: int = Field(16, ge=1)
    """Consecutive optimizer steps with a flat loss that trigger the rule."""


class ComparisonSettings(Block):
    """A run with a higher norm and a lower loss than a finished, scored reference."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default `warn`, unless `early_termination` is off. It
    stops a run only if the early signals of earlier runs agree with their scores."""
    reference: str = "best"
    """A run id, or `best`: the best-scored comparable run of the study."""
    grace: int = Field(32, ge=1)
    """Optimizer steps before the first comparison."""
    window: int = Field(16, ge=2)
    """Number of optimizer steps over which both runs are averaged."""
    sigmas: float = Field(3.0, gt=0)
    """Minimum difference of each signal, in standard errors of the difference."""
    margin: float = Field(0.03, ge=0)
    """Minimum difference of each signal, as a share of the reference's value."""
    patience: int = Field(24, ge=1)
    """Consecutive optimizer steps with both signals worse that trigger the rule."""


class CohortSettings(Block):
    """A run with a higher norm and a lower loss than most of the finished runs."""

    action: Action | None = None
    """`off`, `warn` or `stop`; as for `comparison`."""
    quantile: float = Field(0.5, gt=0, lt=1)
    """Quantile of the peers' norms and losses to compare with."""
    least_peers: int = Field(8, ge=2)
    """Minimum number of finished, scored, comparable runs to stop a run."""
    grace: int = Field(32, ge=1)
    """Optimizer steps before the first comparison."""
    window: int = Field(16, ge=2)
    """Number of optimizer steps over which the run is averaged."""
    sigmas: float = Field(3.0, ge=0)
    """Minimum difference of each signal, in standard errors of the run's mean."""
    patience: int = Field(24, ge=1)
    """Consecutive optimizer steps with both signals worse that trigger the rule."""


class ParkingSettings(Block):
    """Trials of a sweep that end early with a checkpoint, and may be resumed."""

    chance: float = Field(0.5, gt=0, lt=1)
    """Maximum chance to beat the best finished run at which a trial is parked; with 0.1
    fewer are parked, and the best run is lost more often."""
    disk: Size = 20 * 2**30
    """Maximum size of the parked checkpoints of a sweep together, such as 20GiB."""


class PredictionSettings(Block):
    """A run whose predicted score is hardly above that of the best finished run."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default that of `early_termination`."""
    chance: float = Field(0.02, gt=0, lt=1)
    """Maximum chance to beat the best finished run; 0.1 stops about twice as
    many runs, and somewhat more often the best one."""
    worst: float = Field(1 / 3, gt=0, le=1)
    """The loss must lie in this share of the finished runs with the highest losses."""
    looks: int = Field(2, ge=1)
    """Looks in a row, one every 5% of the run, at which both must hold."""
    parking: ParkingSettings | None = None
    """What a sweep parks before it is certain; without this block, nothing."""

    @model_validator(mode="after")
    def _parked_before_given_up(self) -> PredictionSettings:
        if self.parking is not None and self.parking.chance < self.chance:
            raise ValueError(
                f"parking.chance {self.parking.chance:g} is below chance "
                f"{self.chance:g}, at which parked trials are resumed; write at least "
                f"parking.chance: {self.chance:g}"
            )
        return self


class EvaluationSettings(Block):
    """A metric of the host's own evaluations that no longer improves."""

    action: Action = "stop"
    """`off`, `warn` or `stop`; does not follow that of `early_termination`."""
    patience: int = Field(3, ge=1)
    """Consecutive evaluations without an improvement that trigger the rule."""
    min_delta: float = Field(0.0, ge=0)
    """Only a change by more than this is an improvement."""
    metric: str = Field("eval_loss", min_length=1)
    """A metric of the host's evaluations; `eval_` in front may be left out."""
    goal: Literal["min", "max"] | None = Field(None, validate_default=True)
    """`min` or `max`; by default `min` for a loss, and required for other metrics."""

    @field_validator("goal")
    @classmethod
    def _goal_is_known(cls, goal: str | None, info: ValidationInfo) -> str:
        metric = str(info.data.get("metric", "loss"))
        if goal is None and "loss" not in metric:
            raise ValueError(f"must be 'min' or 'max' for the metric {metric}")
        return goal or "min"


class EarlyTerminationSettings(Block):
    """The rules that judge a run, and the action of each."""

    action: Action = "warn"
    """Action of the rules that do not set their own, except for `non_finite` and
    `evaluation`; `comparison` and `cohort` warn at most."""
    metric: str | None = Field(None, min_length=1)
    """Score by which `comparison`, `cohort` and `prediction` judge; by default the one
    that most finished runs have. In a sweep, that by which trials are compared."""
    non_finite: NonFiniteSettings = NonFiniteSettings()
    divergence: DivergenceSettings = DivergenceSettings()
    not_learning: NotLearningSettings = NotLearningSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    cohort: CohortSettings = CohortSettings()
    prediction: PredictionSettings = PredictionSettings()
    evaluation: EvaluationSettings | None = None
    """Patience on the host's evaluations; without this block the rule is off."""
