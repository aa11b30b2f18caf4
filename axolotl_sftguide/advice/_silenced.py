"""Comments in a config that silence findings: `# sftguide: ignore[id, id]`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ._catalogue import RULES
from ._finding import Finding, Weight

_COMMENT = re.compile(r"#\s*sftguide:\s*ignore\[([^\]]*)\]")
_KEY = re.compile(r"([\w-]+)\s*:")


def silenced(
    text: str, findings: Sequence[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """Findings that stay, and those that a comment of the config silences.

    A comment on the line of a top-level key is for findings on that key; one on a line
    of its own is for the whole file.
    """
    keys: dict[str, set[str | None]] = {}
    for line in text.splitlines():
        found = _COMMENT.search(line)
        if found is None:
            continue
        key = _KEY.match(line)
        for name in filter(None, (part.strip() for part in found[1].split(","))):
            keys.setdefault(name, set()).add(key[1] if key else None)
    stay: list[Finding] = []
    gone: list[Finding] = []
    for finding in findings:
        where = keys.get(finding.id, set())
        hit = None in where or finding.path.partition(".")[0] in where
        (gone if hit else stay).append(finding)
    stay += [_unknown(name) for name in keys if name not in RULES]
    return stay, gone


def _unknown(name: str) -> Finding:
    return Finding(
        Weight.NOTE,
        "",
        None,
        f"The comment ignore[{name}] names no finding",
        "it silences nothing",
        "Take the id from the finding's last line",
        id="unknown-ignore",
    )
