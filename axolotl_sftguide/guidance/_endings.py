"""Changes after a run that failed, diverged, did not learn or was stopped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from ..evidence import CLAIMS
from ..units import number
from ._advice import Advice, Reason
from ._record import Ending, Record
from ._series import differing
from ._text import shown

_MEMORY = ("out of memory", "outofmemory")


def endings(record: Record) -> Iterator[Advice]:
    """Changes after a failure, a divergence, or a loss that did not move."""
    yield from _failed(record)
    yield from _cut_short(record)
    yield from _diverged(record)
    yield from _idle(record)
    yield from _worse(record)


def _failed(record: Record) -> Iterator[Advice]:
    if record.status != "failed" or not _out_of_memory(record):
        return
    names = record.names
    micro, accumulation = (
        record.config.get(key) for key in (names.micro, names.accumulation)
    )
    if not isinstance(micro, int) or not isinstance(accumulation, int):
        return
    reason = Reason(f"the run ended with {' '.join(record.reason.split())[:120]}")
    if micro > 1 and micro % 2 == 0:
        edits = {names.micro: micro // 2, names.accumulation: accumulation * 2}
        yield Advice(
            "out-of-memory",
            names.micro,
            f"set {names.micro}: {micro // 2} and {names.accumulation}: "
            f"{accumulation * 2}, which is the same batch",
            (reason,),
            "high",
            now=micro,
            to=micro // 2,
            direction="lower",
            edits=edits,
        )
        return
    yield Advice(
        "out-of-memory",
        names.length,
        f"lower {names.length}, or turn on gradient_checkpointing; "
        "`sftguide plan` says what fits",
        (reason,),
        "moderate",
        now=record.config.get(names.length),
        direction="lower",
    )


def _cut_short(record: Record) -> Iterator[Advice]:
    """Another start, after an end that no rule and no lack of memory brought about."""
    short = record.step < record.max_steps
    if record.status not in ("failed", "dead") or not short or _out_of_memory(record):
        return
    why = " ".join(record.reason.split())[:120]
    if not why:
        why = "its process ended without a reason: Ctrl-C, a kill, or a restart"
    yield Advice(
        "cut-short",
        "",
        "find out why it ended, and train it again or resume it from a checkpoint",
        (
            Reason(f"it ended at step {record.step:,} of {record.max_steps:,}"),
            Reason(why),
        ),
        "high",
    )


def _out_of_memory(record: Record) -> bool:
    return any(word in record.reason.lower() for word in _MEMORY)


def _diverged(record: Record) -> Iterator[Advice]:
    found = _of(record, ("divergence", "non_finite"))
    if found is None or record.rate is None or not _ended_high(record, found):
        return
    if found.rule == "non_finite" and record.config.get("fp16"):
        yield Advice(
            "diverged",
            "fp16",
            "set bf16: true instead of fp16",
            (_said(found), Reason("float16 overflows above 65,504, bfloat16 does not")),
            "moderate",
            now=True,
            edits={"fp16": False, "bf16": True},
        )
        return
    reasons = [_said(found)]
    most = CLAIMS["adapter-rate"].high or math.inf
    to, which = float(f"{record.rate / 3:.1g}"), "a third"
    if record.training == "adapter" and to > most:  # a slip, such as 1e4 for 1e-4
        to, which = most, "the highest at which adapters did best"
    if record.training == "adapter" and record.rate > most:
        reasons.append(
            Reason(f"adapters did best at up to {shown(most)}", "adapter-rate")
        )
    elif record.training == "adapter" and record.rate <= 2e-4:
        reasons.append(
            Reason(
                f"at {shown(record.rate)} adapters are usually stable: inspect the "
                f"rows of step {found.step} too",
                "adapter-rate",
            )
        )
    yield Advice(
        "diverged",
        record.names.rate,
        f"set {record.names.rate}: {shown(to)}, {which}, and start from the base "
        "model or a checkpoint before",
        tuple(reasons),
        "moderate",
        now=record.rate,
        to=to,
        direction="lower",
        edits={record.names.rate: to},
    )


def _idle(record: Record) -> Iterator[Advice]:
    found = _of(record, ("not_learning",))
    if found is None:
        return
    if "trained_tokens" in found.signals or "grad_norm" in found.signals:
        labels = "trained_tokens" in found.signals
        yield Advice(
            "not-learning",
            "datasets" if labels else "",
            "check which tokens are trained: sftguide check CONFIG --data"
            if labels
            else "check for frozen weights and masked labels: sftguide check CONFIG "
            "--data",
            (_said(found),),
            "high",
        )


def _worse(record: Record) -> Iterator[Advice]:
    """The best run, after a stop because other runs of the study were better."""
    found = _of(record, ("prediction", "comparison", "cohort"))
    if found is None or found.action != "stop" or not record.others:
        return
    best = max(record.others, key=lambda other: other.result.better)
    keys = differing(record.config, best.config)
    changed = ", ".join(f"{key} {shown(best.config.get(key))}" for key in keys[:4])
    result = best.result
    yield Advice(
        "stopped-as-worse",
        "",
        f"go on from the run {best.name}" + (f": {changed}" if changed else ""),
        (
            Reason(f"it has the best {result.metric}: {number(result.value)}"),
            _said(found),
        ),
        "moderate",
        edits={key: best.config.get(key) for key in keys},
    )


def _of(record: Record, rules: tuple[str, ...]) -> Ending | None:
    """The last decision of some rules; a stop if there is one."""
    found = [ending for ending in record.endings if ending.rule in rules]
    stops = [ending for ending in found if ending.action == "stop"]
    return next(reversed(stops or found), None)


def _ended_high(record: Record, found: Ending) -> bool:
    """Whether the loss was still high, or not finite, at the end of the run."""
    if found.action == "stop":
        return True
    if found.signals and "loss" not in found.signals:
        return False
    values = [loss for _, loss in record.losses]
    last = values[-max(1, len(values) // 20) :]
    before = [loss for step, loss in record.losses if step < found.step // 2]
    if not last or not before:
        return False
    return not all(map(math.isfinite, last)) or fmean(last) > 1.2 * min(before)


def _said(ending: Ending) -> Reason:
    return Reason(f"rule {ending.rule} at step {ending.step:,}: {ending.reason}")
