"""How the preview of a mix looks in a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from ..mixing import PreviewedRow, PreviewedSource
from ..safe_text import printable, shown
from .common import echo, echo_styled
from .mix_lengths import lines_of
from .mix_tables import rows


def print_preview(
    sources: Sequence[PreviewedSource], sequence_len: int | None = None
) -> None:
    """Print conversations of each source, with the trained text marked."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    how = "in colour" if coloured else "in [[ ]]"
    echo(f"What is trained on is {how}.")
    for source in sources:
        echo()
        source_line = shown(f"{source.path} (phase {source.phase})")
        echo_styled(click.style(source_line, bold=True))
        for row in source.rows:
            echo_styled(_heading(row))
            echo_styled(_text(row, coloured))
        if source.lengths is not None:
            number = source.lengths["rows"]
            what = f"First {rows(number)}" if number > 1 else "First row"
            for line in lines_of(source.lengths, sequence_len, what):
                echo(line)
        for problem in source.problems:
            echo(f"Cannot be used: {problem}")
        if not source.rows and not source.problems:
            echo("No rows.")


def _heading(row: PreviewedRow) -> str:
    tokens = "" if row.tokens is None else f", {row.tokens:,} tokens"
    heading = f"{row.source}, row {row.row}: {row.form}{tokens}"
    return click.style(shown(heading), dim=True)


def _text(row: PreviewedRow, coloured: bool) -> str:
    return "".join(
        _marked(text, coloured) if trained and text.strip() else text
        for text, trained in ((printable(t), trained) for t, trained in row.segments)
    ).rstrip("\n")


def _marked(text: str, coloured: bool) -> str:
    return click.style(text, fg="green", bold=True) if coloured else f"[[{text}]]"
