"""The `sftguide:` block: one definition for Axolotl's YAML and for the callbacks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..errors import nearest_hint
from .mix_settings import MixSettings
from .validation import Block, parse

BLOCK = "sftguide"


def _yaml_off(value: Any) -> Any:
    """YAML 1.1 reads a bare `off` as false."""
    return "off" if value is False else value


Action = Annotated[Literal["off", "warn", "stop"], BeforeValidator(_yaml_off)]


class NonFiniteSettings(Block):
    """A loss or gradient norm that is NaN or infinite."""

    action: Action = "stop"
    """`off`, `warn` or `stop`."""
    steps: int = Field(5, ge=1)
    """Consecutive non-finite optimizer steps before the rule speaks."""


class DivergenceSettings(Block):
    """A loss or norm that leaves the run's own recent level and does not come back."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default that of `early_termination`."""
    window: int = Field(64, ge=8)
    """Accepted optimizer steps that make the recent level."""
    sigmas: float = Field(6.0, gt=0)
    """Distance from the level, in robust standard deviations (1.4826 x MAD)."""
    margin: float = Field(0.1, ge=0)
    """Least distance from the level, as a share of it."""
    norm_margin: float = Field(9.0, ge=0)
    """The same for the gradient norm: 9.0 lets it grow to ten times its level."""
    patience: int = Field(24, ge=2)
    """Consecutive optimizer steps above it, without recovering."""


class NotLearningSettings(Block):
    """A run that does not learn: no gradient, no trained tokens, or a flat loss."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default that of `early_termination`."""
    steps: int = Field(5, ge=1)
    """Consecutive optimizer steps with zero gradient norm or no trained tokens."""
    grace: int = Field(100, ge=8)
    """Optimizer steps before a flat loss is judged."""
    sigmas: float = Field(3.0, gt=0)
    """Least move of the loss, in standard errors of the difference."""
    margin: float = Field(0.02, ge=0)
    """Least move of the loss, as a share of where it began."""
    patience: int = Field(16, ge=1)
    """Consecutive optimizer steps on which it is found flat."""


class ComparisonSettings(Block):
    """A run with a higher norm and a lower loss than a finished, scored reference."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default that of `early_termination`."""
    reference: str = "best"
    """A run id, or `best`: the best-scored comparable run of the study."""
    grace: int = Field(32, ge=1)
    """Optimizer steps before the first comparison."""
    window: int = Field(16, ge=2)
    """Optimizer steps over which both runs are averaged."""
    sigmas: float = Field(3.0, gt=0)
    """Least difference in each signal, in standard errors of the difference."""
    margin: float = Field(0.03, ge=0)
    """Least difference in each signal, as a share of the reference's."""
    patience: int = Field(24, ge=1)
    """Consecutive optimizer steps on which both signals are worse."""


class CohortSettings(Block):
    """A run with a higher norm and a lower loss than most of the finished runs."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default that of `early_termination`."""
    quantile: float = Field(0.5, gt=0, lt=1)
    """Share of the peers whose norm is lower and whose loss is higher."""
    least_peers: int = Field(8, ge=2)
    """Finished, scored, comparable runs that a stop needs; fewer only warn."""
    grace: int = Field(32, ge=1)
    """Optimizer steps before the first comparison."""
    window: int = Field(16, ge=2)
    """Optimizer steps over which the run is averaged."""
    sigmas: float = Field(3.0, ge=0)
    """Least difference in each signal, in standard errors of the run's own mean."""
    patience: int = Field(24, ge=1)
    """Consecutive optimizer steps on which both signals are beyond."""


class EarlyTerminationSettings(Block):
    """Which rules judge the run, and what they may do."""

    action: Action = "warn"
    """What all rules but `non_finite` do unless they say otherwise."""
    non_finite: NonFiniteSettings = NonFiniteSettings()
    divergence: DivergenceSettings = DivergenceSettings()
    not_learning: NotLearningSettings = NotLearningSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    cohort: CohortSettings = CohortSettings()


class ScoreSettings(Block):
    """Held-out questions that are answered before and after the training."""

    data_path: str
    """JSONL of chat messages whose last turn is the right answer."""
    metric: str = "heldout_exact_match"
    """The name under which the score is recorded."""
    max_new_tokens: int = Field(16, ge=1)
    """Tokens generated for each answer, greedily."""
    batch_size: int = Field(64, ge=1)
    """Questions answered at once."""
    base: bool = True
    """Also score the model as it is before the first step."""
    compare_with: dict[str, float] = Field(default_factory=dict)
    """Scores to print beside it, such as chance: name and value."""


class MonitorSettings(Block):
    """What is watched and written."""

    trace: bool = True
    """Write one JSONL record per optimizer step into the output folder."""
    noise_scale: bool = False
    """Measure the gradient noise scale from the micro batches' gradients."""
    noise_scale_every: int = Field(4, ge=1)
    """Optimizer steps of which one is measured for it."""


class Settings(Block):
    """The whole `sftguide:` block."""

    study: str = Field("default", min_length=1)
    """Runs are compared inside a study and a comparability key."""
    storage: str | None = None
    """URL of the run history, or a path to an SQLite file."""
    name: str | None = None
    """The run's name; by default the name of its output folder."""
    seed_adapter: bool = False
    """Seed the random generators before Axolotl makes the adapter."""
    exact_accumulation: bool = False
    """Average the loss over all trained tokens of a step, over all ranks."""
    effective_batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """Samples of an optimizer step over all ranks, packed or not; `auto` chooses."""
    longest_first: bool = False
    """Begin with the longest rows: a card that is too small says so in two steps."""
    push_terminated: bool = False
    """Push a stopped run to the hub where `hub_model_id` is set."""
    monitor: MonitorSettings = MonitorSettings()
    early_termination: EarlyTerminationSettings = EarlyTerminationSettings()
    score: ScoreSettings | None = None
    mix: MixSettings | None = None
    """Phases to train on as one dataset, in the place of `datasets`."""


def load_settings(block: Any, *, path: str = BLOCK) -> Settings:
    """Settings from a plain mapping.

    Args:
        block: What stands under the key, or None where it is absent.
        path: The dotted path that error messages start with.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    if block is None:
        return Settings()
    settings: Settings = parse(Settings, block, path)
    return settings


def early_termination_settings(**keywords: Any) -> EarlyTerminationSettings:
    """The `early_termination` block from the keyword arguments of its callback.

    Raises:
        SettingsError: With every problem found.
    """
    settings: EarlyTerminationSettings = parse(
        EarlyTerminationSettings, keywords, "EarlyTerminationCallback"
    )
    return settings


def score_settings(**keywords: Any) -> ScoreSettings:
    """The `score` block from the keyword arguments of its callback.

    Raises:
        SettingsError: With every problem found.
    """
    settings: ScoreSettings = parse(ScoreSettings, keywords, "HeldOutScoreCallback")
    return settings


def misspelt_block(top_level_keys: Any) -> str | None:
    """The key that was probably meant to be `sftguide`, or None.

    Axolotl drops unknown top-level keys without a word.
    """
    for key in top_level_keys:
        squeezed = str(key).lower().replace("-", "").replace("_", "")
        if key != BLOCK and nearest_hint(squeezed, [BLOCK]) and "guid" in squeezed:
            return str(key)
    return None
