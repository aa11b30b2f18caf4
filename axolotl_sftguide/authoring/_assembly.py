"""The parts of a config that follow from the decisions, each with its reason."""

from __future__ import annotations

from ..evidence import CLAIMS
from ..units import counted
from . import _cadence
from ._candidates import Candidate
from ._choice import Choice, Choices
from ._data import DataFacts
from ._fit import Others
from ._layout import ABOVE, Layout
from ._request import Request


def add_block(
    choices: Choices,
    request: Request,
    data: DataFacts,
    candidate: Candidate,
    batch: Choice,
    held: Choice,
    accumulation: int,
) -> None:
    block = "sftguide"
    seed = 42 if request.seed is None else request.seed
    choices.add(Choice(f"{block}.study", request.name, "", "convention"))
    if candidate.is_adapter:
        why = "without it, each start has other adapter weights"
        choices.add(Choice(f"{block}.seed_adapter", True, why, "default"))
    why = "every trained token of a step has the same weight"
    choices.add(Choice(f"{block}.exact_accumulation", True, why, "default"))
    choices.add(batch)
    if accumulation > 1 and candidate.sharding == "ddp":
        why = "measures which batch size is large enough"
        key = f"{block}.monitor.noise_scale"
        choices.add(Choice(key, True, why, "default"))
    key = f"{block}.mix"
    choices.add(_strategy(f"{key}.strategy", candidate, data))
    if candidate.evaluates:
        choices.add(held)
    else:
        choices.notes.append(
            "no evaluation: it holds all logits of a sequence, and the card has too "
            "little memory for them"
        )
    why = "any; the same seed makes the same mix"
    choices.add(Choice(f"{key}.seed", seed, why, "convention"))
    if any(source.unusable for source in data.sources):
        rows = counted(sum(source.unusable for source in data.sources), "row")
        why = f"skips {rows}; the mix says why"
        choices.add(Choice(f"{key}.on_error", "skip", why, "data"))
    sources = [{"path": source.path} for source in data.sources]
    phases = [{"name": "data", "datasets": sources}]
    choices.add(Choice(f"{key}.phases", phases, "", "given"))


def _strategy(key: str, candidate: Candidate, data: DataFacts) -> Choice:
    if CLAIMS["stacked"].setting.holds(candidate.kind, data.rows):
        return Choice(key, "stacked", "", "evidence", ("stacked",))
    why = "convention: all sources together; [stacked] is for full fine-tuning"
    if not candidate.is_adapter:
        why = "convention: all sources together; [stacked] is for more rows"
    return Choice(key, "stacked", why, "convention")


def add_places(choices: Choices, request: Request) -> None:
    seed = 42 if request.seed is None else request.seed
    why = "any; unset, Axolotl shuffles differently at each preparation"
    if request.trainer == "trl":
        why = "any; the same seed makes the same run"
    choices.add(Choice("dataset_prepared_path", "outputs/prepared", "", "convention"))
    choices.add(Choice("output_dir", f"outputs/{request.name}", "", "convention"))
    choices.add(Choice("seed", seed, why, "convention"))


def with_reason(
    choice: Choice, request: Request, data: DataFacts, layout: Layout, others: Others
) -> Choice:
    """The choice; `adapter` and `sequence_len` with their reasons."""
    given = {"adapter": request.training, "sequence_len": request.sequence_len}
    if given.get(choice.key) is not None:
        return Choice(choice.key, choice.value, "as given", "given")
    if choice.key == "adapter":
        if choice.value == "qlora":
            why = f"LoRA in bf16 needs {others['LoRA in bf16'].gib:.1f} GiB"
        else:
            why = f"in bf16; QLoRA would need {others['QLoRA'].gib:.1f} GiB"
        return Choice(choice.key, choice.value, why, choice.basis)
    if choice.key != "sequence_len":
        return choice
    longest = f"{data.quantile(1):,.0f}"
    about = "" if data.is_counted else "about "
    if layout.lost:
        end = "dropped" if request.trainer == "axolotl" else "cut"
        why = f"longer rows are {end}: up to {layout.lost:,} of {data.rows:,}"
    else:
        why = f"all rows fit: the longest has {about}{longest} tokens"
    return Choice(choice.key, choice.value, why, "data")


def about_micro(request: Request, micro: int, layout: Layout) -> Choice:
    if request.micro_batch_size is not None:
        return Choice("micro_batch_size", micro, "as given", "given")
    a_card = " a card" if request.gpus > 1 else ""
    why = f"sequences of {layout.sequence_len:,} tokens{a_card}, not measured"
    return Choice("micro_batch_size", micro, why, "fits")


def add_after_optimizer(
    choices: Choices,
    request: Request,
    candidate: Candidate,
    batch: Choice,
    an_epoch: int,
    epochs: Choice,
    steps: int,
) -> None:
    if not candidate.is_adapter:
        if int(batch.value) >= _cadence.MANY_SAMPLES:
            for key, value in (("adam_beta1", 0.9), ("adam_beta2", 0.95)):
                choices.add(Choice(key, value, "", "evidence", ("authors-adam",)))
        claims: tuple[str, ...] = ("authors-weight-decay",)
        choices.add(Choice("weight_decay", 0.0, "", "evidence", claims))
    choices.add(Choice("max_grad_norm", 1.0, "", "evidence", ("authors-clip",)))
    choices.add(_cadence.logs(steps, int(batch.value)))
    count = float(epochs.value)
    if candidate.evaluates:
        for choice in _cadence.evaluations(an_epoch, count):
            choices.add(choice)
    for choice in _cadence.saves(request, candidate, an_epoch, count):
        choices.add(choice)


def unpacked_reason(
    request: Request, data: DataFacts, layout: Layout, wanted: int
) -> str:
    """Why rows are not packed."""
    if request.packing is not None:
        return "as given"
    rows = layout.sequence_len / data.mean * request.gpus
    if rows <= ABOVE * wanted:
        return "a sequence would hold little more than one row"
    a_step = "each on its own GPU, " if request.gpus > 1 else ""
    return f"packed, {a_step}one step would have {rows:.0f} rows instead of {wanted}"
