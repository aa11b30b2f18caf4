"""Replays `sftguide next` on runs of others: did those that followed it do better?

    python benchmarks/next_advice.py FOLDER [--out FILE.json]

FOLDER holds the public tables of docs/evidence.md, other people's grids in `grids/`,
and perhaps the public logs of `curve_logs.py` as `curves.json`. Each run is shown with
what its record holds, alone or beside some other runs of its study, which are drawn at
random. Of each advice that names a setting and a direction, the nearest run that
followed it, and was not shown, is compared with the run itself. Two baselines advise
on the same runs: a random direction, and always the rate of the convention. Each table
is also split into halves by grid, base model or data set: A chose the rules, B did not.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from advice_outcomes import Outcome, everywhere, outcomes, summary
from advice_studies import BATCH, EPOCHS, RATE, Case, grids, massive, own, tinker
from record import record

from axolotl_sftguide.config.settings import EarlyTerminationSettings
from axolotl_sftguide.evidence.intervals import resampled
from axolotl_sftguide.guidance import Ending, Record, guide
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.judge import judge_of

SHOWN = (4, 8)
"""How many other settings of its study are shown with a run."""

SEED = 42


def turns(folder: Path) -> dict[str, Any]:
    """What the held-out loss did after a cut at half of its evaluations.

    Each grid run with held-out losses is cut. Where the loss had turned by then, no
    later evaluation should be lower; where it still fell, a later one should be. The
    baselines take all runs.
    """
    found: dict[str, list[tuple[tuple[str, ...], float]]] = defaultdict(list)
    for cases in grids(folder):
        for case in cases:
            values = [v for _, v in case.record.evaluations if math.isfinite(v)]
            half = case.record.evaluations[: len(case.record.evaluations) // 2]
            if len(half) < 3:
                continue
            so_far = min(v for _, v in half)
            lower = min(values) < so_far - 0.01 * abs(so_far)
            cluster = (case.cluster,)
            found["all: later lower"].append((cluster, float(lower)))
            cut = replace(
                case.record,
                evaluations=half,
                config={**case.record.config, "lr_scheduler": "constant"},
                result=None,
            )
            if any(a.rule == "held-out-rose" for a in guide(cut).advice):
                found["turned: later lower"].append((cluster, float(lower)))
            elif any("still fell" in u.text for u in guide(cut).unclear):
                found["falls: later lower"].append((cluster, float(lower)))
    answer = {}
    for name, cells in sorted(found.items()):
        estimate = resampled(cells, fmean)
        ends = estimate and [estimate.low, estimate.high]
        share = fmean(value for _, value in cells)
        clusters = len({key for key, _ in cells})
        answer[name] = {
            "runs": len(cells),
            "grids": clusters,
            "share": share,
            "interval": ends,
        }
        print(
            f"  {name:<25} {len(cells)} runs, {clusters} grids: {share:.0%} "
            f"{_interval(ends, '.0%')}"
        )
    return answer


def diverged(folder: Path) -> dict[str, int]:
    """Of adapter runs that diverged, how many had a sound run at about a third."""
    sound: dict[tuple[str, str], list[float]] = defaultdict(list)
    with (folder / "tinker-sft-sweep.csv").open() as file:
        for row in csv.DictReader(file):
            rate = float(row["learning_rate"])
            sound[row["model"], row["lora_rank"]].append(rate)
    runs = followed = 0
    with (folder / "tinker-sft-sweep-diverged.csv").open() as file:
        for row in csv.DictReader(file):
            for rate in row["learning_rates"].split(", "):
                for rank in row["ranks"].split(", "):
                    rates = sound[row["model"], rank]
                    if float(rate) in rates:
                        continue  # not this rank at this rate
                    runs += 1
                    third = [r for r in rates if float(rate) / 4 < r < float(rate) / 2]
                    followed += bool(third)
    print(f"  {runs} diverged, {followed} with a sound run at about a third")
    return {"diverged": runs, "sound at a third": followed}


def healthy(path: Path) -> dict[str, Any]:
    """What is advised on public logs by their curves alone, by label."""
    logs = json.loads(path.read_text())
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for log in logs:
        label = log["label"].split(":")[0]
        points = [[math.nan if v is None else v for v in p] for p in log["points"]]
        steps, rate = int(points[-1][0]), max(p[3] for p in points)
        judge = judge_of(EarlyTerminationSettings(action="stop"), max_steps=steps)
        state, endings, last = judge.init(), [], steps
        for step, loss, norm, now in points:
            seen = Observation(
                int(step), 0, loss, norm, now, measured=False, samples_counted=False
            )
            state, findings = judge.step(state, [seen])
            for each in findings:
                verdict = each.verdict
                endings.append(
                    Ending(
                        verdict.rule,
                        each.action,
                        verdict.reason,
                        int(step),
                        verdict.signals,
                    )
                )
            if any(each.action == "stop" for each in findings):
                last = int(step)
                break
        record = Record(
            config={RATE: rate} if math.isfinite(rate) else {},
            status="finished" if last == steps else "terminated",
            step=last,
            max_steps=steps,
            losses=tuple((int(p[0]), p[1]) for p in points if p[0] <= last),
            endings=tuple(endings),
        )
        rules = [advice.rule for advice in guide(record).advice]
        table[label][", ".join(rules) or "silent"] += 1
    for label, counts in sorted(table.items()):
        print(f"  {label}: {dict(counts)}")
    return {label: dict(counts) for label, counts in table.items()}


ROWS = (
    ("tinker", 0, "rate-adapter-low", RATE, "548 LoRA runs", "a higher rate, by claim"),
    ("tinker", 0, "rate-adapter-high", RATE, "", "a lower rate, by claim"),
    ("tinker", 4, "neighbours", RATE, "", "the rate of a run beside it"),
    ("tinker", 4, "neighbours", "lora_r", "", "the rank of a run beside it"),
    ("massive", 0, "epochs-style", EPOCHS, "1,016 fine-tunes", "chat: six epochs"),
    ("massive", 0, "epochs-reasoning", EPOCHS, "", "GSM8K, MBPP: two epochs"),
    ("grids", 4, "best-run", "", "647 runs of 12 grids", "to go on from the best run"),
    ("grids", 4, "neighbours", RATE, "", "the rate of a run beside it"),
    ("grids", 4, "neighbours", BATCH, "", "the batch of a run beside it"),
    ("own", 4, "neighbours", RATE, "our own four grids", "the rate of a run beside it"),
    ("own", 4, "best-run", "", "", "to go on from the best run"),
    ("own", 0, "below-base", RATE, "", "a third of the rate, below the base"),
)
"""What docs/next.md shows: where, with how many settings shown, and which rule."""


def markdown(written: dict[str, Any]) -> str:
    """The table of docs/next.md."""
    lines = [
        "| runs | advised | followed | did better (95%) | other half | "
        "mean gain, in deviations | any other value | the usual rate |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for source, shown, rule, key, runs, advised in ROWS:
        of = written[source][f"{shown} shown"]
        end = f", {key}" if key else ""
        found = of.get(f"{rule}{end}")
        if found is None:
            continue
        whole = found["all"]
        cells = [
            runs,
            advised,
            f"{whole['advice']:,}",
            f"{whole['better']:.0%} {_interval(whole['better_interval'], '.0%')}",
            f"{found['B']['better']:.0%}" if "B" in found else "-",
            f"{whole['gain']:+.1f} {_interval(whole['gain_interval'], '+.1f')}",
            *(
                f"{other['all']['better']:.0%}" if other else "-"
                for other in (
                    of.get(f"{rule}: at random{end}"),
                    of.get(f"{rule}: convention{end}"),
                )
            ),
        ]
        lines.append("| " + " | ".join(cell.strip() for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", help="grids, tinker, massive, own or rest")
    given = parser.parse_args()
    written: dict[str, Any] = {}
    for name, read, shown in (
        ("grids", grids, (0, *SHOWN)),
        ("tinker", tinker, (0, *SHOWN)),
        ("massive", massive, (0,)),
        ("own", own, (0, *SHOWN)),
    ):
        if given.only not in (None, name):
            continue
        studies = list(read(given.folder))
        print(f"\n{name}: {sum(map(len, studies))} runs in {len(studies)} studies")
        written[name] = {f"{n} shown": _report(studies, n) for n in shown}
    if given.only in (None, "rest"):
        written |= _rest_of(given.folder)
    if given.only is None:
        print(f"\n{markdown(written)}")
    if given.out:
        record(given.out, written)


def _rest_of(folder: Path) -> dict[str, Any]:
    """What is not asked of single settings."""
    answer: dict[str, Any] = {}
    print("\nheld-out loss, cut at half")
    answer["turns"] = turns(folder)
    print("\nadapter runs that diverged")
    answer["diverged"] = diverged(folder)
    logs = folder / "curves.json"
    if logs.exists():
        print("\npublic training logs")
        answer["logs"] = healthy(logs)
    return answer


def _report(studies: Sequence[Sequence[Case]], shown: int) -> dict[str, Any]:
    """The outcomes by rule, on all clusters and on each half of them."""
    clusters = sorted({case.cluster for cases in studies for case in cases})
    halves = {cluster: "AB"[i % 2] for i, cluster in enumerate(clusters)}
    draw = random.Random(SEED)
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for cases in studies:
        whole = (o for key in (RATE, EPOCHS) for o in everywhere(cases, key))
        for outcome in (*outcomes(cases, draw, shown), *(() if shown else whole)):
            groups[f"{outcome.by}, {outcome.key}".removesuffix(", ")].append(outcome)
    answer: dict[str, Any] = {}
    for name, found in sorted(groups.items()):
        if name in ("silent", "spoke") or "nobody" in name:
            answer[name] = len(found)
            print(f"  {shown} shown  {name:<45} {len(found):>6}")
            continue
        answer[name] = {"all": summary(found)}
        for half in "AB":
            own = [o for o in found if halves[o.cluster] == half]
            if own:
                answer[name][half] = summary(own)
        for half, s in answer[name].items():
            print(
                f"  {shown} shown  {name:<45} {half:<3} n {s['advice']:>5} in "
                f"{s['clusters']:>2}: better {s['better']:.0%} "
                f"{_interval(s['better_interval'], '.0%')}, gain {s['gain']:+.2f} "
                f"{_interval(s['gain_interval'], '+.2f')}"
            )
    return answer


def _interval(ends: Sequence[float] | None, form: str) -> str:
    return "" if ends is None else f"({ends[0]:{form}} to {ends[1]:{form}})"


if __name__ == "__main__":
    main()
