"""`sftguide check`: a configuration against evidence, before it is run."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..advice import Examined, Finding

_COLOURS = {"wrong": "red", "against": "yellow", "note": "cyan"}


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(min=1), help="Rows of the training data.")
@click.option(
    "--ranks", type=click.IntRange(min=1), default=1, help="Data-parallel ranks."
)
@click.option("--data", is_flag=True, help="Tokenise the data as Axolotl would.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
@click.option("--strict", is_flag=True, help="Exit status 1 where there are findings.")
@click.pass_context
def check(
    ctx: click.Context,
    config: Path,
    rows: int | None,
    ranks: int,
    data: bool,
    as_json: bool,
    strict: bool,
) -> None:
    """Hold CONFIG, a YAML file for Axolotl, against evidence and the host's behaviour.

    Findings come by weight: `wrong` does not do what is written, `against` has the
    evidence for this setting against it, `note` is good to know. Exit status 0, or 1
    with --strict, or 2 where CONFIG cannot be read. --data needs Axolotl, and says
    which tokens are really trained.
    """
    from ..advice import advise, summary
    from ..advice import findings as findings_of
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
    findings += [f for found in examined for f in findings_of(found)]
    findings.sort(key=lambda f: f.weight)
    lines = summary(loaded, **known)
    if as_json:
        said = {"findings": [f.to_dict() for f in findings], "summary": lines}
        if data:
            said["data"] = [asdict(found) for found in examined]
        click.echo(json.dumps(said, indent=2, default=str))
    else:
        for found in examined:
            click.echo(_sample(found))
        for finding in findings:
            click.echo(_told(finding))
        count = len(findings) or "no"
        click.echo(f"{config}: {count} finding{'s' * (len(findings) != 1)}")
        for line in lines:
            click.echo(line)
    if strict and findings:
        ctx.exit(1)


def examine(config: Path) -> list[Examined]:
    """The rows of a configuration's data, tokenised by the host.

    Raises:
        SFTGuideError: Where Axolotl is missing, or cannot prepare them.
    """
    import os

    os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")  # a check tells nobody
    # Axolotl logs to stdout, where a command prints its answer.
    with redirect_stdout(sys.stderr):
        return _examine(config)


def _examine(config: Path) -> list[Examined]:
    from ..errors import SFTGuideError

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
    except Exception as error:  # the host has an error for each thing that is wrong
        line = " ".join(str(error).split())[:300]
        raise SFTGuideError(
            f"{config}: its data cannot be prepared ({type(error).__name__}: {line})"
        ) from None


def _sample(found: Examined) -> str:
    """The counts of a dataset, and one row with what is trained in colour."""
    share = 100 * found.trained / max(1, found.tokens)
    coloured = sys.stdout.isatty()
    text = "".join(
        _marked(stretch, coloured) if trained else stretch
        for stretch, trained in found.sample
    )
    shown = "in colour" if coloured else "in [[ ]]"
    return (
        f"{found.path}: {found.rows:,} rows, {found.tokens:,} tokens, "
        f"{found.trained:,} of them trained ({share:.0f}%); the first row, {shown} "
        f"what is trained:\n{text}\n"
    )


def _marked(text: str, coloured: bool) -> str:
    return click.style(text, fg="green", bold=True) if coloured else f"[[{text}]]"


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
