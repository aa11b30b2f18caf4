"""What `sftguide check` finds of known mistakes: recall by kind, and what else it says.

    python benchmarks/check_mistakes.py [--missed] [--out FILE.json]

Three sets of configs have one known mistake each. `reports.yml` was written after
public reports, beside the rules. `documentation/` was written from the hosts'
documentation by somebody who did not see the rules. `pages.yml` goes through Axolotl's
documentation page by page, after the rules were there and before they were run on it. A
mistake counts as found if a finding is at one of its keys, or names one.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from record import record

from axolotl_sftguide import advise
from axolotl_sftguide.advice import Finding, Weight, repeated_keys
from axolotl_sftguide.planning import find_model

HERE = Path(__file__).resolve().parent / "check_mistakes"


class Mistake(NamedTuple):
    """A config with one known mistake."""

    id: str
    text: str
    words: str
    keys: tuple[str, ...]


def reports() -> Iterator[Mistake]:
    """The configs after public reports."""
    yield from _on_bases("reports.yml")


def pages() -> Iterator[Mistake]:
    """The configs against Axolotl's documentation; some have no mistake."""
    yield from _on_bases("pages.yml")


def _on_bases(name: str) -> Iterator[Mistake]:
    """Configs that are given as bases with some lines in place."""
    given = yaml.safe_load((HERE / name).read_text(encoding="utf-8"))
    for entry in given["configs"]:
        config = {**given["bases"][entry["base"]], **entry["with"]}
        config = {key: value for key, value in config.items() if value is not None}
        text = yaml.safe_dump(config, sort_keys=False)
        keys = tuple(entry.get("keys", ()))
        yield Mistake(entry["id"], text, entry.get("mistake", ""), keys)


def documentation() -> Iterator[Mistake]:
    """The configs written from the documentation alone; some have no mistake."""
    folder = HERE / "documentation"
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    for name, label in labels.items():
        text = (folder / name).read_text(encoding="utf-8")
        keys = re.split(r"[,/;+]|\band\b|\bvs\b", label.get("key") or "")
        named = tuple(key.strip() for key in keys if key.strip())
        yield Mistake(name, text, label["mistake"] or "", named)


def found_in(text: str) -> list[Finding]:
    """All findings on a config but those that hold for nearly every one."""
    config = yaml.safe_load(text)
    model = find_model(str(config.get("base_model", "")))
    found = [*repeated_keys(text), *advise(config, model=model)]
    return [finding for finding in found if not finding.is_general]


def is_about(finding: Finding, keys: tuple[str, ...]) -> bool:
    """Whether a finding is at one of the keys, or names one of them."""
    said = f"{finding.problem} {finding.remedy}"
    for key in keys:
        dotted = re.sub(r"\[(\d*)\]", r".\1", key).strip(".")
        last = dotted.rpartition(".")[2]
        at = finding.path and f"{dotted}.".startswith(f"{finding.path}.")
        inside = finding.path.startswith(f"{dotted}.")
        named = len(last) > 2 and re.search(rf"(?<!\w){re.escape(last)}(?!\w)", said)
        if at or inside or named:
            return True
    return False


def measured(mistakes: list[Mistake]) -> dict[str, Any]:
    """Which mistakes are found, and what else is said of the same configs."""
    rows, beside = [], Counter[str]()
    controls, on_controls = 0, Counter[str]()
    for mistake in mistakes:
        found = found_in(mistake.text)
        about = [f for f in found if is_about(f, mistake.keys)]
        above = [f for f in found if f.weight < Weight.NOTE]
        if not mistake.words:
            controls += 1
            on_controls.update(f.id for f in above)
            continue
        beside.update(f.id for f in above if f not in about)
        rows.append(
            {
                "id": mistake.id,
                "mistake": mistake.words,
                "found": sorted({f.id for f in about}),
                "above_a_note": any(f.weight < Weight.NOTE for f in about),
                "beside": sorted({f.id for f in above if f not in about}),
            }
        )
    hits = sum(bool(row["found"]) for row in rows)
    others = sum(beside.values()) + sum(on_controls.values())
    return {
        "configs": len(rows),
        "without_a_mistake": controls,
        "on_those": dict(on_controls.most_common()),
        "found": hits,
        "found_above_a_note": sum(row["above_a_note"] for row in rows),
        "recall": round(hits / len(rows), 3),
        "beside": dict(beside.most_common()),
        "precision": round(hits / max(1, hits + others), 3),
        "rows": rows,
    }


def main() -> None:
    """Print the tables, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a file to write the results to")
    parser.add_argument("--missed", action="store_true", help="list what is not found")
    options = parser.parse_args()
    sets = {
        "reports": list(reports()),
        "documentation": list(documentation()),
        "pages": list(pages()),
    }
    answer: dict[str, Any] = {name: measured(given) for name, given in sets.items()}
    for name, result in answer.items():
        print(
            f"{name:14} {result['found']:3} of {result['configs']:3} found "
            f"(recall {result['recall']:.2f}), {result['found_above_a_note']} of them "
            f"above a note; {sum(result['beside'].values())} findings beside the "
            f"mistake, {sum(result['on_those'].values())} on "
            f"{result['without_a_mistake']} configs without one "
            f"(precision {result['precision']:.2f})"
        )
        for row in result["rows"]:
            if options.missed and (not row["found"] or row["beside"]):
                print(
                    f"    {row['id']}: {row['mistake']}; {row['found']}", row["beside"]
                )
    if options.out:
        record(options.out, answer)


if __name__ == "__main__":
    main()
