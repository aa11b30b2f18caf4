"""Verdicts on the four claims of arXiv 2412.13337."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .judgements import Judgement, Verdict


@dataclass(frozen=True, slots=True)
class PaperClaim:
    """One of the paper's claims, what others and we measured, and the verdict."""

    says: str
    claims: tuple[str, ...]
    """Keys of the claims into which it is divided."""
    others: str
    """What was measured elsewhere; `{key: words}` is the figure of a judgement."""
    here: str
    """What this project's own grids say, in the same form."""
    verdict: Verdict
    whom: str
    """For whom the verdict is, and what would change it."""


PAPER_CLAIMS = (
    PaperClaim(
        "Large batches (3,840 or more) with a low rate score best",
        ("large-batch", "low-rate", "low-rate-mistral"),
        "No table here varies the batch of full fine-tuning. The paper's own tables "
        "change batch, schedule and length together, with one seed. From scratch, "
        "batch 32 or 36 cost {small-batch: 147,456} nats against batch 16 at equal "
        "samples (`small-batch`). Adapters lose by large batches "
        "(`adapter-batch-most`), and for a thousand rows 32 was chosen "
        "(`full-batch-tiny`)",
        "In full fine-tuning of a model of 5M on 2,048 rows, a larger batch (8 to 64) "
        "at equal rate retained more ({large-batch: retained score; full}) and taught "
        "no more ({large-batch: taught score; full}); a higher rate at equal batch "
        "retained less ({low-rate: retained score; full}). With LoRA, so did a higher "
        "rate ({low-rate: retained score; LoRA}). These are rank correlations",
        "unclear",
        "full fine-tuning of 3B to 7B models on 200,000 rows or more, where only the "
        "paper compares batches; it does not hold for adapters or small data",
    ),
    PaperClaim(
        "A lower gradient norm and a higher loss early on announce a better model",
        ("low-norm-high-loss",),
        "Rank correlation of the loss at 25% with the score: "
        "{low-norm-high-loss: GSM8K; PEFT} over PEFT methods ({low-norm-high-loss: "
        "Wikipedia} with what they kept of the base's skill on Wikipedia), "
        "{low-norm-high-loss: v5.0} and {low-norm-high-loss: v5.1} over LoRA runs that "
        "differ in little but the seed, "
        "{low-norm-high-loss: scratch} from scratch. None of these tables "
        "has gradient norms",
        "The loss at 25%, over batches and rates, over the same with LoRA, and over "
        "schedules and rates: {low-norm-high-loss: loss at 25% with the taught score; "
        "full}, {low-norm-high-loss: loss at 25% with the taught score; LoRA} and "
        "{low-norm-high-loss: loss at 25% with the taught score; rates} with what was "
        "taught, but {low-norm-high-loss: loss at 25% with the retained score; full}, "
        "{low-norm-high-loss: loss at 25% with the retained score; LoRA} and "
        "{low-norm-high-loss: loss at 25% with the retained score; rates} with what "
        "was retained. The norm: {low-norm-high-loss: norm at 25% with the taught "
        "score; full}, {low-norm-high-loss: norm at 25% with the taught score; LoRA} "
        "and {low-norm-high-loss: norm at 25% with the taught score; rates}, and "
        "{low-norm-high-loss: norm at 25% with the retained score; full}, "
        "{low-norm-high-loss: norm at 25% with the retained score; LoRA} and "
        "{low-norm-high-loss: norm at 25% with the retained score; rates}",
        "does not hold",
        "the loss, for adapters and small models scored on what they were taught, and "
        "for training from scratch. For what the base knew before, a higher loss does "
        "go with a better score where only rate and schedule differ; the norm's sign "
        "differs between scores and grids",
    ),
    PaperClaim(
        "No warmup and a constant rate are no worse",
        ("no-warmup", "constant-rate"),
        "Constant minus cosine with 1,000 rows: MT-Bench {constant-rate: MT-Bench}, "
        "AlpacaEval 2 {constant-rate: AlpacaEval}, GSM8K {constant-rate: GSM8K, 4}, "
        "MBPP {constant-rate: MBPP}, MMLU {constant-rate: MMLU, 5}. Others found "
        "cosine better on 5,000 to 15,000 rows (`cosine-rate`). No table varies warmup",
        "In full fine-tuning, without warmup minus a tenth of the run: {no-warmup: "
        "taught score} taught and {no-warmup: retained score} retained. Constant minus "
        "cosine at the same peak: {constant-rate: taught score} taught, "
        "{constant-rate: retained score} retained",
        "unclear",
        "holds for chat scores in full fine-tuning on a thousand rows; unclear for "
        "reasoning, code, knowledge and warmup, which changed little on one small "
        "model, where a decay retained more of what the base knew, as a lower rate did",
    ),
    PaperClaim(
        "Training on all phases together is as good as one after the other",
        ("stacked",),
        "No table here has phases. In the paper, both were alike on Granite 7B, and "
        "stacked was ahead on Llama 3.2 3B, with one seed each",
        "Stacked minus phased, three seeds at each of two rates: {stacked: taught "
        "score} taught, {stacked: retained score} retained, as shares of the questions",
        "unclear",
        "full fine-tuning of 3B and 7B models: nothing speaks against it, and it is "
        "simpler",
    ),
)

_FIGURE = re.compile(r"\{([\w-]+): ([^}]+)\}")


def figure(judgement: Judgement) -> str:
    """An estimate with its interval: `-0.39 (-1.23 to +0.37)`."""
    numbers = (judgement.value, judgement.low, judgement.high)
    value, low, high = (f"{number:+g}" if number else "0" for number in numbers)
    return f"{value} ({low} to {high})"


def with_figures(text: str, judgements: Sequence[Judgement]) -> str:
    """A text with its figures filled in.

    Raises:
        LookupError: If a figure names no judgement, or several.
    """

    def fill(found: re.Match[str]) -> str:
        key, words = found.groups()
        matching = [
            j
            for j in judgements
            if j.claim == key and words in f"{j.measure}; {j.setting}"
        ]
        if len(matching) != 1:
            raise LookupError(f"{found[0]}: {len(matching)} judgements, not one")
        return figure(matching[0])

    return _FIGURE.sub(fill, text)
