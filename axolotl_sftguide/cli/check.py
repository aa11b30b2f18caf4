"""`sftguide check`: findings on a config, before it is run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import check_page

if TYPE_CHECKING:
    from ..advice import Examined, Finding


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
@click.option("--host", is_flag=True, help="Also run Axolotl's own validation.")
@click.option("--all", "with_general", is_flag=True, help="Show all notes in full.")
@click.option("--fix", is_flag=True, help="Write the remedies that are certain.")
@click.option("-v", "--verbose", is_flag=True, help="Show evidence, links and ids.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
    config: Path,
    rows: int | None,
    ranks: int,
    data: bool,
    host: bool,
    with_general: bool,
    fix: bool,
    verbose: bool,
    as_json: bool,
    form: str,
    strict: bool,
) -> None:
    """Check an Axolotl config against published evidence and Axolotl's silent
    behaviour.

    Each finding names what is wrong, what happens because of it, and what to write
    instead. "Wrong": the config does not do what it says, or the run ends in an error.
    "Advised against": evidence or Axolotl's behaviour speaks against a value. "Note":
    good to know. `sftguide explain ID` tells more about one, and a comment
    `# sftguide: ignore[ID]` silences it.

    --host starts Axolotl, which takes about ten seconds. --data tokenises the datasets
    as Axolotl does and shows which tokens are trained. Exit status 2 means that CONFIG
    cannot be read.
    """
    from ..advice import silenced, summary
    from ..config.yaml_file import read_config, read_text

    known: dict[str, Any] = {"rows": rows, "ranks": ranks}
    loaded = read_config(config)
    if fix:
        _fix(config, known)
        loaded = read_config(config)
    unreadable = _unreadable(loaded) if data else []
    fatal = any(finding.weight == 0 for finding in unreadable)
    examined = examine(config) if data and not fatal else []
    known["rows"] = rows or sum(found.rows for found in examined) or None
    findings = _findings(loaded, known, examined, unreadable)
    if host:
        findings = _with_host(config, findings)
    findings, gone = silenced(read_text(config), findings)
    shown = [f for f in findings if with_general or not f.is_general]
    general = [f for f in findings if f not in shown]
    lines = summary(loaded, **known)
    if as_json or form == "json":
        answer = _as_dict(shown, general, lines, examined if data else None)
        click.echo(json.dumps(answer, indent=2, default=str))
    elif form == "github":
        click.echo(check_page.github(config, read_text(config), shown), nl=False)
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for found in examined:
            click.echo(check_page.sample(found, coloured), color=coloured)
        click.echo(check_page.page(shown, verbose), nl=False, color=coloured)
        count = len(shown) or "no"
        silent = f", {len(gone)} silenced" if gone else ""
        click.echo(f"{config}: {count} finding{'s' * (len(shown) != 1)}{silent}")
        for line in lines:
            click.echo(line)
        click.echo(check_page.general([] if strict else general), nl=False)
        click.echo(_versions(host), nl=False)
    if strict and shown:
        ctx.exit(1)


def _findings(
    loaded: dict[str, Any],
    known: dict[str, Any],
    examined: Sequence[Examined],
    unreadable: Sequence[Finding] = (),
) -> list[Finding]:
    from ..advice import advise, data_findings
    from ..config.model_configs import parameter_count
    from ..planning import find_model

    model = find_model(str(loaded.get("base_model", ""))) or {}
    parameters = parameter_count(model)
    findings = advise(loaded, **known, parameters=parameters, model=model)
    findings += [f for found in examined for f in data_findings(found)]
    findings += unreadable
    return sorted(findings, key=lambda f: (f.weight, f.cost))


def _unreadable(loaded: dict[str, Any]) -> list[Finding]:
    """Findings on rows that the hosts cannot read; the files are read as for a mix."""
    from ..advice import unreadable_rows

    try:
        from ..mixing import UNREADABLE, UNTRAINED, faulty_rows
    except ImportError:
        return []  # without `[mix]` Axolotl's own error is shown
    found: list[Finding] = []
    entries = None if loaded.get("processor_type") else loaded.get("datasets")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not entry.get("path"):
            continue
        rows = list(faulty_rows(entry, Path.cwd()))
        for codes, fatal in ((UNREADABLE, True), (UNTRAINED, False)):
            some = [str(row) for row in rows if row.code in codes]
            if some:
                found.append(unreadable_rows(str(entry["path"]), some, fatal))
    return found


def _as_dict(
    shown: Sequence[Finding],
    general: Sequence[Finding],
    lines: Sequence[str],
    examined: Sequence[Examined] | None,
) -> dict[str, Any]:
    from ..config.host_schema import host_schema

    schema = host_schema()
    answer: dict[str, Any] = {
        "findings": [f.to_dict() for f in shown],
        "general": [f.to_dict() for f in general],
        "summary": lines,
        "axolotl": {"checked": schema.version, "installed": schema.installed},
    }
    if examined is not None:
        answer["data"] = [asdict(found) for found in examined]
    return answer


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


def _fix(config: Path, known: dict[str, Any]) -> None:
    """Write the certain remedies of all findings to the file, comments kept."""
    from ..advice import silenced
    from ..config.yaml_edits import edited
    from ..config.yaml_file import read_config, read_text
    from ..errors import SFTGuideError

    text = read_text(config)
    found, _ = silenced(text, _findings(read_config(config), known, []))
    fixed = [finding for finding in found if finding.edits and not finding.is_general]
    edits = [edit for finding in fixed for edit in finding.edits]
    if not edits:
        click.echo(f"{config}: nothing to fix", err=True)
        return
    try:
        config.write_text(edited(text, edits), encoding="utf-8")
    except OSError as error:
        raise SFTGuideError(f"{config}: cannot be written ({error.strerror})") from None
    for finding in fixed:
        changes = ", ".join(map(str, finding.edits))
        click.echo(f"{config}: fixed {finding.id}: {changes}", err=True)


def _with_host(config: Path, findings: list[Finding]) -> list[Finding]:
    """The findings, and Axolotl's own refusal if none of them is one."""
    from ..advice import Cost, Finding, Weight
    from ..hosts.axolotl_validation import refusal

    refused = refusal(config)
    if refused is None or any(f.cost == Cost.START for f in findings):
        return findings
    found = Finding(
        Weight.WRONG,
        refused.path,
        None,
        refused.message,
        "Axolotl refuses the config",
        "Correct it as Axolotl's message says",
        id="host-refuses",
    )
    return [found, *findings]


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
