"""A rich console that removes control characters from names and reasons."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ..safe_text import without_controls


class SafeConsole(Console):
    """A console that prints no control characters but rich's own."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of a renderable."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                # Left out and not replaced: rich counts them as having no width.
                yield Segment(without_controls(segment.text), segment.style)
