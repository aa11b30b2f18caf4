"""The text of a shipped recipe: an authored config, with a header of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ._author import Authored
from ._yaml import WIDTH, body, labelled, memory_text, needs
from .words import steps_text

_MADE = (
    "Written by the code of `sftguide new`: scripts/make_recipes.py in the project's "
    "repository. A key in brackets is a claim that `sftguide evidence KEY` shows "
    "(`[fits]`: chosen to fit the card's memory); `convention` marks a number that no "
    "claim supports."
)


@dataclass(frozen=True, slots=True)
class About:
    """Facts for the header of a recipe that do not follow from the config."""

    title: str
    what: str
    data: str
    licence: str
    """Of the model."""
    card: str
    measured: str = ""
    """Memory that was measured, and on what."""
    steps: str = ""
    """A further remark on the steps."""
    search: str = ""
    """The space for a sweep, relative to the recipe."""
    notes: Sequence[str] = ()


def as_recipe(made: Authored, about: About) -> str:
    """The config as the text of a shipped recipe.

    Args:
        made: The config; its name is the recipe's.
        about: What its header says.
    """
    return "\n".join((*_header(made, about), "", *body(made))) + "\n"


def _header(made: Authored, about: About) -> Iterator[str]:
    path = f"recipes/{made.request.name}.yml"
    yield f"# {about.title}"
    yield "#"
    yield from labelled("What:", [about.what])
    yield "#"
    yield from labelled("Data:", [about.data])
    yield from labelled("Need:", [f"{needs(made)}. {about.licence}"])
    yield from labelled("Node:" if made.request.gpus > 1 else "Card:", [about.card])
    rest = about.measured or "memory and time are not measured"
    yield from labelled("Memory:", [f"{memory_text(made)}; {rest}"])
    yield from labelled("Steps:", [steps_text(made) + about.steps])
    yield f"# Run:    axolotl train {path}"
    yield from _afterwards(made, path)
    if about.search:
        yield f"# Search: sftguide sweep {path} recipes/{about.search}"
        yield f"# brings: {about.search}"
    yield "#"
    for note in (*about.notes, _MADE):
        yield from textwrap.wrap(
            note, WIDTH, initial_indent="# ", subsequent_indent="# "
        )


def _afterwards(made: Authored, path: str) -> Iterator[str]:
    """The commands after the training: merge and score."""
    output = made.choices.value("output_dir")
    model = output
    first = "Then:"
    if made.candidate.is_adapter:
        yield f"# Then:   axolotl merge-lora {path}"
        model, first = f"{output}/merged", ""
    yield f"# {first:<8}lm-eval run --model hf --model_args pretrained={model} \\"
    yield f"#           --tasks mmlu,gsm8k --output_path {output}/lm-eval"
    results = f"{output}/lm-eval/*/results_*.json"
    yield f"#         sftguide runs score latest --lm-eval {results}"
    if not made.candidate.is_adapter:
        yield "#         (no merge: this is the model itself, not an adapter)"
