"""The `sftguide:` block: one definition for Axolotl's YAML and for the callbacks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ..errors import nearest_hint
from .mix_settings import MixSettings
from .rule_settings import EarlyTerminationSettings
from .validation import Block, parse

BLOCK = "sftguide"


class ScoreSettings(Block):
    """Held-out questions, answered before and after training."""

    data_path: str
    """JSONL file of chat messages whose last turn is the correct answer."""
    metric: str = "heldout_exact_match"
    """The name under which the score is recorded."""
    max_new_tokens: int = Field(16, ge=1)
    """Maximum number of tokens per answer, generated greedily."""
    batch_size: int = Field(64, ge=1)
    """Number of questions per batch."""
    base: bool = True
    """Also score the model before the first step."""
    compare_with: dict[str, float] = Field(default_factory=dict)
    """Scores to print beside the model's, such as chance: name and value."""


class MonitorSettings(Block):
    """What is measured and recorded."""

    trace: bool = True
    """Write one JSONL record per optimizer step to the output folder."""
    noise_scale: bool = False
    """Measure the gradient noise scale from the micro batches' gradients."""
    noise_scale_every: int = Field(4, ge=1)
    """Measure the noise scale every this many optimizer steps."""
    loss_by_source: str | None = None
    """Column of the data whose values are sources; one loss curve for each of them."""
    loss_by_source_every: int | None = Field(None, ge=1)
    """Measure it every this many optimizer steps; by default for 0.5% of their cost."""
    trackers: bool = True
    """Send warnings, the stop and scores to the trackers that the host reports to."""


class Settings(Block):
    """The `sftguide:` block."""

    study: str = Field("default", min_length=1)
    """Runs are compared within a study, if their comparability keys match."""
    storage: str | None = None
    """URL of the run history, or path of an SQLite file."""
    name: str | None = None
    """Name of the run; by default the name of its output folder."""
    seed_adapter: bool = False
    """Seed the random generators before Axolotl initialises the adapter."""
    exact_accumulation: bool = False
    """Average the loss over all trained tokens of a step, on all ranks."""
    effective_batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """Samples per optimizer step over all ranks, also with packing; or `auto`."""
    longest_first: bool = False
    """Start with the longest rows: out-of-memory errors appear within two steps."""
    push_terminated: bool = False
    """Push a stopped run to the Hub if `hub_model_id` is set."""
    log_lines: bool = False
    """Print a readable line for each log, in place of the host's dictionary."""
    monitor: MonitorSettings = MonitorSettings()
    early_termination: EarlyTerminationSettings = EarlyTerminationSettings()
    score: ScoreSettings | None = None
    mix: MixSettings | None = None
    """Phases to train on as one dataset, instead of `datasets`."""


def load_settings(block: Any, *, path: str = BLOCK) -> Settings:
    """Read the settings from a plain mapping.

    Args:
        block: The value of the `sftguide` key; None if it is missing.
        path: The dotted path at which error messages start.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    if block is None:
        return Settings()
    settings: Settings = parse(Settings, block, path)
    return settings


def early_termination_settings(**keywords: Any) -> EarlyTerminationSettings:
    """Read the callback's settings from its keyword arguments.

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
    """The key that is probably a misspelt `sftguide`, or None.

    Axolotl drops unknown top-level keys silently.
    """
    for key in top_level_keys:
        squeezed = str(key).lower().replace("-", "").replace("_", "")
        if key != BLOCK and nearest_hint(squeezed, [BLOCK]) and "guid" in squeezed:
            return str(key)
    return None
