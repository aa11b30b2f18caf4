"""How `sftguide check` shows findings: as text, or as annotations on GitHub."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..safe_text import masked, printable, shown

if TYPE_CHECKING:
    from ..advice import Examined, Finding

_HEADINGS = {
    "wrong": ("Wrong", "red"),
    "against": ("Advised against", "yellow"),
    "note": ("Note", "cyan"),
}
_WIDEST = 100
_GITHUB = {"wrong": "error", "against": "warning", "note": "notice"}


def sample(found: Examined, coloured: bool) -> str:
    """The counts of a dataset, and its first row with the trained tokens marked."""
    share = 100 * found.trained / max(1, found.tokens)
    text = "".join(
        _marked(piece, coloured) if trained else piece
        for piece, trained in ((printable(p), trained) for p, trained in found.sample)
    )
    how = "in colour" if coloured else "in [[ ]]"
    return (
        f"{shown(found.path)}: {found.rows:,} rows, {found.tokens:,} tokens, "
        f"{found.trained:,} trained ({share:.0f}%)\n"
        f"First row, trained tokens {how}:\n{text}\n"
    )


def _marked(text: str, coloured: bool) -> str:
    return click.style(text, fg="green", bold=True) if coloured else f"[[{text}]]"


def page(findings: Sequence[Finding], verbose: bool) -> str:
    """The findings, grouped by weight."""
    text = ""
    for weight in dict.fromkeys(finding.weight for finding in findings):
        heading, colour = _HEADINGS[weight.name.lower()]
        text += click.style(heading, fg=colour, bold=True) + "\n"
        for finding in findings:
            if finding.weight == weight:
                text += _entry(finding, _width(), verbose)
        text += "\n"
    return text


def general(findings: Sequence[Finding]) -> str:
    """One paragraph on what holds for nearly every config."""
    if not findings:
        return ""
    clauses = [finding.problem for finding in findings]
    clauses = [c if c.startswith("Axolotl") else c[:1].lower() + c[1:] for c in clauses]
    text = f"As in most configs: {'; '.join(clauses)} (--all tells more)"
    lines = textwrap.wrap(text, max(_width(), 40), break_long_words=False)
    return "\n".join(lines) + "\n"


def github(config: Path, text: str, findings: Sequence[Finding]) -> str:
    """Workflow commands of GitHub Actions, which show findings beside the lines."""
    lines = text.splitlines()
    out = ""
    for finding in findings:
        kind = _GITHUB[finding.weight.name.lower()]
        message = f"{finding.text} ({finding.source})"
        file = _escaped(str(config)).replace(":", "%3A").replace(",", "%2C")
        place = f"file={file},line={_line(lines, finding.path)}"
        out += f"::{kind} {place},title=sftguide {finding.id}::{_escaped(message)}\n"
    return out


def _line(lines: Sequence[str], path: str) -> int:
    """The line of a path's top-level key; the first if it is not in the file."""
    key = path.partition(".")[0]
    for number, line in enumerate(lines, 1):
        if key and line.startswith(f"{key}:"):
            return number
    return 1


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST)


def _entry(finding: Finding, width: int, verbose: bool) -> str:
    """A finding: the key and its value, then the text below."""
    value = "" if finding.value is None else f": {_short(finding.value)}"
    text = shown(f"{finding.text} ({finding.source})")
    key = shown(f"{finding.path}{value}")
    lines = [click.style(f"  {key}", bold=True)] if finding.path else []
    lines += _wrapped(text, width)
    if verbose:
        lines += _wrapped(f"Evidence: {finding.evidence}", width)
        lines += [f"    {link}" for link in finding.links]
        lines += [f"    id: {finding.id}"]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int) -> list[str]:
    margin = " " * 4
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _short(value: Any, most: int = 40) -> str:
    if isinstance(value, float):
        text = f"{value:g}"
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = masked(text)  # before it is cut, so that no part of a secret is left
    return text if len(text) <= most else text[: most - 3] + "..."
