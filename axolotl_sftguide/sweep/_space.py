"""The search space: what trials vary, and the config of one trial."""

from __future__ import annotations

import copy
import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import Field, model_validator

from ..config.validation import Block, parse, shown
from ..config.yaml_file import read_config
from ..errors import Problem, SettingsError

Number: TypeAlias = int | float

_PAIRED = "_"
"""The key of Axolotl's sweep files for keys that vary together."""

_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
"""A number such as `1e-4`, which YAML 1.1 reads as text."""


class Range(Block):
    """Numbers between two bounds, inclusive; integers if both bounds are."""

    low: int | float
    """Lowest value."""
    high: int | float
    """Highest value."""
    log: bool = False
    """Whether values are drawn on a log scale, as suits learning rates."""
    step: int | float | None = Field(None, gt=0)
    """Step between the values, from `low` on; None for any value."""

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log: true needs low above zero and no step")
        return self

    @property
    def whole(self) -> bool:
        """Whether the values are integers."""
        bounds = (self.low, self.high, self.step or 1)
        return all(isinstance(number, int) for number in bounds)

    def suggest(self, trial: Any, name: str) -> Number:
        """The value that Optuna's sampler chooses."""
        if self.whole:
            step = int(self.step or 1)
            low, high = int(self.low), int(self.high)
            return int(trial.suggest_int(name, low, high, step=step, log=self.log))
        chosen = trial.suggest_float(
            name, self.low, self.high, step=self.step, log=self.log
        )
        return float(chosen)

    def value_of(self, stored: Number) -> Number:
        """The value that Optuna has stored."""
        return stored


@dataclass(frozen=True)
class Choice:
    """One value out of a list, of any YAML type."""

    values: tuple[Any, ...]

    @property
    def labels(self) -> list[Any]:
        """The values in a form that Optuna stores: mappings and lists as JSON."""
        return [_label(value) for value in self.values]

    def suggest(self, trial: Any, name: str) -> Any:
        """The value that Optuna's sampler chooses."""
        return self.value_of(trial.suggest_categorical(name, self.labels))

    def value_of(self, stored: Any) -> Any:
        """The value with a label."""
        return self.values[self.labels.index(stored)]


@dataclass(frozen=True)
class SearchSpace:
    """What a sweep varies, by dotted key of the config."""

    parameters: Mapping[str, Range | Choice]
    fixed: Mapping[str, Any]
    """Values that are the same in all trials and replace those of the recipe."""

    @property
    def keys(self) -> list[str]:
        """All keys of the config that a trial may set."""
        found = [key for key in (*self.parameters, *self.fixed) if key != _PAIRED]
        paired = self.parameters.get(_PAIRED)
        values = paired.values if isinstance(paired, Choice) else ()
        return list(
            dict.fromkeys([*found, *(key for value in values for key in value)])
        )

    def combinations(self) -> list[dict[str, Any]] | None:
        """All possible trials as Optuna's parameters; None if there is a range.

        A space without choices has one combination, the empty one.
        """
        choices = list(self.parameters.values())
        if any(isinstance(choice, Range) for choice in choices):
            return None
        labels = [choice.labels for choice in choices if isinstance(choice, Choice)]
        names = list(self.parameters)
        return [
            dict(zip(names, values, strict=True))
            for values in itertools.product(*labels)
        ]

    def suggest(self, trial: Any) -> dict[str, Any]:
        """The values of one trial, by dotted key."""
        return {
            name: parameter.suggest(trial, name)
            for name, parameter in self.parameters.items()
        }

    def values_of(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The values of one trial, from the parameters that Optuna has stored."""
        return {
            name: parameter.value_of(stored[name])
            for name, parameter in self.parameters.items()
        }

    def apply(
        self, recipe: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The recipe with the fixed values and the values of one trial."""
        config = copy.deepcopy(dict(recipe))
        for key, value in {**self.fixed, **values}.items():
            if key == _PAIRED:
                for inner, own in value.items():
                    _set(config, inner, own)
            else:
                _set(config, key, value)
        return config


def read_space(path: str | Path) -> SearchSpace:
    """A search space from a YAML file.

    A list is a choice and `{low:, high:, log:, step:}` a range; any other value is the
    same in all trials. A file for `axolotl train --sweep` is a valid space.

    Raises:
        SettingsError: With one line for each problem.
    """
    problems: list[Problem] = []
    parameters: dict[str, Range | Choice] = {}
    fixed: dict[str, Any] = {}
    for key, value in _with_numbers(read_config(path)).items():
        dotted = f"{path}: {key}"
        try:
            found = _parameter(dotted, key, value)
        except SettingsError as error:
            problems.extend(error.problems)
            continue
        if isinstance(found, Choice) and len(found.values) == 1:
            fixed[key] = found.values[0]
        elif found is None:
            fixed[key] = value
        else:
            parameters[key] = found
    if problems:
        raise SettingsError(problems)
    return SearchSpace(parameters, fixed)


def _parameter(dotted: str, key: str, value: Any) -> Range | Choice | None:
    if isinstance(value, Mapping) and value.keys() & {"low", "high"}:
        found: Range = parse(Range, value, dotted)
        return found
    if key == _PAIRED and not _are_pairs(value):
        raise _refused(dotted, "must list mappings of keys that vary together")
    if not isinstance(value, list):
        return None
    if not value:
        raise _refused(dotted, "is an empty list; give at least one value")
    if any(isinstance(v, float) and not math.isfinite(v) for v in value):
        raise _refused(dotted, f"must contain only finite numbers, got {shown(value)}")
    choice = Choice(tuple(value))
    if len(set(map(repr, choice.labels))) < len(value):
        raise _refused(dotted, f"contains a value twice, got {shown(value)}")
    return choice


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, Mapping) and all(isinstance(key, str) for key in entry)
        for entry in value
    )


def _refused(dotted: str, message: str) -> SettingsError:
    return SettingsError([Problem(dotted, message)])


def _with_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_numbers(inner) for inner in value]
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    return value


def _label(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    try:
        return json.dumps(value, sort_keys=True, default=str)
    except TypeError:  # keys of several types have no order, or are no text
        return repr(value)


def _set(config: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        inner = config.get(parent)
        config[parent] = dict(inner) if isinstance(inner, Mapping) else {}
        config = config[parent]
    config[last] = copy.deepcopy(value)
