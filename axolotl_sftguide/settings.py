"""The `sftguide:` block: one definition for Axolotl's YAML and for the callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from .errors import SettingsError, did_you_mean

BLOCK = "sftguide"


def _yaml_off(value: Any) -> Any:
    """YAML 1.1 reads a bare `off` as false."""
    return "off" if value is False else value


Action = Annotated[Literal["off", "warn", "stop"], BeforeValidator(_yaml_off)]


class _Block(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_settings_are_defaults(cls, data: Any) -> Any:
        """`monitor:` with nothing below it reads as null in YAML."""
        if not isinstance(data, Mapping):
            return data
        return {
            key: value
            for key, value in data.items()
            if value is not None or key not in cls.model_fields
        }


class NonFiniteSettings(_Block):
    """A loss or gradient norm that is NaN or infinite."""

    action: Action = "stop"
    """`off`, `warn` or `stop`."""
    steps: int = Field(5, ge=1)
    """Consecutive non-finite optimizer steps before the rule speaks."""


class DivergenceSettings(_Block):
    """A loss that leaves the run's own recent level and does not come back."""

    action: Action | None = None
    """`off`, `warn` or `stop`; by default that of `early_termination`."""
    window: int = Field(64, ge=8)
    """Accepted optimizer steps that make the recent level."""
    sigmas: float = Field(6.0, gt=0)
    """Distance from the level, in robust standard deviations (1.4826 x MAD)."""
    margin: float = Field(0.1, ge=0)
    """Least distance from the level, as a share of it."""
    patience: int = Field(24, ge=2)
    """Consecutive optimizer steps above it, without recovering."""


class NotLearningSettings(_Block):
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


class ComparisonSettings(_Block):
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


class CohortSettings(_Block):
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


class EarlyTerminationSettings(_Block):
    """Which rules judge the run, and what they may do."""

    action: Action = "warn"
    """What all rules but `non_finite` do unless they say otherwise."""
    non_finite: NonFiniteSettings = NonFiniteSettings()
    divergence: DivergenceSettings = DivergenceSettings()
    not_learning: NotLearningSettings = NotLearningSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    cohort: CohortSettings = CohortSettings()


class ScoreSettings(_Block):
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


class MonitorSettings(_Block):
    """What is watched and written."""

    trace: bool = True
    """Write one JSONL record per optimizer step into the output folder."""
    noise_scale: bool = False
    """Measure the gradient noise scale from the micro batches' gradients."""
    noise_scale_every: int = Field(4, ge=1)
    """Optimizer steps of which one is measured for it."""


class Settings(_Block):
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
    push_terminated: bool = False
    """Push a stopped run to the hub where `hub_model_id` is set."""
    monitor: MonitorSettings = MonitorSettings()
    early_termination: EarlyTerminationSettings = EarlyTerminationSettings()
    score: ScoreSettings | None = None


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
    settings: Settings = _parse(Settings, block, path)
    return settings


def early_termination_settings(**keywords: Any) -> EarlyTerminationSettings:
    """The settings of the callback, from its keyword arguments.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    settings: EarlyTerminationSettings = _parse(
        EarlyTerminationSettings, keywords, "EarlyTerminationCallback"
    )
    return settings


def misspelt_block(top_level_keys: Any) -> str | None:
    """The key that was probably meant to be `sftguide`, or None.

    Axolotl drops unknown top-level keys without a word.
    """
    for key in top_level_keys:
        squeezed = str(key).lower().replace("-", "").replace("_", "")
        if key != BLOCK and did_you_mean(squeezed, [BLOCK]) and "guid" in squeezed:
            return str(key)
    return None


def _parse(model: type[Any], block: Any, path: str) -> Any:
    if not isinstance(block, Mapping):
        raise SettingsError(
            [f"{path} must be a mapping of settings, got {block!r}; see the README"]
        )
    try:
        return model.model_validate(block)
    except ValidationError as error:
        raise SettingsError(
            [_problem(path, model, fault) for fault in error.errors()]
        ) from None


def _problem(path: str, model: type[BaseModel], fault: Any) -> str:
    location = [str(part) for part in fault["loc"]]
    dotted = ".".join([path, *location])
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return (
            f"{dotted} is not a setting{did_you_mean(location[-1], known)}"
            f" (known: {', '.join(known)})"
        )
    if fault["type"] == "missing":
        return f"{dotted} is missing: it has no default"
    return f"{dotted} {_rule(fault)}, got {fault['input']!r}{_way_out(fault)}"


def _rule(fault: Any) -> str:
    if fault["type"] in ("model_type", "dict_type"):
        return "must be a mapping of settings"
    return str(fault["msg"]).replace("Input should", "must").replace("Keys", "keys")


def _way_out(fault: Any) -> str:
    """What to write for a number that YAML reads as text, such as `1e-1`."""
    text = fault["input"]
    if fault["type"] not in ("float_type", "int_type") or not isinstance(text, str):
        return ""
    try:
        value = float(text)
    except ValueError:
        return ""
    if not isfinite(value) or (fault["type"] == "int_type" and value % 1):
        return ""
    written = f"{value:.0f}" if fault["type"] == "int_type" else _yaml_float(text)
    return f"; YAML takes it for text, write {written}"


def _yaml_float(text: str) -> str:
    """A number as YAML 1.1 wants it: with a dot, and a sign before the exponent."""
    mantissa, e, exponent = text.strip().lower().partition("e")
    mantissa += "" if "." in mantissa else ".0"
    sign = "+" if e and exponent[0].isdigit() else ""
    return f"{mantissa}{e}{sign}{exponent}"


def _keys_at(model: type[BaseModel], location: list[str]) -> list[str]:
    for part in location:
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        model = next(
            c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)
        )
    return sorted(model.model_fields)
