"""Sentences on a config that both its header and the terminal show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from ..units import counted
from ._author import Authored
from ._data import SourceFacts
from ._tokens import MARKS

KINDS = {"full": "full fine-tuning", "lora": "LoRA in bf16", "qlora": "4-bit QLoRA"}
_FORMS = {
    "messages": "messages",
    "sharegpt": "ShareGPT",
    "alpaca": "Alpaca",
    "prompt_completion": "prompt and completion",
    "question_answer": "question and answer",
}

_MOST_REASONS = 4


def title(made: Authored) -> str:
    """Model, training and card in one line."""
    request = made.request
    size = f"{request.gpu_bytes / 2**30:.3g} GiB"
    card = f"{request.gpus} GPUs of {size}" if request.gpus > 1 else f"one {size} card"
    short = made.model.name.rstrip("/").rpartition("/")[2]
    return f"{short} on {card}: {KINDS[made.candidate.training]}."


def training_text(made: Authored) -> str:
    """What is trained, and why not something else."""
    kind = "tuned" if made.model.tuned else "base"
    text = f"{KINDS[made.candidate.training]} of a {kind} model"
    sharding = {"ddp": "one copy on each GPU", "fsdp": "FSDP2", "zero": "ZeRO"}
    if made.request.gpus > 1:
        text += f", {sharding[made.candidate.sharding]}"
    return f"{text}; {why_this_training(made)}"


def why_this_training(made: Authored) -> str:
    """The reason for full fine-tuning, LoRA or QLoRA."""
    needs = made.others
    chosen = made.candidate.training
    if made.request.training is not None:
        return "as given"
    if chosen == "full":
        if made.model.is_small:
            return "the model is small enough to train all of it"
        return "with 200,000 rows or more, as in [large-batch], and it fits"
    full = needs["full fine-tuning"]
    if chosen == "lora":
        other = "fits too" if full.fits else f"needs {full.gib:.0f} GiB"
        return (
            "an adapter forgets less [adapter-forgets-less]; full fine-tuning " + other
        )
    return f"LoRA in bf16 needs {needs['LoRA in bf16'].gib:.1f} GiB"


def data_lines(made: Authored) -> list[str]:
    """A line on each source."""
    return [_source_line(source) for source in made.data.sources]


def _source_line(source: SourceFacts) -> str:
    forms = ", ".join(_FORMS.get(form, form) for form, _ in source.forms.most_common())
    text = f"{source.path}: {counted(source.rows, 'row')} ({forms})"
    if source.repeated == 1:
        text += ", 1 repeats an earlier row and is left out"
    elif source.repeated:
        text += f", {source.repeated:,} repeat earlier rows and are left out"
    if source.unusable:
        text += f", {source.unusable:,} cannot be used ({_reasons(source.faults)})"
    return text


def _reasons(faults: Mapping[str, int]) -> str:
    """The most frequent reasons, without the details of single rows."""
    found: Counter[str] = Counter()
    for fault, rows in faults.items():
        found[re.split(r"[(;]", fault)[0].strip()] += rows
    named = [f"{reason}: {rows:,}" for reason, rows in found.most_common(_MOST_REASONS)]
    return "; ".join([*named, *(["..."] if len(found) > len(named) else [])])


def lengths_line(made: Authored) -> str:
    """How long the rows are, and how sure that is."""
    data = made.data
    text = (
        f"tokens per row: median {data.quantile(0.5):,.0f}, 99% up to "
        f"{data.quantile(0.99):,.0f}, longest {data.quantile(1):,.0f}"
    )
    layout = made.candidate.layout
    if layout.lost:
        end = "dropped" if made.request.trainer == "axolotl" else "cut"
        text += f"; up to {layout.lost:,} longer than {layout.sequence_len:,} are {end}"
    return f"{text}; {how_counted(made)}"


def how_counted(made: Authored) -> str:
    """Whether tokens were counted or estimated."""
    data = made.data
    if not data.is_counted:
        low, high = data.row_factor
        return (
            f"estimated from characters; a row's true length may differ by "
            f"{low - 1:+.0%} to {high - 1:+.0%}"
        )
    if data.counted == data.rows:
        return (
            "counted with the model's tokenizer, and "
            f"{MARKS} a message for the template"
        )
    return f"counted on {counted(data.counted, 'row')}, the others by their characters"


def trained_text(made: Authored) -> str:
    """How many tokens are trained."""
    data = made.data
    whole = float(data.tokens.sum())
    return (
        f"{_short(data.trained)} of {_short(whole)} tokens are answers, and trained on"
    )


def _short(number: float) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:.0f}"


def steps_text(made: Authored) -> str:
    """Steps per epoch and in all, with how a step is made up."""
    return (
        f"about {made.steps_an_epoch:,} per epoch, {made.steps:,} in total, of about "
        f"{made.samples:,.0f} samples"
    )
