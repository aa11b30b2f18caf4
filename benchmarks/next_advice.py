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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from record import record
from studies import HIGHER_IS_BETTER, OWN, SEEDS

from axolotl_sftguide.config.differences import setting_of
from axolotl_sftguide.config.settings import EarlyTerminationSettings
from axolotl_sftguide.evidence.intervals import resampled
from axolotl_sftguide.evidence.sft_scores import SCORES, copied_scores
from axolotl_sftguide.guidance import (
    Advice,
    Ending,
    Other,
    Record,
    Result,
    goal_of,
    guide,
)
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.judge import judge_of

SHOWN = (4, 8)
"""How many other settings of its study are shown with a run."""

DRAWS = 2
SEED = 42

CONVENTION = {"adapter": 2e-4, "full": 2e-5}
"""The usual learning rates, for the baseline."""

RATE, EPOCHS, BATCH = "learning_rate", "num_epochs", "samples per step"
_NAMES = {"lr": RATE, "rank": "lora_r", "wd": "weight_decay", "opt": "optimizer"}


@dataclass(frozen=True)
class Case:
    """One run of a study, with what it is compared with."""

    study: str
    cluster: str
    """What is resampled: a grid, or a base model."""
    record: Record
    unit: float
    """The noise of a score."""

    @property
    def better(self) -> float:
        """The score; higher is better."""
        assert self.record.result is not None
        return self.record.result.better


@dataclass(frozen=True)
class Outcome:
    """An advice that could be followed, and what came of it."""

    by: str
    """The rule, or a baseline."""
    key: str
    cluster: str
    gain: float
    """The score of those that followed it minus that of the run, in units of noise."""


def grids(folder: Path) -> Iterator[list[Case]]:
    """Each grid as a study."""
    for path in sorted((folder / "grids").glob("*.json")):
        grid = json.loads(path.read_text())
        higher = grid["score"]["goal"] == "max"
        scores = [run["score"] for run in grid["runs"]]
        unit = SEEDS.get(path.stem) or pstdev(scores) / 10
        yield [_of_grid(path.stem, run, higher, unit) for run in grid["runs"]]


def _of_grid(study: str, run: dict[str, Any], higher: bool, unit: float) -> Case:
    given = dict(run["config"])
    if study.startswith(("mlperf", "algoperf")):
        given.pop("cfg")  # the machine, or a number of what else is given
    given.pop("trainable", None)
    samples = given.pop("bs", None)
    config = {_NAMES.get(k, k): v for k, v in given.items() if v is not None}
    config["micro_batch_size"] = samples
    logs = [p for p in run["points"] if p[2] is not None]
    evals = [(int(s), float(v)) for s, v in run.get("evals") or () if v is not None]
    lora = study.startswith("mlperf_lora") or given.get("method") == "LORA"
    tuned = lora or given.get("method") == "FULL"
    record = Record(
        config=config,
        # No claim is about other methods, nor about training from scratch.
        training="adapter" if lora else "full" if tuned else "",
        samples=samples,
        step=logs[-1][0],
        max_steps=logs[-1][0],
        losses=tuple((p[0], p[2]) for p in logs),
        evaluations=() if study in HIGHER_IS_BETTER else tuple(evals),
        setting=setting_of(config),
        result=Result("score", run["score"], higher),
        device="cpu",
    )
    return Case(study, study, record, unit)


def tinker(folder: Path) -> Iterator[list[Case]]:
    """Each base model as a study: LoRA at five or so rates and several ranks."""
    by_model = defaultdict(list)
    with (folder / "tinker-sft-sweep.csv").open() as file:
        for row in csv.DictReader(file):
            by_model[row["model"]].append(row)
    for model, rows in by_model.items():
        cases = []
        for row in rows:
            config = {
                RATE: float(row["learning_rate"]),
                "lora_r": int(row["lora_rank"]),
                "adapter": "lora",
            }
            record = Record(
                config=config,
                training="adapter",
                samples=128,
                rows=100_000,
                step=780,
                max_steps=780,
                setting=setting_of(config),
                result=Result("test_nll", float(row["test_nll"]), False),
            )
            cases.append(Case(f"tinker: {model}", model, record, 0.0))
        unit = _scatter(cases)
        yield [replace(case, unit=unit) for case in cases]


