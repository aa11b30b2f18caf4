"""`sftguide check`: findings on a config, before it is run."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..advice import Examined, Finding

_HEADINGS = {
    "wrong": ("Wrong", "red"),
    "against": ("Advised against", "yellow"),
    "note": ("Note", "cyan"),
}
_WIDEST = 100


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(min=1), help="Number of training rows.")
@click.option(
    "--ranks",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of data-parallel ranks.",
)
@click.option("--data", is_flag=True, help="Also check the tokenised data.")
@click.option("-v", "--verbose", is_flag=True, help="Show evidence and links.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--strict", is_flag=True, help="Exit with 1 if there are findings.")
@click.pass_context
def check(
    ctx: click.Context,
    config: Path,
    rows: int | None,
    ranks: int,
    data: bool,
    verbose: bool,
    as_json: bool,
    strict: bool,
) -> None:
    """Check an Axolotl config against published evidence and Axolotl's silent
    behaviour.

    Each finding names what is wrong, what happens because of it, and what to write
    instead. "Wrong": the config does not do what it says, or the run ends in an error.
    "Advised against": evidence or Axolotl's behaviour speaks against a value. "Note":
    good to know.

    --data tokenises the datasets as Axolotl does and shows which tokens are trained;
    it needs Axolotl. Exit status 2 means that CONFIG cannot be read.
    """
    from ..advice import advise, data_findings, summary
    from ..config.model_configs import parameter_count
    from ..config.yaml_file import read_config
    from ..planning import find_model

    loaded = read_config(config)
    examined = examine(config) if data else []
    rows = rows or sum(found.rows for found in examined) or None
    known: dict[str, Any] = {"rows": rows, "ranks": ranks}
    model = find_model(str(loaded.get("base_model", ""))) or {}
    model_type, parameters = model.get("model_type"), parameter_count(model)
    findings = advise(loaded, **known, parameters=parameters, model_type=model_type)
    findings += [f for found in examined for f in data_findings(found)]
    findings.sort(key=lambda f: f.weight)
    lines = summary(loaded, **known)
    if as_json:
        answer = {"findings": [f.to_dict() for f in findings], "summary": lines}
        if data:
            answer["data"] = [asdict(found) for found in examined]
        click.echo(json.dumps(answer, indent=2, default=str))
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for found in examined:
            click.echo(_sample(found, coloured), color=coloured)
        click.echo(_page(findings, verbose), nl=False, color=coloured)
        count = len(findings) or "no"
        click.echo(f"{config}: {count} finding{'s' * (len(findings) != 1)}")
        for line in lines:
            click.echo(line)
    if strict and findings:
        ctx.exit(1)


def examine(config: Path) -> list[Examined]:
    """Tokenise a config's data with Axolotl and count what is trained.

    Raises:
        SFTGuideError: If Axolotl is missing or cannot prepare the data.
    """
    from ..errors import SFTGuideError

    os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
    with redirect_stdout(sys.stderr):  # Axolotl logs to stdout, which has our answer
        try:
            from ..hosts.axolotl import examined_datasets
        except ImportError:
            raise SFTGuideError(
                "--data needs Axolotl: pip install 'axolotl-sftguide[axolotl]'"
            ) from None
        try:
            return list(examined_datasets(str(config)))
        except SFTGuideError:
            raise
        except Exception as error:  # Axolotl has no common class of errors
            line = " ".join(str(error).split())[:300]
            raise SFTGuideError(
                f"{config}: Axolotl cannot prepare the data "
                f"({type(error).__name__}: {line})"
            ) from None


def _sample(found: Examined, coloured: bool) -> str:
    """The counts of a dataset, and its first row with the trained tokens marked."""
    share = 100 * found.trained / max(1, found.tokens)
    text = "".join(
        _marked(piece, coloured) if trained else piece
        for piece, trained in found.sample
    )
    shown = "in colour" if coloured else "in [[ ]]"
    return (
        f"{found.path}: {found.rows:,} rows, {found.tokens:,} tokens, "
        f"{found.trained:,} trained ({share:.0f}%)\n"
        f"First row, trained tokens {shown}:\n{text}\n"
    )


def _marked(text: str, coloured: bool) -> str:
    return click.style(text, fg="green", bold=True) if coloured else f"[[{text}]]"


def _page(findings: Sequence[Finding], verbose: bool) -> str:
    """The findings, grouped by weight."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    page = ""
    for weight in dict.fromkeys(finding.weight for finding in findings):
        heading, colour = _HEADINGS[weight.name.lower()]
        page += click.style(heading, fg=colour, bold=True) + "\n"
        for finding in findings:
            if finding.weight == weight:
                page += _entry(finding, width, verbose)
        page += "\n"
    return page


def _entry(finding: Finding, width: int, verbose: bool) -> str:
    """A finding: the key and its value, then the text below."""
    value = "" if finding.value is None else f": {_short(finding.value)}"
    text = f"{finding.text} ({finding.source})"
    lines = [click.style(f"  {finding.path}{value}", bold=True)] if finding.path else []
    lines += _wrapped(text, width)
    if verbose:
        if finding.claim is not None:
            lines += _wrapped(f"Evidence: {finding.evidence}", width)
        lines += [f"    {link}" for link in finding.links]
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
    return text if len(text) <= most else text[: most - 3] + "..."
