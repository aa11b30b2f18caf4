"""Studies of made-up runs with traces, as a sweep over batch and rate leaves them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runs import run_row

from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, trace_path
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.judge import judge_of

HOSTILE = "</script><img src=x onerror=\"document.title='broken in'\"><b>x</b>"
"""A name that is markup, and must stay text."""

RATES = (1e-6, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-2)
BATCHES = (8, 16, 32, 64, 128)
_MICRO = 4
_ROWS = 20_000
_STARTED_AT = 1_790_000_000.0


def make_study(
    storage: str,
    folder: Path,
    runs: int,
    steps: int,
    *,
    study: str = "made-up",
    judged: bool = True,
    hostile: bool = False,
) -> RunHistory:
    """Fill a history with runs that learn well or badly, idle or diverge.

    Args:
        storage: The history.
        folder: Where the traces are written.
        runs: How many runs.
        steps: Optimizer steps of each, if it is not stopped.
        study: Their study.
        judged: Whether the rules judge each run, which takes some time.
        hostile: Whether names and values are markup.
    """
    history = RunHistory(storage)
    draw = random.Random(0)
    for i in range(runs):
        rate = RATES[i % len(RATES)]
        batch = BATCHES[i // len(RATES) % len(BATCHES)]
        path = _write(folder, i, rate, batch, steps, study, judged, hostile, draw)
        history.import_trace(read_trace(path))
    return history


def _write(
    folder: Path,
    i: int,
    rate: float,
    batch: int,
    steps: int,
    study: str,
    judged: bool,
    hostile: bool,
    draw: random.Random,
) -> Path:
    name = f"{study}-{i:04d}"
    started = _STARTED_AT + 3600.0 * i
    observations = list(_observations(rate, batch, steps, draw))
    ill = rate in (RATES[0], RATES[-1])  # the others have no finding; it saves time
    findings = _findings(observations, steps) if judged and ill else []
    stop = next((f for f in findings if f["action"] == "stop"), None)
    if stop is not None:
        observations = observations[: stop["step"] + 6]
    row = run_row(
        name,
        name=f"run {i} {HOSTILE}" if hostile else f"run-{i:03d}",
        study=f"{study} {HOSTILE}" if hostile else study,
        host="axolotl",
        key_fields=_key_fields(batch),
        config=_config(rate, batch, i, hostile),
        output_dir=str(folder / name),
        max_steps=steps,
        started_at=started,
        device="NVIDIA GeForce RTX 4090",
    )
    writer = TraceWriter(trace_path(folder, name))
    writer.begin(row)
    writer.steps(observations)
    for finding in findings:
        if finding["step"] <= observations[-1].step:
            writer.event("decision", **finding)
    for event in _source_events(observations, draw):
        writer.event("loss_by_source", **event)
    if stop is None:
        value = _score(rate, batch, draw)
        writer.event(
            "score", metric="accuracy", value=value, goal="max", base_value=0.31
        )
    reason = None if stop is None else f"{stop['rule']}: {stop['reason']}"
    writer.event(
        "end",
        status="terminated" if stop else "finished",
        reason=reason,
        at=started + 1.7 * len(observations),
        step_s=1.7,
    )
    writer.close()
    return writer.path


def _key_fields(batch: int) -> dict[str, Any]:
    return {
        "host": "axolotl",
        "loss_normalisation": "token mean",
        "base_model": "meta-llama/Llama-3.1-8B",
        "adapter": {"r": 32, "lora_alpha": 64},
        "data": {"rows": _ROWS, "digest": "0123456789abcdef"},
        "sequence_len": 2048,
        "packing": False,
        "micro_batch_size": _MICRO,
        "gradient_accumulation_steps": batch // _MICRO,
        "ranks": 1,
    }


def _config(rate: float, batch: int, i: int, hostile: bool) -> dict[str, Any]:
    return {
        "base_model": "meta-llama/Llama-3.1-8B",
        "learning_rate": rate,
        "gradient_accumulation_steps": batch // _MICRO,
        "micro_batch_size": _MICRO,
        "optimizer": "adamw_bnb_8bit",
        "lr_scheduler": HOSTILE if hostile and i % 2 else "constant",
        "lora_r": (16, 32)[i // 3 % 2],
        "seed": 42 + i // 40,
    }


def _observations(
    rate: float, batch: int, steps: int, draw: random.Random
) -> Iterator[Observation]:
    """A loss that falls with the rate; it stays or diverges at the ends of `RATES`."""
    speed = 0.0 if rate < 1e-5 else 4 * min(1.0, (rate / 5e-4) ** 0.5)
    floor = 1.0 + 0.12 * abs(math.log(rate / 3e-4))
    noise = 0.24 / math.sqrt(batch / 8)
    for step in range(1, steps + 1):
        part = step / steps
        loss = floor + (2.6 - floor) * math.exp(-speed * part * 3)
        norm = 0.6 + 0.9 * math.exp(-3 * part)
        if not speed:
            loss, norm = 2.6, 1.5
        if rate > 5e-3 and step > 12:
            loss, norm = 9.0 + 2 * draw.random(), 24.0
        trace = 14.0 * norm**2
        yield Observation(
            step,
            batch * step,
            loss + draw.gauss(0, noise),
            math.sqrt(max(0.0, norm**2 + trace / batch)) * (1 + draw.gauss(0, 0.05)),
            rate,
            trained_tokens=batch * 180,
            grad_noise=trace / batch * (1 + draw.gauss(0, 0.2)),
        )


def _findings(observations: list[Observation], steps: int) -> list[dict[str, Any]]:
    """What the rules themselves say, as a run records it."""
    judge = judge_of(EarlyTerminationSettings(action="stop"), max_steps=steps)
    state, found = judge.init(), []
    for observation in observations:
        state, findings = judge.step(state, [observation])
        for finding in findings:
            verdict = asdict(finding.verdict)
            del verdict["bad_since"], verdict["certain"]
            found.append({**verdict, "action": finding.action})
        if any(finding.action == "stop" for finding in findings):
            return found
    return found


def _source_events(
    observations: list[Observation], draw: random.Random
) -> Iterator[dict[str, Any]]:
    for o in observations[9::10]:
        share = o.step / len(observations)
        yield {
            "step": o.step,
            "loss": {
                "knowledge": o.loss + 0.3 - 0.2 * share,
                "skills": o.loss - 0.2 - 0.3 * share + draw.gauss(0, 0.02),
            },
            "tokens": {"knowledge": 900, "skills": 540},
        }


def _score(rate: float, batch: int, draw: random.Random) -> float:
    if rate < 1e-5:
        return 0.31
    far = math.log(rate / 3e-4) ** 2 + 0.15 * math.log(batch / 32) ** 2
    return round(0.68 - 0.018 * far + draw.gauss(0, 0.008), 4)
