"""What the evidence leaves open, as a space for `sftguide sweep`.

A short list: the config as it is written, and one change at a time to each value for
which different studies found different ones best.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..evidence.effective_batch import KEY as BATCH_SIZE
from ._author import Authored
from ._choice import Choice
from ._layout import ABOVE, rows_a_sequence
from ._numbers import some_warmup
from ._yaml import scalar

_MOST = 6
_ORDER = ("learning_rate", BATCH_SIZE, "lr_scheduler")


def trials(made: Authored) -> list[tuple[str, dict[str, Any]]]:
    """The values of each trial, with what it is for; the written config first."""
    varied = [c for c in made.choices.unsure if c.alternatives and c.key in _ORDER]
    varied.sort(key=lambda choice: _ORDER.index(choice.key))
    changes = [
        (f"{choice.key.rpartition('.')[2]} {scalar(value)}", changed)
        for choice in varied
        for value in choice.alternatives
        if (changed := _changed(made, choice, value)) is not None
    ][: _MOST - 1]
    keys = dict.fromkeys(key for _, change in changes for key in change)
    base = {key: made.choices.value(key) for key in keys}
    return [
        ("as written", base),
        *((what, {**base, **change}) for what, change in changes),
    ]


def _changed(made: Authored, choice: Choice, value: Any) -> dict[str, Any] | None:
    """The keys that such a value changes; None if it cannot be reached."""
    if choice.key == BATCH_SIZE:
        return _of_batch(made, int(value))
    if choice.key == "lr_scheduler":
        warmup = 0 if value == "constant" else some_warmup(made.steps)
        return {"lr_scheduler": value, "warmup_steps": warmup}
    return {choice.key: value}


def _of_batch(made: Authored, samples: int) -> dict[str, Any] | None:
    micro = int(made.choices.value("micro_batch_size"))
    layout, gpus = made.candidate.layout, made.request.gpus
    per = rows_a_sequence(made.data, layout) * gpus
    if layout.packed:
        possible = [n for n in range(micro, 0, -1) if per * n <= ABOVE * samples]
    else:
        possible = [n for n in range(micro, 0, -1) if samples % (n * gpus) == 0]
    if not possible:
        return None
    changed: dict[str, Any] = {BATCH_SIZE: samples}
    if possible[0] != micro:
        changed["micro_batch_size"] = possible[0]
    return changed


def as_space(made: Authored, config: str, path: str) -> str:
    """The space as the text of a YAML file.

    Args:
        made: The config.
        config: Where the config is.
        path: Where the file will be.
    """
    return "\n".join(_lines(made, config, path)) + "\n"


def _lines(made: Authored, config: str, path: str) -> Iterator[str]:
    found = trials(made)
    yield f"# {len(found)} configs that cover what the evidence leaves open."
    yield "#"
    yield f"#   sftguide sweep {config} {path}"
    yield "#"
    for choice in made.choices.unsure:
        if choice.alternatives:
            yield f"# {choice.key.rpartition('.')[2]}: {choice.unsure}"
    score = "held-out loss" if made.candidate.evaluates else "score"
    yield f"# The best {score} decides."
    if made.choices.value("lr_scheduler") == "constant":
        yield "# Epochs are not varied: with a constant rate, the checkpoint of each"
        yield "# epoch is what a shorter run would have given."
    yield ""
    yield f"sftguide.study: {scalar(made.request.name + '-sweep')}"
    yield "_:"
    for what, values in found:
        yield f"  # {what}"
        for place, (key, value) in enumerate(values.items()):
            yield f"  {' ' if place else '-'} {key}: {scalar(value)}"
