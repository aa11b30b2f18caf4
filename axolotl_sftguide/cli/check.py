"""`sftguide check`: findings on a config, before it is run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from . import check_page
from .check_findings import Checked, Options, collect
from .common import echo, echo_json, echo_styled, wants_json
from .numbers import WholeNumber


@click.command()
@click.argument(
    "configs",
    metavar="CONFIG...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option("--rows", type=WholeNumber(1), help="Number of training rows.")
@click.option(
    "--ranks",
    type=WholeNumber(1),
    default=1,
    show_default=True,
    help="Number of data-parallel ranks.",
)
@click.option("--data", is_flag=True, help="Also check the tokenised data.")
@click.option("--host", is_flag=True, help="Also run Axolotl's own validation.")
@click.option("--all", "with_general", is_flag=True, help="Show all notes in full.")
@click.option("--fix", is_flag=True, help="Write the remedies that are certain.")
@click.option("-v", "--verbose", is_flag=True, help="Show evidence, links and ids.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="Print text, JSON, or annotations for GitHub Actions.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if there are findings.")
@click.pass_context
def check(
    ctx: click.Context,
    configs: tuple[Path, ...],
    rows: int | None,
    ranks: int,
    data: bool,
    host: bool,
    with_general: bool,
    fix: bool,
    verbose: bool,
    form: str,
    strict: bool,
) -> None:
    """Check Axolotl configs against published evidence and Axolotl's silent
    behaviour.

    Each finding names what is wrong, what happens because of it, and what to write
    instead. "Wrong": the config does not do what it says, or the run ends in an error.
    "Advised against": evidence or Axolotl's behaviour speaks against a value. "Note":
    good to know. `sftguide explain ID` says more about one, and a comment
    `# sftguide: ignore[ID]` silences it.

    --host starts Axolotl, which takes about ten seconds. --data tokenises the datasets
    as Axolotl does and shows which tokens are trained. Exit status 2 means that CONFIG
    cannot be read.
    """
    from ..errors import SFTGuideError

    options = Options(rows, ranks, data, host, with_general, fix)
    checked: list[Checked] = []
    unread: list[SFTGuideError] = []
    for config in configs:
        try:
            checked.append(collect(config, options))
        except SFTGuideError as error:  # the other configs are still worth reading
            unread.append(error)
    if len(unread) == len(configs) == 1:
        raise unread[0]
    form = "json" if wants_json() else form
    if form == "json":
        answers = [each.to_dict() for each in checked]
        echo_json(answers if len(configs) > 1 else answers[0])
    for each in checked if form != "json" else ():
        if form == "github":
            found = check_page.github(each.config, each.text, each.shown)
            echo(found, nl=False)
        else:
            _show(each, verbose=verbose, strict=strict)
            echo(_versions(host), nl=False)
    if unread:
        raise SFTGuideError("\n".join(map(str, unread)))
    if strict and any(each.shown for each in checked):
        ctx.exit(1)


def _show(checked: Checked, *, verbose: bool, strict: bool) -> None:
    """Print the findings on one config as text."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for found in checked.examined or ():
        echo_styled(check_page.sample(found, coloured), color=coloured)
    echo_styled(check_page.page(checked.shown, verbose), nl=False, color=coloured)
    count = len(checked.shown)
    silent = f", {checked.silenced} silenced" if checked.silenced else ""
    echo(f"{checked.config}: {count or 'no'} finding{'s' * (count != 1)}{silent}")
    for line in checked.summary:
        echo(line)
    echo(check_page.general([] if strict else checked.general), nl=False)


def _versions(asked: bool) -> str:
    """A line if the config was not checked against the installed Axolotl."""
    from ..config.host_schema import host_schema

    schema = host_schema()
    if schema.is_of_installed or asked:
        return ""
    other = "is not installed here"
    if schema.installed:
        other = (
            f"{schema.installed} is installed, whose keys are not known; pass --host"
        )
    return f"Checked for Axolotl {schema.version}; Axolotl {other}.\n"
