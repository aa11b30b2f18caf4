"""`sftguide check`: a configuration against evidence, before it is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..advice import Finding

_COLOURS = {"wrong": "red", "against": "yellow", "note": "cyan"}


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(min=1), help="Rows of the training data.")
@click.option(
    "--ranks", type=click.IntRange(min=1), default=1, help="Data-parallel ranks."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
@click.option("--strict", is_flag=True, help="Exit status 1 where there are findings.")
@click.pass_context
def check(
    ctx: click.Context,
    config: Path,
    rows: int | None,
    ranks: int,
    as_json: bool,
    strict: bool,
) -> None:
    """Hold CONFIG, a YAML file for Axolotl, against evidence and the host's behaviour.

    Findings come by weight: `wrong` does not do what is written, `against` has the
    evidence for this setting against it, `note` is good to know. Exit status 0, or 1
    with --strict, or 2 where CONFIG cannot be read.
    """
    from ..advice import advise, summary
    from ..configs import read_config
    from ..model_configs import parameter_count, read_model_config

    loaded = read_config(config)
    model = read_model_config(str(loaded.get("base_model", "")))
    known: dict[str, Any] = {"rows": rows, "ranks": ranks}
    findings = advise(
        loaded, **known, parameters=parameter_count(model) if model else None
    )
    lines = summary(loaded, **known)
    if as_json:
        said = {"findings": [f.to_dict() for f in findings], "summary": lines}
        click.echo(json.dumps(said, indent=2, default=str))
    else:
        for finding in findings:
            click.echo(_told(finding))
        count = len(findings) or "no"
        click.echo(f"{config}: {count} finding{'s' * (len(findings) != 1)}")
        for line in lines:
            click.echo(line)
    if strict and findings:
        ctx.exit(1)


def _told(finding: Finding) -> str:
    weight = finding.weight.name.lower()
    shown = click.style(f"{weight:<8}", fg=_COLOURS[weight])
    value = "" if finding.value is None else f" = {_short(finding.value)}"
    margin = " " * 9
    lines = [
        f"{shown} {finding.path}{value}: {finding.says}",
        f"{margin}{finding.remedy}",
        f"{margin}({finding.source})",
    ]
    return "\n".join(lines)


def _short(value: Any, most: int = 40) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= most else text[: most - 3] + "..."
