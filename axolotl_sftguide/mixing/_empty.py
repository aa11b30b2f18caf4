"""When a mix is refused because a part of it came to nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config.mix_settings import MixSettings, SourceSettings
from ..errors import MixError
from ..units import count
from ._plan import Plan
from ._refusals import rows


def refuse_empty(
    settings: MixSettings, source_of: NDArray[np.uint16], made: Plan
) -> None:
    """Refuse a mix in which a share, a limit or `held_out` came to nothing.

    Args:
        settings: The settings of the mix.
        source_of: The source of each usable row.
        made: The plan.

    Raises:
        MixError: With the counts, one line for each.
    """
    written = np.bincount(source_of[made.train], minlength=len(settings.sources))
    empty = [i for i, left in enumerate(made.available) if not left]
    lines = [
        _empty(own, index, source_of, made)
        for index, own in enumerate(settings.sources)
        if index in empty and (own.share is not None or made.not_drawn.get(index))
    ]
    if not lines:
        lines = [
            _empty(own, index, source_of, made)
            for index, own in enumerate(settings.sources)
            if index not in empty and not written[index]
        ]
    if not len(made.train) and not lines:
        lines.append(f"Nothing to mix: none of {rows(len(source_of))} is left")
    if settings.held_out and not len(made.held_out):
        lines.append(
            f"held_out: {settings.held_out:g} of {rows(len(source_of))} is less than "
            "one row; raise or remove it"
        )
    if lines:
        raise MixError("\n".join(lines))


def _empty(
    own: SourceSettings, index: int, source_of: NDArray[np.uint16], made: Plan
) -> str:
    """Why a source has no row in the mix."""
    usable = int((source_of == index).sum())
    duplicates = sum(n for (a, _), n in made.duplicates.items() if a == index)
    near = int((source_of[made.near.rows] == index).sum())
    excluded, not_drawn = made.excluded.get(index, 0), made.not_drawn.get(index, 0)
    reasons = {
        "duplicates": duplicates,
        "near-duplicates": near,
        "in an excluded file": excluded,
        "not drawn": not_drawn,
        "held out": usable - duplicates - near - excluded - not_drawn,
    }
    why = ", ".join(f"{count(n)} {what}" for what, n in reasons.items() if n)
    given = f"share is {own.share:g}, but " if own.share is not None else ""
    return f"{own.path}: {given}none of its {rows(usable)} is left ({why})"
