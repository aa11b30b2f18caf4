"""The output of `sftguide next`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..units import count, duration, number
from .common import echo, echo_styled

if TYPE_CHECKING:
    from ..guidance import Advice, Guidance, Record, Unclear
    from ..runs.history import Run

_WIDTH = 80


def print_guidance(
    run: Run, record: Record, guidance: Guidance, written: Path | None
) -> None:
    """What to change, what is supported, what is unclear, and what is missing."""
    _line(_outcome(run, record), 0)
    _title("change")
    for place, advice in enumerate(guidance.advice, 1):
        _advice(place, advice)
    if not guidance.advice:
        _line("nothing, by these records", 2)
    if guidance.kept:
        _title("keep")
        for line in guidance.kept:
            _line(line, 2, 4)
    if guidance.unclear:
        _title("unclear")
        for question in guidance.unclear:
            _line(_question(question), 2, 4)
    if guidance.missing:
        _title("not recorded")
        for gap in guidance.missing:
            _line(f"{gap.about}: {gap.record}", 2, 4)
            _line(gap.how, 4)
    _next(run, record, guidance, written)


def _outcome(run: Run, record: Record) -> str:
    text = (
        f"{run.name}: {run.shown_status} at step {count(run.step)} of "
        f"{count(run.max_steps)}"
    )
    if record.epochs is not None:
        text += f", {number(record.epochs, 2)} epochs of {count(record.rows)} rows"
    if record.result is not None:
        text += f"; {record.result.metric} {number(record.result.value)}"
    settings = {other.setting for other in record.others} - {record.setting}
    if settings:
        text += (
            f"; {len(settings)} other setting{'s' * (len(settings) > 1)} in study "
            f"{run.study}"
        )
    return text


def _advice(place: int, advice: Advice) -> None:
    _line(f"{place}. {advice.text}  ({advice.certainty} certainty)", 2, 5)
    for reason in advice.reasons:
        mark = f" [{reason.claim}]" if reason.claim else ""
        _line(f"{reason.text}{mark}", 5, 7, "- ")


def _question(question: Unclear) -> str:
    from ..guidance import shown

    now = "" if question.now is None else f" {shown(question.now)}"
    marks = "".join(f" [{claim}]" for claim in question.claims)
    others = ", ".join(map(shown, question.alternatives))
    tries = f"; try {others}" if others else ""
    return f"{question.key}{now}: {question.text}{marks}{tries}"


def _next(run: Run, record: Record, guidance: Guidance, written: Path | None) -> None:
    from ..guidance import trials

    claims = [
        *(r.claim for advice in guidance.advice for r in advice.reasons if r.claim),
        *(claim for question in guidance.unclear for claim in question.claims),
    ]
    lines = []
    several = len(trials(record, guidance))
    cost = f"{several} configs"
    if record.seconds:
        cost += f", about {duration(several * record.seconds)} at this run's pace"
    if written is not None:
        config = run.config.get("axolotl_config_path")
        lines.append(f"sftguide sweep {config} {written}")
        lines.append(f"# {cost}")
    elif several > 1 and run.host == "axolotl":
        lines.append(f"sftguide next {run.id} --sweep next.yml")
        lines.append(f"# writes a sweep of {cost}")
    if claims:
        lines.append(f"sftguide evidence {claims[0]}")
    if lines:
        _title("next")
    for line in lines:
        echo(f"  {line}")


def _title(text: str) -> None:
    echo_styled(f"\n{click.style(text, bold=True)}")


def _line(text: str, indent: int, further: int | None = None, mark: str = "") -> None:
    """A line, wrapped below its indent."""
    filled = textwrap.fill(
        text,
        _WIDTH,
        initial_indent=" " * indent + mark,
        subsequent_indent=" " * (indent if further is None else further),
        break_long_words=False,
        break_on_hyphens=False,
    )
    echo(filled)


def as_dict(
    run: Run, record: Record, guidance: Guidance, written: Path | None
) -> dict[str, Any]:
    """All of it as plain values, for JSON."""
    return {
        "run": {"id": run.id, "name": run.name, "status": run.shown_status},
        "goal": record.goal,
        "compared_settings": len(
            {other.setting for other in record.others} - {record.setting}
        ),
        "advice": [advice.to_dict() for advice in guidance.advice],
        "keep": list(guidance.kept),
        "unclear": [question.to_dict() for question in guidance.unclear],
        "missing": [gap.to_dict() for gap in guidance.missing],
        "sweep": None if written is None else str(written),
    }
