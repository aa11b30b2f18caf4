"""The loss of each source of a run, for `sftguide runs show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape

from ..runs.traces import Trace
from ..signals.sources import (
    HELD_OUT_EVENT,
    TRAINING_EVENT,
    SourceLosses,
    held_out,
    read_events,
    sources_apart,
    total,
)
from ..units import count, number, share
from .sparkline import sparkline


def source_facts(trace: Trace, out: Console) -> Iterator[tuple[str, str]]:
    """The curve of each source in training and held out, and which ones differ."""
    trained = read_events(trace.events, TRAINING_EVENT)
    evaluated = read_events(trace.events, HELD_OUT_EVENT)
    drawable = "utf" in out.encoding.lower()
    yield from _curves("loss", trained, drawable)
    yield from _curves("held-out loss", evaluated, drawable)
    apart = sources_apart(held_out(evaluated))
    if apart is not None:
        yield "held-out", escape(apart)


def _curves(
    title: str, parts: Sequence[SourceLosses], drawable: bool
) -> Iterator[tuple[str, str]]:
    whole = total(parts)
    if whole is None:
        return
    tokens = sum(whole.tokens.values()) + whole.unknown_tokens
    for name, own in sorted(whole.tokens.items()):
        values = [part.loss[name] for part in parts if name in part.loss]
        line = f"{number(values[0])} to {number(values[-1])}"
        curve = sparkline(values) if drawable else ""
        measured = f"{count(own)} tokens measured, {share(own, tokens)}"
        text = f"{line:<20} {curve}".rstrip()
        yield f"{title} of {escape(name)}", f"{text}  ({measured})"
