"""What the rules do with curves whose label is known.

    python benchmarks/curves.py [LOGS.json] [--each 50] [--seed 0] [--out FILE.json]

Made-up curves: `--each` of every kind in tests/support/labelled_curves.py, such as
healthy runs with spikes, phases or a long warmup, divergence fast and slow, and
learning rates that are zero or too low. Public logs: LOGS.json, a list of objects with
`label` (`healthy`, `failed: ...` or `unclear`), `kind` and `points` ([step, loss,
gradient norm, learning rate] at each log, null where it was not logged).

All rules that look at one run alone are on, with `action: stop`. The tables
have the number of runs that are stopped, at which share of the run on average, and the
number that get a warning only; `--out` also has the rules that found them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

from labelled_curves import labelled_curves  # noqa: E402
from record import record  # noqa: E402

from axolotl_sftguide.config.settings import EarlyTerminationSettings  # noqa: E402
from axolotl_sftguide.signals import Observation  # noqa: E402
from axolotl_sftguide.stopping.judge import judge_of  # noqa: E402


@dataclass(frozen=True)
class Outcome:
    """What the rules did with one curve."""

    stopped_by: str | None
    at: float
    """The share of the run at which it was stopped; 1 if it was not."""
    warned_by: tuple[str, ...]


@dataclass
class Row:
    """All curves of one kind."""

    label: str
    kind: str
    curves: int = 0
    stopped: int = 0
    warned_only: int = 0
    stopped_at: float | None = None
    by: dict[str, int] = field(default_factory=dict)


def outcome(observations: Iterable[Observation], max_steps: int) -> Outcome:
    """Fold the rules over a curve, up to the first stop."""
    judge = judge_of(EarlyTerminationSettings(action="stop"), max_steps=max_steps)
    state, warned = judge.init(), []
    for observation in observations:
        state, findings = judge.step(state, [observation])
        for finding in findings:
            if finding.action == "stop":
                at = observation.step / max_steps
                return Outcome(finding.verdict.rule, at, tuple(warned))
            warned.append(finding.verdict.rule)
    return Outcome(None, 1.0, tuple(warned))


def logged(points: Sequence[Sequence[float | None]]) -> list[Observation]:
    """The observations of a public log: means over the steps since the log before."""
    values = [[math.nan if v is None else v for v in point] for point in points]
    return [
        Observation(
            int(step), 0, loss, norm, rate, measured=False, samples_counted=False
        )
        for step, loss, norm, rate in values
    ]


def rows(found: Iterable[tuple[str, str, Outcome]]) -> list[Row]:
    """One row for each kind, in the order of their first curves."""
    table: dict[tuple[str, str], Row] = {}
    places: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for label, kind, what in found:
        row = table.setdefault((label, kind), Row(label, kind))
        row.curves += 1
        row.stopped += what.stopped_by is not None
        row.warned_only += what.stopped_by is None and bool(what.warned_by)
        names = [what.stopped_by] if what.stopped_by else []
        names += [f"{name} warns" for name in what.warned_by]
        row.by = dict(Counter(row.by) + Counter(names))
        if what.stopped_by is not None:
            places[label, kind].append(what.at)
    for key, row in table.items():
        if places[key]:
            row.stopped_at = sum(places[key]) / len(places[key])
    return list(table.values())


def table_of(found: Sequence[Row]) -> str:
    """The rows in Markdown, as in docs/evidence.md."""
    lines = ["| curves | kind | number | stopped | at | warned only |"]
    lines.append("|---|---|---|---|---|---|")
    for row in found:
        at = "-" if row.stopped_at is None else f"{row.stopped_at:.0%}"
        lines.append(
            f"| {row.label} | {row.kind} | {row.curves} | {row.stopped} | {at} "
            f"| {row.warned_only} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="?", type=Path)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    made_up = rows(
        (c.label, c.kind, outcome(c.observations, c.steps))
        for c in labelled_curves(options.each, options.seed)
    )
    print(f"Made-up curves\n\n{table_of(made_up)}")
    results["made up"] = [asdict(row) for row in made_up]
    if options.logs is None or not options.logs.exists():
        print(f"public logs are left out: {options.logs or 'no file is named'}")
    else:
        logs = json.loads(options.logs.read_text())
        public = rows(
            (
                log["label"].split(":")[0],
                log["label"].split(":")[-1].strip(),
                outcome(logged(log["points"]), int(log["points"][-1][0])),
            )
            for log in logs
        )
        print(f"Public logs\n\n{table_of(public)}")
        results["public logs"] = [asdict(row) for row in public]
    if options.out is not None:
        record(options.out, results, keep=True)


if __name__ == "__main__":
    main()
