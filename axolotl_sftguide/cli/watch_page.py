"""`sftguide runs watch`: one run as a screen of text, of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from ..runs.axes import axis_figure, limits, right_edge
from ..runs.history import Decision, Run
from ..runs.live import Earlier, LiveRun
from ..runs.log_line import evaluation_parts, pace, rate
from ..safe_text import masked
from ..signals import Point, point_steps
from ..units import count, duration, number, share
from .braille import Canvas
from .tables import COLOUR

OWN = "bold cyan"
EARLIER = "bright_black"
_AXIS = 8
"""Columns for the figures of a vertical axis, and the line beside them."""
_LEAST_CHART = 4
"""Lines below which a chart shows nothing."""
_MOST_CHART = 16
_SIGN = {"warn": ("▼", "yellow"), "stop": ("■", "red"), "park": ("■", "yellow")}
_CHARTS = (("loss", "loss"), ("grad_norm", "gradient norm"))


@dataclass(frozen=True)
class WatchPage:
    """The screen, which `rich` draws in the terminal's current size."""

    live: LiveRun
    earlier: Sequence[Earlier] = ()
    others: int = 0
    """Earlier runs in all, also those that are not drawn."""
    note: str = ""
    """The text at the bottom."""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        width, height = options.max_width, options.height or console.size.height
        plain = "utf" not in console.encoding.lower()
        head, tail = self._head(width, plain), self._tail(width, height)
        room = height - len(head) - len(tail) - 1
        charts = _CHARTS[: min(2, max(0, room // (_LEAST_CHART + 1)))]
        lines = [*head]
        for index, (name, title) in enumerate(charts):
            # The first chart has the line that is left over.
            tall = min((room + len(charts) - 1 - index) // len(charts) - 1, _MOST_CHART)
            lines += self._chart(name, title, width, tall, plain)
        if charts:
            lines.append(self._axis(width))
        lines += tail
        for line in lines[:height]:
            line.truncate(width, overflow="crop" if plain else "ellipsis")
            line.no_wrap = True
            yield line

    def _head(self, width: int, plain: bool) -> list[Text]:
        live, run = self.live, self.live.run
        status = run.shown_status
        first = Text()
        first.append(run.name, "bold")
        first.append(f"  {status}", COLOUR[status])
        first.append(f"  step {count(live.step)} of {count(run.max_steps)}")
        first.append(f" ({share(live.step, run.max_steps)})")
        if not live.ended and live.left_s is not None and live.step:
            first.append(f"  left {duration(live.left_s)}")
        study = f"study {run.study}"
        gap = width - first.cell_len - len(study)
        if gap > 1:
            first.append(" " * gap + study, EARLIER)
        return [first, _bar(live.step, run.max_steps, width, plain)]

    def _chart(
        self, name: str, title: str, width: int, tall: int, plain: bool
    ) -> list[Text]:
        own = [(float(s.samples_seen), getattr(s, name)) for s in self.live.steps]
        end = right_edge(self.live)
        others = [
            [(float(p.samples_seen), getattr(p, name)) for p in one.points]
            for one in self.earlier
        ]
        seen = [y for pairs in others for x, y in pairs if x <= end]
        edges, log = limits([y for _, y in own], seen)
        canvas = Canvas(width - _AXIS, tall, (0.0, end), edges, log=log, plain=plain)
        for pairs in others:
            canvas.dots(pairs, EARLIER)
        canvas.line(own, OWN)
        for x, y in own:
            if not math.isfinite(y):
                canvas.mark(x, "x", "red", line=tall - 1)
        for decision in self.live.decisions:
            sign, style = _SIGN.get(decision.action, ("", ""))
            if sign:
                canvas.mark(float(decision.samples_seen), "!" if plain else sign, style)
        return [self._title(name, title, log, own), *_framed(
            canvas, edges, plain
        )]  # fmt: skip

    def _title(
        self, name: str, title: str, log: bool, own: Sequence[tuple[float, float]]
    ) -> Text:
        text = Text().append(f"{title} ", "bold")
        text.append(number(own[-1][1]) if own else "-", OWN)
        text.append(", logarithmic" if log else "")
        if name == "loss":
            for part in evaluation_parts(self.live.evaluation)[:3]:
                text.append(f"  {part}")
        if name == "loss" and self.others:
            of = f"{len(self.earlier)} of " if len(self.earlier) < self.others else ""
            plural = "s" * (self.others != 1)
            text.append(f"   dots: {of}{self.others} earlier run{plural}", EARLIER)
        return text

    def _axis(self, width: int) -> Text:
        last = f"{count(round(right_edge(self.live)))} samples"
        left = " " * (_AXIS - 1) + "0"
        return Text(f"{left}{last:>{max(0, width - len(left))}}", EARLIER)

    def _tail(self, width: int, height: int) -> list[Text]:
        live, run = self.live, self.live.run
        facts = [
            f"{count(live.samples_seen)} samples",
            pace(live.step_s),
            None if live.learning_rate is None else f"lr {rate(live.learning_rate)}",
            f"{_samples_per_s(live)} samples/s" if _samples_per_s(live) else None,
            run.device,
        ]
        lines = [Text("  ".join(fact for fact in facts if fact))]
        if isinstance(next(iter(live.steps), None), Point):
            every = point_steps(run.max_steps)
            means = f": means of {every} steps" if every > 1 else ""
            lines.append(Text(f"its trace is not on this machine{means}"))
        if live.fault:
            lines.append(Text(f"not up to date: {live.fault}", "yellow"))
        lines += self._verdicts(width, height)
        if self.note:
            lines.append(Text(self.note, EARLIER))
        return lines

    def _verdicts(self, width: int, height: int) -> list[Text]:
        found = list(self.live.decisions)
        if not found:
            return [Text("no warnings", EARLIER)]
        most = max(1, height // 8)
        lines = []
        if len(found) > most:
            lines.append(Text(f"and {len(found) - most} before:", EARLIER))
        for decision in found[-most:]:
            lines += _wrapped(verdict_line(decision), width, 2)
        return lines


def verdict_line(decision: Decision) -> Text:
    """What a rule decided, when and why."""
    style = _SIGN.get(decision.action, ("", ""))[1]
    text = Text().append(decision.shown_action, style)
    text.append(f" at step {count(decision.step)} by {decision.rule}: ")
    text.append(masked(decision.reason))
    return text


def ending(run: Run) -> str:
    """How a run ended, in one line."""
    status = run.shown_status
    at = f"at step {count(run.step)} of {count(run.max_steps)}"
    how = {
        "finished": "finished",
        "terminated": f"was stopped {at}",
        "parked": f"was parked {at}; its sweep may resume it",
        "failed": f"failed {at}",
        "dead": f"is gone {at}: its process was killed, or its machine went down",
    }.get(status, status)
    why = f": {run.reason}" if run.reason else ""
    return f"{run.name} ({run.id}) {how}{why}"


def _samples_per_s(live: LiveRun) -> str | None:
    if not live.step or not live.step_s:
        return None
    return number(live.samples_seen / live.step / live.step_s, 3)


def _bar(step: int, steps: int, width: int, plain: bool) -> Text:
    done = round(width * min(1.0, step / steps)) if steps else 0
    text = Text(("=" if plain else "━") * done, "cyan")
    return text.append(("-" if plain else "─") * (width - done), EARLIER)


def _framed(canvas: Canvas, edges: tuple[float, float], plain: bool) -> list[Text]:
    rows = canvas.rows()
    lines = []
    for index, row in enumerate(rows):
        edge = {0: edges[1], len(rows) - 1: edges[0]}.get(index)
        figure = "" if edge is None else axis_figure(edge)
        beside = "|" if plain else ("┤" if edge is not None else "│")
        line = Text().append(f"{figure:>{_AXIS - 1}}{beside}", EARLIER)
        lines.append(line.append_text(row))
    return lines


def _wrapped(text: Text, width: int, most: int) -> list[Text]:
    lines = list(text.wrap(Console(width=width), width))
    if len(lines) > most:
        lines = lines[:most]
        lines[-1].append(" ...")
    return lines
