"""The parts of `docs/evidence.md` that are made from claims and judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .claims import CLAIMS, claims_table
from .intervals import RESAMPLES
from .judgements import Judgement
from .paper import PAPER_CLAIMS, figure, with_figures
from .replay import QUESTIONS, TABLES


def page_with_parts(page: str, made: Mapping[str, str]) -> str:
    """The page with the text between the marks of each part replaced."""
    for name, text in made.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if start not in page or end not in page:
            raise LookupError(f"the page has no part {name!r}")
        before, _, rest = page.partition(start)
        page = before + start + text + end + rest.partition(end)[2]
    return page


def parts(
    judgements: Sequence[Judgement],
    rows: Mapping[str, Mapping[str, int]],
    coverage: Mapping[str, Any],
    own: Sequence[Judgement],
) -> dict[str, str]:
    """The text of each part, by its name.

    Args:
        judgements: What the replay found.
        rows: How many rows each table has, and how many have scores set aside.
        coverage: How often such intervals covered the truth in simulations.
        own: What this project's own grids say.
    """
    return {
        "claims": claims_table(),
        "paper": _paper(judgements, own),
        "own": _own(own),
        "replay": _replay(judgements),
        "tables": _tables(rows),
        "coverage": _coverage(coverage),
    }


def _paper(judgements: Sequence[Judgement], own: Sequence[Judgement]) -> str:
    lines = [
        "| the paper says | others measured | we measured | verdict | for whom |",
        "|---|---|---|---|---|",
    ]
    for said in PAPER_CLAIMS:
        keys = ", ".join(f"`{key}`" for key in said.claims)
        others = with_figures(said.others, judgements)
        here = with_figures(said.here, own)
        cells = (f"{said.says} ({keys})", others, here, said.verdict, said.whom)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _replay(judgements: Sequence[Judgement]) -> str:
    clear = sum(j.verdict != "unclear" for j in judgements)
    lines = [
        f"{len(judgements)} estimates, {clear} of them with a clear verdict; each "
        f"interval comes from {RESAMPLES:,} resamples of whole clusters.",
    ]
    lines += _by_claim(judgements)
    judged = {claim for question in QUESTIONS for claim in question.claims}
    other = ", ".join(f"`{key}`" for key in CLAIMS if key not in judged)
    lines += ["", f"No public table here can judge the other claims: {other}."]
    return "\n".join(lines) + "\n"


def _own(judgements: Sequence[Judgement]) -> str:
    return "\n".join(_by_claim(judgements)[1:]) + "\n"


def _by_claim(judgements: Sequence[Judgement]) -> list[str]:
    """One table for each claim, after an empty line."""
    lines: list[str] = []
    for claim in dict.fromkeys(j.claim for j in judgements):
        lines += ["", f"`{claim}`: {CLAIMS[claim].statement}.", "", *_HEAD]
        for setting in dict.fromkeys(j.setting for j in judgements if j.claim == claim):
            lines.append(f"| **{setting}** | | | | |")
            lines += [
                _row(j) for j in judgements if j.claim == claim and j.setting == setting
            ]
    return lines


_HEAD = (
    "| runs | estimate (95%) | claim says | resampled | verdict |",
    "|---|---|---|---|---|",
)


def _row(judgement: Judgement) -> str:
    note = f" ({judgement.note})" if judgement.note else ""
    resampled = f"{judgement.resampled}, {judgement.pairs} in all"
    cells = (
        judgement.measure,
        figure(judgement),
        judgement.expectation,
        resampled,
        judgement.verdict + note,
    )
    return "| " + " | ".join(cells) + " |"


def _tables(rows: Mapping[str, Mapping[str, int]]) -> str:
    lines = ["| file | rows or runs | content | published at |", "|---|---|---|---|"]
    for key, table in TABLES.items():
        where = f"[{table.repository}@{table.commit[:8]}]({table.address})"
        count = f"{rows[key]['rows']:,}"
        lines.append(f"| `{table.file}` | {count} | {table.content} | {where} |")
    copied = sum(counts["copied"] for counts in rows.values())
    lines += [
        "",
        f"In {copied} rows the scores of one evaluation are exact copies of another "
        "row's; as either may be the copy, neither's are used.",
    ]
    return "\n".join(lines) + "\n"


def _coverage(coverage: Mapping[str, Any]) -> str:
    lines = [f"| simulated, {coverage['rounds']:,} times | covered |", "|---|---|"]
    for name, share in coverage["covered"].items():
        lines.append(f"| {name} | {share:.1%} |")
    return "\n".join(lines) + "\n"