def _scatter(cases: Sequence[Case]) -> float:
    """The noise where nothing is repeated: differences of neighbouring ranks."""
    by_rate = defaultdict(list)
    for case in cases:
        by_rate[case.record.rate].append((case.record.config["lora_r"], case.better))
    steps = []
    for values in by_rate.values():
        ordered = [score for _, score in sorted(values)]
        steps += [b - a for a, b in pairwise(ordered)]
    steps = sorted(map(abs, steps))
    return 1.4826 * steps[len(steps) // 2] / math.sqrt(2) if steps else 1e-3


def massive(folder: Path) -> Iterator[list[Case]]:
    """Each base, data set, size, schedule and score as a study: epochs differ."""
    with (folder / "massive-sft.csv").open() as file:
        rows = list(csv.DictReader(file))
    copied = copied_scores(rows)
    studies: dict[tuple[str, ...], list[Case]] = defaultdict(list)
    columns = ("model_name", "data_name", "data_size", "lora", "lr_strategy")
    for i, row in enumerate(rows):
        for score in SCORES:
            text = row[score.column]
            if not text or (i, score.column) in copied:
                continue
            key = (*(row[c] for c in columns), score.column)
            config = {EPOCHS: float(row["epoch"]), "lr_scheduler": row["lr_strategy"]}
            record = Record(
                config=config,
                training="adapter" if row["lora"] == "true" else "full",
                rows=int(float(row["data_size"])),
                step=100,
                max_steps=100,
                epochs=float(row["epoch"]),
                setting=setting_of(config),
                result=Result(score.column, float(text), True),
                goal=_goal(score.column),
            )
            cluster = row["data_name"] or "mixed"
            studies[key].append(
                Case(f"massive: {score.column}", cluster, record, score.margin)
            )
    yield from (cases for cases in studies.values() if len(cases) > 1)


def _goal(column: str) -> Any:
    return goal_of(column.replace("mtbench", "mt_bench"))


def own(_: Path) -> Iterator[list[Case]]:
    """The grids of this repository, a study for each of their two scores."""
    examples = {"taught_exact_match": 200, "retained_first_token": 400}
    base = {"taught_exact_match": 0.0, "retained_first_token": 0.6175}
    for path in sorted(OWN.glob("*.json")):
        grid = json.loads(path.read_text())
        for metric in grid["scores"]:
            cases = []
            for run in grid["runs"]:
                config = {"lr_scheduler": "constant", **run["config"]}
                score = run["scores"][metric]
                result = Result(metric, score, True, examples[metric], base[metric])
                record = Record(
                    config=config,
                    training="adapter" if path.stem == "lora" else "full",
                    parameters=5_212_416,
                    rows=2048,
                    samples=run["samples_per_step"],
                    step=run["points"][-1][0],
                    max_steps=run["points"][-1][0],
                    losses=tuple((p[0], p[2]) for p in run["points"]),
                    setting=setting_of(config),
                    result=result,
                )
                cases.append(Case(path.stem, f"{path.stem}, {metric}", record, 0.025))
            yield cases


def outcomes(
    cases: Sequence[Case], draw: random.Random, shown: int
) -> Iterator[Outcome]:
    """What came of the advice on each run of a study, and of the baselines there.

    Args:
        cases: The runs of the study.
        draw: Draws the runs that are shown.
        shown: How many other settings are shown.
    """
    settings = sorted({case.record.setting for case in cases})
    for case in cases:
        for _ in range(DRAWS if shown else 1):
            rest = [s for s in settings if s != case.record.setting]
            drawn = set(draw.sample(rest, min(shown, len(rest))))
            drawn |= {case.record.setting} if shown else set()
            seen = _without_one_repeat(
                [c for c in cases if c is not case and c.record.setting in drawn], draw
            )
            unseen = [c for c in cases if c is not case and c not in seen]
            record = replace(case.record, others=tuple(map(_other, seen)))
            found = list(guide(record).advice)
            yield Outcome("silent" if not found else "spoke", "", case.cluster, 0.0)
            for advice in found:
                yield from _of_advice(case, advice, unseen)


def everywhere(cases: Sequence[Case], key: str) -> Iterator[Outcome]:
    """Both baselines on every run of a study, also where nothing is advised."""
    for case in cases:
        others = [c for c in cases if c is not case]
        yield from _baselines(case, key, others, "everywhere")


def _of_advice(case: Case, advice: Advice, unseen: Sequence[Case]) -> Iterator[Outcome]:
    """What came of an advice, and of the baselines on the same run."""
    rule, key = advice.rule, advice.key
    gain = _followed(case, advice, unseen)
    if gain is None:
        yield Outcome(f"{rule}: nobody followed", key, case.cluster, 0.0)
        return
    yield Outcome(rule, key, case.cluster, gain)
    if not advice.direction:
        gains = [g for c in unseen if (g := _gain(case, [c])) is not None]
        yield Outcome(f"{rule}: at random", key, case.cluster, fmean(gains))
        return
    yield from _baselines(case, key, unseen, rule)


def _baselines(
    case: Case, key: str, unseen: Sequence[Case], rule: str
) -> Iterator[Outcome]:
    """A random other value of a setting, and the usual rate."""
    values = {_value(c, key) for c in unseen} - {None}
    changes = {
        value: gain
        for value in values
        if value is not None
        if (gain := _change(case, key, value, unseen)) is not None
    }
    for gain in changes.values():
        yield Outcome(f"{rule}: at random", key, case.cluster, gain)
    to, mine = CONVENTION.get(case.record.training), case.record.rate
    if key == RATE and to and mine and changes:
        # It leaves a run alone whose rate is the nearest to the convention's.
        near = min({*changes, mine}, key=lambda value: abs(math.log(value / to)))
        if near != mine:
            yield Outcome(f"{rule}: convention", key, case.cluster, changes[near])


def _other(case: Case) -> Other:
    record = case.record
    assert record.result is not None
    return Other("a run", record.setting, record.config, record.result, record.samples)


def _without_one_repeat(seen: Sequence[Case], draw: random.Random) -> list[Case]:
    """Of repeats, one stays unseen, so that each setting can be followed."""
    by_setting = defaultdict(list)
    for case in seen:
        by_setting[case.record.setting].append(case)
    kept = []
    for repeats in by_setting.values():
        if len(repeats) > 1:
            repeats = draw.sample(repeats, len(repeats) - 1)
        kept += repeats
    return kept


def _followed(case: Case, advice: Advice, unseen: Sequence[Case]) -> float | None:
    """The gain of the nearest unseen run that did as it was advised."""
    if advice.rule == "best-run":
        return _gain(case, [c for c in unseen if _has(c, dict(advice.edits))])
    if not advice.direction:
        return None
    if advice.rule == "neighbours":
        return _change(case, advice.key, float(advice.to), unseen)
    to = float(advice.to) if advice.to is not None else None
    return _gain(case, _in_direction(case, advice.key, advice.direction, to, unseen))


def _change(case: Case, key: str, value: float, unseen: Sequence[Case]) -> float | None:
    """The gain of a change to one value, by runs that were not shown.

    If all runs with this value and all else equal were shown, the same change is looked
    at where another setting differs, which is as good as a repeat.
    """
    mine = _value(case, key)
    if value == mine:
        return None
    rest = _rest(case, key)
    exact = [c for c in unseen if _value(c, key) == value and _rest(c, key) == rest]
    if exact:
        return _gain(case, exact)
    gains = list(_elsewhere(case, key, value, unseen))
    return fmean(gains) if gains else None


def _gain(case: Case, took: Sequence[Case]) -> float | None:
    if not took:
        return None
    return (fmean(c.better for c in took) - case.better) / case.unit


def _elsewhere(
    case: Case, key: str, to: float, unseen: Sequence[Case]
) -> Iterator[float]:
    """The gain of the same change where one other setting is different."""
    mine = _value(case, key)
    after = {_rest(c, key): c for c in unseen if _value(c, key) == to}
    for before in unseen:
        rest = _rest(before, key)
        if _value(before, key) == mine and rest in after and rest != _rest(case, key):
            yield (after[rest].better - before.better) / case.unit


def _has(case: Case, edits: dict[str, Any]) -> bool:
    return all(case.record.config.get(key) == value for key, value in edits.items())


def _in_direction(
    case: Case, key: str, direction: str, to: float | None, unseen: Sequence[Case]
) -> list[Case]:
    """The unseen runs at the value nearest to the advised one, all else equal."""
    mine = _value(case, key)
    if mine is None:
        return []
    found: dict[float, list[Case]] = defaultdict(list)
    for other in unseen:
        theirs = _value(other, key)
        if theirs is None or theirs == mine or _rest(case, key) != _rest(other, key):
            continue
        if (theirs > mine) == (direction == "higher"):
            found[theirs].append(other)
    goal = math.log(to) if to else math.log(mine)
    nearest = min(found, key=lambda value: abs(math.log(value) - goal), default=None)
    return [] if nearest is None else found[nearest]


def _value(case: Case, key: str) -> float | None:
    value = case.record.samples if key == BATCH else case.record.config.get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _rest(case: Case, key: str) -> str:
    left = {"seed", key} | ({"micro_batch_size"} if key == BATCH else set())
    kept = {k: str(v) for k, v in case.record.config.items() if k not in left}
    return repr(sorted(kept.items()))


def summary(found: Sequence[Outcome]) -> dict[str, Any]:
    """Share better and mean gain, each with an interval that resamples clusters."""
    by_cluster = defaultdict(list)
    for outcome in found:
        by_cluster[outcome.cluster].append(outcome.gain)
    cells = [
        ((cluster,), (len(gains), sum(g > 0 for g in gains), math.fsum(gains)))
        for cluster, gains in by_cluster.items()
    ]
    answer: dict[str, Any] = {"advice": len(found), "clusters": len(cells)}
    for place, name in ((1, "better"), (2, "gain")):
        answer[name] = _ratio(place, [sums for _, sums in cells])
        estimate = resampled(cells, partial(_ratio, place))
        answer[f"{name}_interval"] = estimate and [estimate.low, estimate.high]
    return answer


def _ratio(place: int, sums: Sequence[tuple[float, ...]]) -> float:
    return math.fsum(s[place] for s in sums) / math.fsum(s[0] for s in sums)


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
