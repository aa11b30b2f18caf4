"""`sftguide evidence`: claims, their sources, and what public tables say of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import echo, echo_json, echo_styled, wants_json

if TYPE_CHECKING:
    from ..evidence import Claim
    from ..evidence.judgements import Judgement, Verdict


@click.command()
@click.argument("key", required=False)
@click.option(
    "--replay",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Judge the claims again, from the public tables in FOLDER.",
)
def evidence(key: str | None, replay: Path | None) -> None:
    """List the published claims behind recipes and findings, or show one.

    Without --replay the verdicts are those that come with the package. With it, each
    claim that public tables can judge is judged from the files in FOLDER, which you
    download; docs/evidence.md has their addresses, and files that are missing are named
    with them. A verdict rests on an estimate with a 95% interval, which resamples whole
    settings such as base models, data sets or submitters.
    """
    from ..evidence.replay import rows_used, unjudged
    from .evidence_files import judge_tables, read_tables, shipped_judgements

    if key is not None:
        _require_claim(key)
    shipped = [j for j in shipped_judgements() if key in (None, j.claim)]
    shown, missing = shipped, {}
    if replay is not None:
        tables = read_tables(replay)
        shown = [j for j in judge_tables(tables, replay) if key in (None, j.claim)]
        missing = {k: v for k, v in unjudged(tables).items() if key in (None, k)}
    if wants_json():
        first = _claims_json(key) if replay is None else {"missing": missing}
        made = {**first, "judgements": [j.to_dict() for j in shown]}
        echo_json(made)
        return
    if key is not None:
        _show_claim(key)
    if key is None and replay is None:
        _show_all(shown)
    else:
        for claim in dict.fromkeys(j.claim for j in shown):
            _show_judgements(claim, [j for j in shown if j.claim == claim])
    if replay is not None:
        _show_missing(missing)
        echo(f"\n{_comparison(shown, shipped, rows_used(tables))}")


def _require_claim(key: str) -> None:
    from ..errors import EvidenceError, did_you_mean
    from ..evidence import CLAIMS

    if key not in CLAIMS:
        near = did_you_mean(key, CLAIMS) or _named_alike(key)
        raise EvidenceError(
            f"no claim is named {key!r}{near} (sftguide evidence lists them)"
        )


def _named_alike(key: str) -> str:
    """The claims that share a word with a key of a config, such as `learning_rate`."""
    from ..evidence import CLAIMS

    words = {word for word in re.split("[_.-]", key.lower()) if len(word) > 3}
    found = [name for name in CLAIMS if words & set(name.split("-"))]
    return f"; named alike: {', '.join(found)}" if found else ""


def _claims_json(key: str | None) -> dict[str, Any]:
    from ..evidence import CLAIMS

    claims = {
        name: {
            "statement": claim.statement,
            "value": claim.value,
            "setting": str(claim.setting),
            "source": claim.reference,
            "links": list(claim.links),
            "grade": claim.grade,
        }
        for name, claim in CLAIMS.items()
        if key in (None, name)
    }
    return {"claims": claims}


def _show_all(found: Sequence[Judgement]) -> None:
    """One line for each claim, cut at the terminal's width."""
    from ..evidence import CLAIMS
    from .tables import console

    rows = [("claim", "by public tables", "statement")]
    rows += [
        (name, counted(j for j in found if j.claim == name), said(claim))
        for name, claim in CLAIMS.items()
    ]
    first, second = (max(len(row[place]) for row in rows) for place in range(2))
    width = console().width
    for name, verdicts, statement in rows:
        line = f"{name:<{first}}  {verdicts:<{second}}  {statement}"
        echo(line if len(line) <= width else f"{line[: width - 3]}...")
    echo(
        "\nNumbers count the estimates by which a claim holds, does not, or is unclear."
        "\nsftguide evidence KEY shows them, and the sources of the claim."
    )


def said(claim: Claim) -> str:
    """The value and the statement."""
    return f"{claim.value}: {claim.statement}" if claim.value else claim.statement


def counted(judgements: Iterable[Judgement]) -> str:
    """How often each verdict was given: `holds 5, not 1, unclear 2`."""
    times = Counter(j.verdict for j in judgements)
    words: dict[Verdict, str] = {
        "holds": "holds",
        "does not hold": "not",
        "unclear": "unclear",
    }
    told = [f"{word} {times[key]}" for key, word in words.items() if times[key]]
    return ", ".join(told) or "-"


def _show_claim(key: str) -> None:
    from ..evidence import CLAIMS
    from ..evidence.replay import QUESTIONS

    claim = CLAIMS[key]
    _print(f"{key}: {said(claim)}", 0)
    _print(f"shown for  {claim.setting}", 2, 11)
    _print(f"source     {claim.reference} ({claim.grade})", 2, 11)
    for link in claim.links:
        echo(f"             {link}")
    if not any(key in question.claims for question in QUESTIONS):
        _print("replay     none of the public tables can judge this claim", 2)


_COLOURS = {"holds": "green", "does not hold": "red", "unclear": "yellow"}


def _show_judgements(claim: str, judgements: Sequence[Judgement]) -> None:
    from ..evidence import CLAIMS
    from ..evidence.paper import figure

    echo()
    _print(f"{claim} ({CLAIMS[claim].setting}), by public tables:", 0)
    for setting in dict.fromkeys(j.setting for j in judgements):
        echo()
        _print(setting, 2)
        for j in judgements:
            if j.setting == setting:
                told = f"{j.verdict:<15}{j.measure}: {figure(j)}"
                _print(told, 4, 15, click.style(j.verdict, fg=_COLOURS[j.verdict]))
                note = f"; {j.note}" if j.note else ""
                says = (
                    f"claim: {j.expectation}; {j.pairs} values in {j.resampled}{note}"
                )
                _print(says, 19)


def _print(text: str, indent: int, hanging: int = 0, coloured: str = "") -> None:
    """Print a text within the terminal's width, its first words coloured if wanted."""
    from textwrap import fill

    from .tables import console

    made = fill(
        text,
        min(console().width, 100),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
    )
    plain = click.unstyle(coloured)
    echo_styled(made.replace(plain, coloured, 1) if coloured else made)


def _show_missing(missing: Mapping[str, tuple[str, ...]]) -> None:
    """Name each missing file, what it would judge, and where it is published."""
    from ..evidence.replay import TABLES

    for name in sorted({name for names in missing.values() for name in names}):
        claims = [claim for claim, names in missing.items() if name in names]
        echo(
            f"\n{TABLES[name].file}: missing; not judged by it: {', '.join(claims)}\n"
            f"  {TABLES[name].content}: {TABLES[name].address}"
        )


def _comparison(
    found: Sequence[Judgement],
    shipped: Sequence[Judgement],
    rows: Mapping[str, Mapping[str, int]],
) -> str:
    """Whether the judgements are those that come with the package, and if not, why."""
    from ..evidence.replay import TABLES
    from .evidence_files import shipped_tables

    if not found:
        return "nothing could be judged"
    same = sum(j in shipped for j in found)
    told = f"{len(found)} judgements, {same} of them as shipped"
    behind = shipped_tables()
    unlike = [
        f"{TABLES[key].file} ({counts['rows']:,} rows or runs, not "
        f"{behind[key]['rows']:,})"
        for key, counts in rows.items()
        if counts != behind[key]
    ]
    if unlike:
        told += f"; these tables have another size: {', '.join(unlike)}"
    return told
