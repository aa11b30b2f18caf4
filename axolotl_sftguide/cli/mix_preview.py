"""How the preview of a mix looks in a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from ..mixing import PreviewedRow, PreviewedSource
from .mix_lengths import lines_of
from .mix_tables import rows


def print_preview(
    sources: Sequence[PreviewedSource], sequence_len: int | None = None
) -> None:
    """Print conversations of each source, with the trained text marked."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    shown = "in colour" if coloured else "in [[ ]]"
    click.echo(f"What is trained on is {shown}.")
    for source in sources:
        click.echo()
        click.secho(f"{source.path} (phase {source.phase})", bold=True)
        for row in source.rows:
            click.echo(_heading(row))
            click.echo(_text(row, coloured))
        if source.lengths is not None:
            number = source.lengths["rows"]
            what = f"First {rows(number)}" if number > 1 else "First row"
            for line in lines_of(source.lengths, sequence_len, what):
                click.echo(line)
        for problem in source.problems:
            click.echo(f"Cannot be used: {problem}")
        if not source.rows and not source.problems:
            click.echo("No rows.")


def _heading(row: PreviewedRow) -> str:
    tokens = "" if row.tokens is None else f", {row.tokens:,} tokens"
    return click.style(f"{row.source}, row {row.row}: {row.form}{tokens}", dim=True)


def _text(row: PreviewedRow, coloured: bool) -> str:
    return "".join(
        _marked(text, coloured) if trained and text.strip() else text
        for text, trained in row.segments
    ).rstrip("\n")


def _marked(text: str, coloured: bool) -> str:
    return click.style(text, fg="green", bold=True) if coloured else f"[[{text}]]"
