"""How `sftguide new` shows what it chose."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import echo

if TYPE_CHECKING:
    from ..authoring import Authored, Choice
    from ..runs.throughput import Throughput

_NAME = 9
_WIDTH = 80
_MOST_UNSURE = 4


def print_summary(
    made: Authored, path: Path, space: Path | None, past: list[Throughput]
) -> None:
    """What was chosen and why, what it costs, what is unsure, and what comes next."""
    from ..authoring import words

    echo(f"wrote {path}: {words.title(made)}\n")
    _row("why", words.why_this_training(made))
    for place, line in enumerate(words.data_lines(made)):
        _row("data" if not place else "", line)
    _row("", words.lengths_line(made))
    _row("", words.trained_text(made))
    _row("chose", _chosen(made))
    _row("memory", _memory(made))
    _row("steps", words.steps_text(made))
    _row("time", _time(made, past))
    _row("disk", _disk(made))
    for place, line in enumerate(made.choices.notes):
        _row("note" if not place else "", line)
    unsure = [_unsure(choice) for choice in made.choices.unsure]
    for place, line in enumerate(unsure[:_MOST_UNSURE]):
        _row("unsure" if not place else "", line)
    echo()
    for place, line in enumerate(_next(made, path, space)):
        echo(f"{'next' if not place else '':<{_NAME}}{line}")


def _row(name: str, text: str) -> None:
    """A line of the summary, wrapped below its second column."""
    lines = textwrap.wrap(
        text, _WIDTH - _NAME, break_long_words=False, break_on_hyphens=False
    )
    for place, line in enumerate(lines or [""]):
        echo(f"{name if not place else '':<{_NAME}}{line}")


def _chosen(made: Authored) -> str:
    choices = made.choices
    parts = [f"chat_template {choices.value('chat_template')}"]
    if made.candidate.is_adapter:
        parts.append(f"rank {choices.value('lora_r')}")
    packed = ", packed" if made.candidate.layout.packed else ", not packed"
    rate = f"{choices.value('learning_rate'):g}".replace("e-0", "e-")
    parts += [
        f"sequence_len {choices.value('sequence_len'):,}{packed}",
        f"{choices.value('sftguide.effective_batch_size'):,} samples a step",
        f"learning rate {rate} ({choices.value('lr_scheduler')})",
        f"{choices.value('num_epochs')} epochs",
    ]
    held = choices.value("sftguide.mix.held_out")
    parts += [f"{held:.1%} held out"] if held else []
    return ", ".join(parts)


def _memory(made: Authored) -> str:
    peak, size = made.memory.peak_bytes / 2**30, made.memory.gpu_bytes / 2**30
    at = "an evaluation" if made.memory.peak_at == "evaluation" else "a step"
    several = " on each GPU" if made.request.gpus > 1 else ""
    return f"{peak:.1f} of {size:.3g} GiB{several} in {at} (estimated)"


def _time(made: Authored, past: list[Throughput]) -> str:
    from ..units import duration

    if not past:
        return "unknown: no run of this model and length in your history"
    first, time = past[0], duration(_seconds(made, past))
    return f"about {time} on {first.device}, by {first.runs} earlier runs"


def _seconds(made: Authored, past: list[Throughput]) -> float | None:
    """The time of the training, by the throughput of earlier runs; None without any."""
    if not past:
        return None
    return made.steps * made.samples / past[0].samples_per_s / made.request.gpus


def _disk(made: Authored) -> str:
    size, count = made.checkpoint_bytes, made.checkpoints
    text = f"{count} checkpoint{'s' * (count > 1)} of about {_bytes(size)}"
    return f"{text}: {_bytes(count * size)}" if count > 1 else text


def _bytes(size: int) -> str:
    """A size in GiB, or in MiB if it is small."""
    gib = size / 2**30
    return f"{gib:,.1f} GiB" if gib >= 0.1 else f"{max(1, size >> 20)} MiB"


def _unsure(choice: Choice) -> str:
    key = choice.key.removeprefix("sftguide.")
    return f"{key} {choice.value}: {choice.unsure}"


def _next(made: Authored, path: Path, space: Path | None) -> list[str]:
    if made.request.trainer == "trl":
        gpus = made.request.gpus
        start = f"torchrun --nproc-per-node {gpus}" if gpus > 1 else "python"
        study = made.choices.value("sftguide.study")
        return [f"{start} {path}", f"sftguide runs list --study {study}"]
    lines = [f"sftguide check {path} --data", f"axolotl train {path}"]
    if space is not None:
        lines.append(f"sftguide sweep {path} {space}   # instead of one run")
    elif made.candidate.is_adapter:
        lines.append(f"axolotl merge-lora {path}")
    else:
        lines.append("sftguide runs show latest")
    return lines


def print_chain(made: Authored) -> None:
    """The evidence for each number."""
    from ..evidence import CLAIMS

    for choice in made.choices.made.values():
        if isinstance(choice.value, list | dict):
            continue
        echo(f"{choice.key}: {choice.value}")
        basis = {
            "evidence": "evidence",
            "data": "the data",
            "model": "the model",
            "fits": "what fits the card",
            "convention": "convention: no claim supports it",
            "default": "the host's default, or its advice",
            "given": "given by you",
        }[choice.basis]
        reason = choice.reason.removeprefix("convention: ") or choice.derived
        _indented(f"by {basis}" + (f": {reason}" if reason else ""))
        for key in choice.claims:
            claim = CLAIMS[key]
            value = f"{claim.value}: " if claim.value else ""
            _indented(f"[{key}] {value}{claim.statement}")
            own = claim.setting.holds(made.candidate.kind, made.rows)
            shown = "shown for" if own else "shown for another setting:"
            _indented(f"{shown} {claim.setting}; {claim.reference} ({claim.grade})")
        if choice.unsure:
            tried = ", ".join(map(str, choice.alternatives))
            others = f"; others: {tried}" if tried else ""
            _indented(f"unsure: {choice.unsure}{others}")
    echo()


def _indented(text: str) -> None:
    indent = "    "
    echo(textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent))


def as_dict(
    made: Authored, written: list[str], past: list[Throughput]
) -> dict[str, Any]:
    """All of it as plain values, for JSON."""
    data, memory = made.data, made.memory
    return {
        "written": written,
        "config": made.config,
        "choices": [choice.to_dict() for choice in made.choices.made.values()],
        "goal": made.goal,
        "model": {
            "name": made.model.name,
            "parameters": made.model.parameters,
            "tuned": made.model.tuned,
            "assumed": made.model.assumed,
        },
        "data": {
            "rows": data.rows,
            "trained_rows": made.rows,
            "sources": [
                {
                    "path": source.path,
                    "rows": source.rows,
                    "repeated": source.repeated,
                    "unusable": source.unusable,
                    "forms": dict(source.forms),
                    "faults": dict(source.faults),
                }
                for source in data.sources
            ],
            "roles": dict(data.roles),
            "tokens": {
                "counted_rows": data.counted,
                "median": data.quantile(0.5),
                "p99": data.quantile(0.99),
                "longest": data.quantile(1),
                "mean": data.mean,
                "whole": float(data.tokens.sum()),
                "trained": data.trained,
                "row_interval": list(data.row_factor),
            },
        },
        "memory": {
            "peak_bytes": memory.peak_bytes,
            "gpu_bytes": memory.gpu_bytes,
            "peak_at": memory.peak_at,
            "checkpoint_bytes": made.checkpoint_bytes,
            "others": [
                {"training": name, "gib": size, "fits": fits}
                for name, (size, fits) in made.others.items()
            ],
        },
        "steps": {
            "per_epoch": made.steps_an_epoch,
            "total": made.steps,
            "samples": made.samples,
            "accumulation": made.accumulation,
            "seconds": _seconds(made, past),
        },
    }
