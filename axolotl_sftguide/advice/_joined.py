"""Findings that several entries of a list share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ._finding import Finding

_ENTRY = re.compile(r"\b(datasets|test_datasets|pretraining_dataset)\.(\d+)\b")


def joined(found: Iterable[Finding]) -> list[Finding]:
    """Join the same finding on several entries of a list into one."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in found:
        said = (finding.path, finding.problem, finding.effect, finding.remedy)
        names = (_ENTRY.sub(r"\1", text) for text in said)
        alike.setdefault((finding.id, finding.weight, *names), []).append(finding)
    made = []
    for first, *others in alike.values():
        if not others:
            made.append(first)
            continue
        more = f"{len(others)} other {'entry' if len(others) == 1 else 'entries'}"
        edits = (edit for finding in (first, *others) for edit in finding.edits)
        problem = f"{first.problem} (also in {more})"
        made.append(replace(first, problem=problem, edits=tuple(edits)))
    return made
