"""Draws one run of signals.json as an SVG with two charts, in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, CHART, TOP, GAP, FOOT = 600, 62, 22, 132, 30, 44, 46

STYLE = """
.back{fill:#fff}text{fill:#3b3f45;font:17px sans-serif}.grid{stroke:#d9dce0}
.line{fill:none;stroke:#1f5fae;stroke-width:1.6}.eval{stroke:#b3470f;stroke-width:2}
.dot,.word{fill:#b3470f}.found{stroke:#a3123c;stroke-width:1.5;stroke-dasharray:5 4}
.verdict{fill:#a3123c}
@media(prefers-color-scheme:dark){
.back{fill:#1a1c1f}text{fill:#ced2d8}.grid{stroke:#3a3f46}.line{stroke:#8ab8f5}
.eval{stroke:#f0a35e}.dot,.word{fill:#f0a35e}.found{stroke:#ff8fab}.verdict{fill:#ff8fab}}
"""

TITLES = {
    "healthy": "A healthy run: the loss falls and the gradient norm keeps its level",
    "epochs": "A healthy run of six epochs: the loss falls on as the rows come back",
    "diverged": "A run that diverged: loss and gradient norm leave their level",
    "too-high": "A learning rate that is too high: the loss settles at a poor level",
    "idle": "A run that does not learn: the loss keeps its level",
    "spike": "A spike that recovers: a few broken rows, and the loss returns",
    "overfitting": "Overfitting: the training loss falls and the evaluation loss rises",
}


LOSS_TOP = {"healthy": 3.0, "epochs": 3.0, "overfitting": 3.0}
NORM_TOP = {"diverged": 1e5}
"""Where a chart ends, for runs that have single values far above the rest."""


@dataclass(frozen=True)
class Axis:
    """Values from bottom to top of one chart."""

    low: float
    high: float
    top: float
    log: bool

    def y(self, value: float) -> float:
        low, high, at = (
            map(math.log, (self.low, self.high, max(value, self.low)))
            if self.log
            else (self.low, self.high, value)
        )
        return self.top + CHART * (1 - (at - low) / (high - low))

    @property
    def ticks(self) -> list[float]:
        if not self.log:
            step = _nice((self.high - self.low) / 3)
            first = math.ceil(self.low / step - 1e-9)
            return [i * step for i in range(first, int(self.high / step + 1e-9) + 1)]
        first, last = math.log10(self.low), math.log10(self.high)
        whole = range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1)
        if len(whole) >= 2:
            return [10.0**i for i in whole][:: 1 + len(whole) // 5]
        scale = 10.0 ** math.floor(first)
        steps = [scale * m for m in (1, 2, 5, 10, 20, 50, 100)]
        return [value for value in steps if self.low <= value <= self.high]


def figure(name: str, run: dict[str, Any]) -> str:
    """The SVG of a run: the loss above, the gradient norm before clipping below."""
    steps = len(run["loss"])
    height = TOP + 2 * CHART + GAP + FOOT
    title = TITLES[name]
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="t">',
        f'<title id="t">{escape(title)}</title><style>{STYLE}</style>',
        f'<rect class="back" width="{WIDTH}" height="{height}" rx="6"/>',
    ]
    evaluated = [(step, loss) for step, loss in run["evaluations"]]
    losses = _up_to(LOSS_TOP.get(name, math.inf), run["loss"])
    body += _chart("loss", TOP, losses, steps, evaluated)
    below = TOP + CHART + GAP
    norms = _up_to(NORM_TOP.get(name, math.inf), run["grad_norm"])
    body += _chart("gradient norm", below, norms, steps, [])
    body += _verdicts(run["verdicts"], steps, below + CHART)
    for step in range(0, steps + 1, _step_ticks(steps)):
        where = f'x="{_x(step, steps):.1f}" y="{below + CHART + 19}"'
        body.append(f'<text {where} text-anchor="middle">{step}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    body.append(
        f'<text x="{middle}" y="{height - 7}" text-anchor="middle">'
        f"optimizer step ({run['batch']} samples each)</text></svg>"
    )
    return "\n".join(body) + "\n"


def _chart(
    name: str,
    top: float,
    values: Sequence[float | None],
    steps: int,
    evaluated: Sequence[tuple[int, float]],
) -> list[str]:
    known = [v for v in values if v is not None] + [v for _, v in evaluated]
    log = max(known) > 5 * max(1.0, min(known))
    pad = 1.15 if log else 1.04
    low = min(known) / pad if log else 0.0
    axis = Axis(low, max(known) * pad, top, log)
    drawn = [
        f'<text x="{LEFT}" y="{top - 8}">{name}{", log scale" if log else ""}</text>'
    ]
    for tick in axis.ticks:
        y = axis.y(tick)
        drawn.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 7}" y="{y + 6:.1f}" text-anchor="end">{tick:g}</text>'
        )
    points = [(step, value) for step, value in enumerate(values, 1)]
    drawn.append(f'<path class="line" d="{_path(points, axis, steps)}"/>')
    if evaluated:
        drawn.append(f'<path class="line eval" d="{_path(evaluated, axis, steps)}"/>')
        drawn += [
            f'<circle class="dot" r="3" cx="{_x(step, steps):.1f}" '
            f'cy="{axis.y(value):.1f}"/>'
            for step, value in evaluated
        ]
        drawn.append(
            f'<text class="word" x="{WIDTH - RIGHT}" y="{top - 8}" '
            'text-anchor="end">dots: evaluation loss</text>'
        )
    return drawn


def _up_to(most: float, values: Sequence[float | None]) -> list[float | None]:
    return [value if (value or 0) <= most else None for value in values]


def _verdicts(verdicts: Sequence[dict[str, Any]], steps: int, foot: float) -> list[str]:
    drawn = []
    for row, verdict in enumerate(verdicts[:2]):
        x = _x(verdict["step"], steps)
        side = "end" if x > WIDTH * 0.6 and not row else "start"
        shift = -7 if side == "end" else 6
        drawn.append(
            f'<path class="found" d="M{x:.1f} {TOP - 24 + 28 * row}V{foot}"/>'
            f'<text class="verdict" x="{x + shift:.1f}" y="{TOP - 8 + 22 * row}" '
            f'text-anchor="{side}">{verdict["rule"]}, step {verdict["step"]}</text>'
        )
    return drawn


def _path(points: Sequence[tuple[int, float | None]], axis: Axis, steps: int) -> str:
    """The line through the points, with a gap where a value is not finite."""
    parts, pen = [], "M"
    for step, value in points:
        if value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{_x(step, steps):.1f} {axis.y(value):.1f}")
        pen = "L"
    return "".join(parts)


def _x(step: float, steps: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * step / steps


def _step_ticks(steps: int) -> int:
    return int(_nice(steps / 6))


def _nice(size: float) -> float:
    """The nearest of 1, 2 and 5 times a power of ten that is not below a size."""
    scale = 10.0 ** math.floor(math.log10(size))
    return next(scale * m for m in (1, 2, 5, 10) if scale * m >= size * 0.999)
