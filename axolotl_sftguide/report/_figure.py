"""One run as a static SVG: loss and gradient norm, with the earlier runs behind it.

It has no scripts and loads nothing, so that every notebook, and GitHub, shows it. Its
colours can be read on white and on black.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from statistics import fmean

from ..runs.axes import axis_figure, limits, right_edge
from ..runs.history import Run
from ..runs.live import Earlier, LiveRun
from ..runs.log_line import evaluation_parts
from ..safe_text import printable
from ..signals import Point
from ..units import count, duration, number, share
from ._thin import series, thinned

WIDTH = 900
_PANEL_W, _PANEL_H = 385, 190
_LEFT, _TOP = 55, 68
_MOST = 400
"""Points of a curve."""
_SMOOTH = 60
"""Points of the smoothed curve."""
_LEAST_SMOOTH = 12
"""A smoothed curve needs at least this many points."""
_MOST_VERDICTS = 6
_TEXT, _FAINT = "#7a7a7a", "#9a9a9a"
_OWN = "#2a8bbf"
_VERDICT = {"warn": "#c98500", "park": "#c98500", "stop": "#d64545"}

Pair = tuple[int, float]


@dataclass(frozen=True)
class _Panel:
    """The place of one chart, and its scales."""

    x: float
    end: float
    edges: tuple[float, float]
    log: bool

    def place(self, x: float, y: float) -> tuple[float, float]:
        low, high = map(self._scaled, self.edges)
        value = self._scaled(min(max(y, self.edges[0]), self.edges[1]))
        up = (value - low) / (high - low)
        return self.x + x / self.end * _PANEL_W, _TOP + (1 - up) * _PANEL_H

    def _scaled(self, y: float) -> float:
        return math.log(y) if self.log else y


def figure_of(live: LiveRun, earlier: Sequence[Earlier], others: int) -> str:
    """The figure.

    Args:
        live: The run.
        earlier: Earlier runs to draw behind it.
        others: How many earlier runs there are.
    """
    verdicts = list(_verdicts(live))
    height = _TOP + _PANEL_H + 34 + 18 * len(verdicts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{_text(alternative(live))}</title>",
        *_head(live, len(earlier), others),
    ]
    for index, (name, title) in enumerate(
        (("loss", "loss"), ("grad_norm", "gradient norm"))
    ):
        x = _LEFT + index * (_PANEL_W + _LEFT + 5)
        parts += _panel(live, earlier, name, title, x)
    for index, (words, colour) in enumerate(verdicts):
        y = _TOP + _PANEL_H + 46 + 18 * index
        parts.append(f'<text x="{_LEFT}" y="{y}" fill="{colour}">{_text(words)}</text>')
    return "\n".join([*parts, "</svg>"])


def alternative(live: LiveRun) -> str:
    """A description of the figure."""
    run, last = live.run, live.steps[-1] if live.steps else None
    figures = ""
    if last is not None:
        figures = f", loss {number(last.loss)}, gradient norm {number(last.grad_norm)}"
    return printable(f"{run.name}: {_state(run, live)}{figures}")


def _state(run: Run, live: LiveRun) -> str:
    done = f"step {count(live.step)} of {count(run.max_steps)}"
    left = (
        "" if live.ended or live.left_s is None else f", {duration(live.left_s)} left"
    )
    return f"{run.shown_status}, {done} ({share(live.step, run.max_steps)}){left}"


def _head(live: LiveRun, drawn: int, others: int) -> Iterator[str]:
    run = live.run
    scores = [f"{s.metric} {number(s.value)}" for s in run.scores]
    facts = [*(scores or evaluation_parts(live.evaluation))[:2]]
    if others:
        of = f"{drawn} of " if drawn < others else ""
        facts.append(f"grey: {of}{others} earlier run{'s' * (others != 1)}")
    yield (
        f'<text x="{_LEFT}" y="20" fill="{_TEXT}" font-size="14">'
        f'<tspan font-weight="bold">{_text(run.name)}</tspan> '
        f"<tspan>{_text(_state(run, live))}</tspan></text>"
    )
    yield f'<text x="{_LEFT}" y="38" fill="{_TEXT}">{_text("; ".join(facts))}</text>'


def _panel(
    live: LiveRun, earlier: Sequence[Earlier], name: str, title: str, x: float
) -> Iterator[str]:
    end = right_edge(live)
    own = [(s.samples_seen, float(getattr(s, name))) for s in live.steps]
    others = [_few(_cut(one.points, name, end), _SMOOTH) for one in earlier]
    edges, log = limits([y for _, y in own], [y for o in others for _, y in o])
    panel = _Panel(x, end, edges, log)
    scale = ", logarithmic" if log else ""
    yield f'<text x="{x}" y="{_TOP - 6}" fill="{_TEXT}">{title}{scale}</text>'
    yield from _axes(panel)
    for pairs in others:
        seen = [(x, y if edges[0] <= y <= edges[1] else math.nan) for x, y in pairs]
        yield _line(panel, seen, _FAINT, 1, 0.45)
    if isinstance(next(iter(live.steps), None), Point):
        yield _line(panel, own, _OWN, 2, 1)
    else:
        smooth = _smooth(own)
        raw = _few(own, _MOST)
        yield _line(panel, raw, _OWN, 1 if smooth else 2, 0.4 if smooth else 1)
        yield _line(panel, smooth, _OWN, 2, 1)
    for decision in live.decisions:
        colour = _VERDICT.get(decision.action)
        if colour is not None and decision.samples_seen <= end:
            at, _ = panel.place(decision.samples_seen, edges[0])
            yield (
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" '
                f'y2="{_TOP + _PANEL_H}" stroke="{colour}" stroke-dasharray="4 3"/>'
            )
    for samples, y in _few(own, _MOST):
        if not math.isfinite(y):
            px, _ = panel.place(samples, edges[0])
            yield (
                f'<text x="{px - 4:.1f}" y="{_TOP + _PANEL_H - 4}" '
                f'fill="{_VERDICT["stop"]}">x</text>'
            )


def _axes(panel: _Panel) -> Iterator[str]:
    bottom, right = _TOP + _PANEL_H, panel.x + _PANEL_W
    yield (
        f'<path d="M{panel.x} {_TOP}V{bottom}H{right}" fill="none" stroke="{_FAINT}"/>'
    )
    low, high = panel.edges
    middle = math.sqrt(low * high) if panel.log else (low + high) / 2
    for value in (low, middle, high):
        _, y = panel.place(0, value)
        yield (
            f'<text x="{panel.x - 6}" y="{y + 4:.1f}" fill="{_TEXT}" '
            f'text-anchor="end">{axis_figure(value)}</text>'
        )
    yield f'<text x="{panel.x}" y="{bottom + 16}" fill="{_TEXT}">0</text>'
    yield (
        f'<text x="{right}" y="{bottom + 16}" fill="{_TEXT}" text-anchor="end">'
        f"{count(round(panel.end))} samples</text>"
    )


def _line(
    panel: _Panel, pairs: Iterable[Pair], colour: str, width: float, opacity: float
) -> str:
    path, pen = [], "M"
    for x, y in pairs:
        if not math.isfinite(y):
            pen = "M"  # a gap
            continue
        px, py = panel.place(x, y)
        path.append(f"{pen}{px:.1f} {py:.1f}")
        pen = "L"
    return (
        f'<path d="{"".join(path)}" fill="none" stroke="{colour}" '
        f'stroke-width="{width}" stroke-opacity="{opacity}" stroke-linejoin="round"/>'
    )


def _cut(points: Sequence[Point], name: str, end: float) -> list[Pair]:
    return [
        (p.samples_seen, float(getattr(p, name)))
        for p in points
        if p.samples_seen <= end
    ]


def _few(pairs: Sequence[Pair], most: int) -> list[Pair]:
    found = thinned(series(pairs), most)
    return list(zip(found.xs, found.ys, strict=True))


def _smooth(pairs: Sequence[Pair]) -> list[Pair]:
    """Means of at least four finite values, each in the middle of its stretch."""
    finite = [pair for pair in pairs if math.isfinite(pair[1])]
    parts = min(_SMOOTH, len(finite) // 4)
    if parts < _LEAST_SMOOTH:
        return []
    edges = [len(finite) * i // parts for i in range(parts + 1)]
    stretches = [finite[a:b] for a, b in pairwise(edges)]
    return [(part[len(part) // 2][0], fmean(y for _, y in part)) for part in stretches]


def _verdicts(live: LiveRun) -> Iterator[tuple[str, str]]:
    shown = list(live.decisions)[-_MOST_VERDICTS:]
    for decision in shown:
        text = (
            f"{decision.shown_action} at step {count(decision.step)} by "
            f"{decision.rule}: {decision.reason}"
        )
        short = text if len(text) <= 140 else f"{text[:137]}..."
        yield short, _VERDICT.get(decision.action, _TEXT)
    run = live.run
    if run.reason and run.status == "failed":
        yield f"failed: {run.reason}"[:140], _VERDICT["stop"]


def _text(text: str) -> str:
    """Text without what XML does not allow."""
    return escape("".join(c for c in text if c.isprintable()))
