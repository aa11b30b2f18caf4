"""Curves as braille characters: each has two by four dots.

Of the curves that meet in a character, the one that was drawn last is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

from rich.text import Text

_BLANK = 0x2800
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot, by column and by row from the top."""

_LEAST_PARTS = 24
"""Stretches of a short curve whose means are drawn."""

Pair = tuple[float, float]


class Canvas:
    """A grid of characters to draw curves on.

    Args:
        columns: Its width in characters.
        lines: Its height in characters.
        xs: The values at its left and right edge.
        ys: The values at its lower and upper edge, both positive if `log`.
        log: Whether the vertical scale is logarithmic.
        plain: Whether to draw with `*` and `.`, for terminals without UTF-8.
    """

    def __init__(
        self,
        columns: int,
        lines: int,
        xs: Pair,
        ys: Pair,
        *,
        log: bool = False,
        plain: bool = False,
    ) -> None:
        self.columns, self.lines = columns, lines
        self._xs, self._log, self._plain = xs, log, plain
        self._ys = (self._scaled(ys[0]), self._scaled(ys[1]))
        self._dots = [[0] * columns for _ in range(lines)]
        self._styles = [[""] * columns for _ in range(lines)]
        self._marks: dict[tuple[int, int], str] = {}

    def line(self, pairs: Iterable[Pair], style: str) -> None:
        """Draw a curve, connected: means of at least four values where it has many."""
        pairs = list(pairs)
        covered = len({self._column(x) for x, _ in pairs})
        parts = max(min(len(pairs), _LEAST_PARTS), len(pairs) / 4, 1)
        last: tuple[int, int] | None = None
        for column, value in self._means(pairs, math.ceil(covered / parts)):
            row = self._row(value)
            if last is None:
                self._set(column, row, style)
            else:
                self._connect(last, (column, row), style)
            last = column, row

    def dots(self, pairs: Iterable[Pair], style: str) -> None:
        """Draw a curve, dotted; what lies outside the canvas is left out."""
        means = self._means(pairs)
        for (x0, y0), (x1, y1) in pairwise(means):
            for column in range(x0, x1 + 1):
                # Dots stand apart, so that the curves differ without colours too.
                row = self._row(y0 + (y1 - y0) * (column - x0) / (x1 - x0), clip=False)
                if not column % 2 and 0 <= row < 4 * self.lines:
                    self._set(column, row, style)

    def mark(self, x: float, sign: str, style: str, line: int = 0) -> None:
        """Put a character into one line of the canvas."""
        column = min(max(0, self._column(x) // 2), self.columns - 1)
        self._marks[line, column] = sign
        self._styles[line][column] = style

    def rows(self) -> list[Text]:
        """The lines of the canvas, from the top."""
        found = []
        for line in range(self.lines):
            text = Text()
            for column in range(self.columns):
                text.append(self._character(line, column), self._styles[line][column])
            found.append(text)
        return found

    def _character(self, line: int, column: int) -> str:
        mark = self._marks.get((line, column))
        if mark is not None:
            return mark
        dots = self._dots[line][column]
        if not dots:
            return " "
        if self._plain:
            return "*" if "bold" in self._styles[line][column] else "."
        return chr(_BLANK | dots)

    def _means(self, pairs: Iterable[Pair], width: int = 1) -> list[tuple[int, float]]:
        """The mean of the finite values in each stretch of some columns of dots."""
        parts: dict[int, list[tuple[int, float]]] = {}
        for x, y in pairs:
            if math.isfinite(y) and self._xs[0] <= x <= self._xs[1]:
                column = self._column(x)
                parts.setdefault(column // width, []).append((column, y))
        return [
            (part[-1][0], math.fsum(y for _, y in part) / len(part))
            for _, part in sorted(parts.items())
        ]

    def _column(self, x: float) -> int:
        width = self._xs[1] - self._xs[0]
        most = 2 * self.columns - 1
        return round((x - self._xs[0]) / width * most) if width else most

    def _row(self, y: float, *, clip: bool = True) -> int:
        low, high = self._ys
        most = 4 * self.lines - 1
        above = (self._scaled(y) - low) / (high - low) if high > low else 0.5
        row = round((1 - above) * most)
        return min(max(0, row), most) if clip else row

    def _scaled(self, y: float) -> float:
        return math.log(max(y, 1e-30)) if self._log else y

    def _connect(
        self, start: tuple[int, int], end: tuple[int, int], style: str
    ) -> None:
        (x0, y0), (x1, y1) = start, end
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for i in range(1, steps + 1):
            x, y = x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps
            self._set(round(x), round(y), style)

    def _set(self, column: int, row: int, style: str) -> None:
        line, across = row // 4, column // 2
        if self._styles[line][across] != style:
            self._dots[line][across] = 0
            self._styles[line][across] = style
        self._dots[line][across] |= _BITS[column % 2][row % 4]
