"""Published results on hyperparameters of supervised fine-tuning: each claim once.

Recipes, findings, defaults and `docs/evidence.md` refer to claims by key. A claim holds
for the setting in which it was shown, and is no evidence for another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Grade = Literal["paper", "follow-up", "derived", "measured here"]
Training = Literal["full", "adapter", "any"]

PAPER = "arXiv 2412.13337"
MASSIVE = "arXiv 2506.14681"
TINKER = "tinker-cookbook, SFT sweep"
REGRET = "LoRA Without Regret (Thinking Machines, 2025)"
_LINKS = {
    "LoRA Without Regret": "https://thinkingmachines.ai/blog/lora/",
    "open-instruct": "https://github.com/allenai/open-instruct",
    "instructlab/training": "https://github.com/instructlab/training",
    "tinker-cookbook": "https://github.com/thinking-machines-lab/tinker-cookbook",
    "training_hub": "https://github.com/Red-Hat-AI-Innovation-Team/training_hub",
}
"""Web addresses of sources that are not on arXiv."""

_SMALL = 500_000_000


def is_small(parameters: float | None) -> bool:
    """Whether a model is known to be far smaller than those that claims are about."""
    return parameters is not None and parameters < _SMALL


@dataclass(frozen=True, slots=True)
class Setting:
    """The training for which a claim was shown; a bound of None was not reported."""

    training: Training = "any"
    least_rows: int | None = None
    most_rows: int | None = None
    """Number of training rows."""
    models: str = ""
    """Sizes and families of the models."""

    def __str__(self) -> str:
        kinds = {"full": "full fine-tuning", "adapter": "adapters", "any": "any"}
        parts = [kinds[self.training], self.models, self._rows()]
        return ", ".join(part for part in parts if part)

    def holds(self, training: str, rows: int | None) -> bool:
        """Whether a run matches; with unknown rows, only if there is no minimum.

        Args:
            training: `full` or `adapter`.
            rows: Number of training rows, if known.
        """
        if self.training not in ("any", training):
            return False
        if rows is None:
            return self.least_rows is None
        return (self.least_rows or 0) <= rows and (
            self.most_rows is None or rows <= self.most_rows
        )

    def _rows(self) -> str:
        if self.least_rows and self.most_rows:
            return f"{self.least_rows:,} to {self.most_rows:,} rows"
        if self.least_rows:
            return f"{self.least_rows:,} rows or more"
        return f"up to {self.most_rows:,} rows" if self.most_rows else ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A published result, or a conclusion from published results."""

    statement: str
    setting: Setting
    source: str
    section: str
    grade: Grade
    low: float | None = None
    high: float | None = None
    """The value, or the range of values, if the claim is about a number."""
    unit: str = ""

    @property
    def value(self) -> str:
        """The number with its unit, or an empty string."""
        if self.low is None:
            return ""
        numbers = f"{self.low:g}"
        if self.high is not None and self.high != self.low:
            numbers += f" to {self.high:g}"
        return f"{numbers} {self.unit}".rstrip()

    @property
    def reference(self) -> str:
        """The source and the place in it."""
        return f"{self.source}, {self.section}" if self.section else self.source

    @property
    def links(self) -> tuple[str, ...]:
        """Web addresses of the sources."""
        papers = re.findall(r"arXiv (\d{4}\.\d{5})", self.source)
        others = [url for name, url in _LINKS.items() if name in self.source]
        return (*others, *(f"https://arxiv.org/abs/{number}" for number in papers))

    def allows(self, value: float) -> bool:
        """Whether a number is the claim's value, or lies in its range."""
        high = self.low if self.high is None else self.high
        if self.low is None or high is None:
            return False
        near = 1e-9 * abs(value)
        return self.low - near <= value <= high + near


_LARGE = Setting("full", least_rows=200_000, models="3B to 7B base models")
_FULL = Setting("full", models="3B to 7B base models")
_ADAPTER = Setting("adapter", models="7B to 13B")
_SAMPLES = "samples per optimizer step"

CLAIMS: dict[str, Claim] = {
    "large-batch": Claim(
        "3,840 samples per step scored better than 128, and 7,680 slightly better "
        "still; nothing between 128 and 3,840 was tried, and in the tables schedule "
        "and length of the training differ too",
        _LARGE,
        PAPER,
        "Fig. 12, Tables 10 and 13",
        "paper",
        3840,
        7680,
        _SAMPLES,
    ),
    "low-rate": Claim(
        "2e-5 matched or beat every higher learning rate at batches of 128, 3,840 and "
        "7,680; the learning rate need not grow with the batch",
        Setting("full", models="Granite 3B and 7B, Llama 3.2 3B"),
        PAPER,
        "Figs. 11 and 12",
        "paper",
        2e-5,
        2e-5,
    ),
    "low-rate-mistral": Claim(
        "1e-6 with 3,840 samples per step was best; a higher learning rate or a batch "
        "of 128 scored worse",
        Setting("full", models="Mistral 7B"),
        PAPER,
        "A.5, Fig. 15",
        "paper",
        1e-6,
        1e-6,
    ),
    "no-warmup": Claim(
        "training without warmup was no worse than with 25 or 100 warmup steps",
        _LARGE,
        PAPER,
        "Secs. 3.7 and 3.8",
        "paper",
        0,
        0,
        "steps",
    ),
    "constant-rate": Claim(
        "a constant learning rate was no worse than cosine decay; with 1,000 rows it "
        "was no worse in chat scores, and inconclusive on GSM8K, MBPP and MMLU",
        _LARGE,
        f"{PAPER}, Secs. 3.7 and 3.8; {MASSIVE}",
        "",
        "paper",
    ),
    "cosine-rate": Claim(
        "cosine decay was better than a constant learning rate, above all at high "
        "ones, by a judge of four tasks",
        Setting("full", least_rows=5_000, most_rows=15_000, models="0.6B to 32B"),
        "arXiv 2609.01244",
        "",
        "follow-up",
    ),
    "stacked": Claim(
        "training on all phases together scored as well as one phase after the other, "
        "and is simpler",
        _LARGE,
        PAPER,
        "Tables 11 and 12",
        "paper",
    ),
    "tulu-batch": Claim(
        "the paper's small-batch baseline",
        _FULL,
        PAPER,
        "A.5.1",
        "paper",
        128,
        128,
        _SAMPLES,
    ),
    "tulu-rate": Claim(
        "the paper's small-batch baseline, also run with 3e-5",
        _FULL,
        PAPER,
        "A.5.1",
        "paper",
        2e-5,
        3e-5,
    ),
    "tulu-warmup": Claim(
        "warmup ratio of the original of that baseline, which then decays linearly",
        _FULL,
        "open-instruct, configs/train_configs/sft/tulu2_7b.yaml",
        "warmup_ratio",
        "follow-up",
        0.03,
        0.03,
    ),
    "authors-adam": Claim(
        "betas of 0.9 and 0.95 and no weight decay, in the authors' own trainer",
        _FULL,
        "instructlab/training v0.6",
        "main_ds.py",
        "paper",
        0.9,
        0.95,
    ),
    "authors-clip": Claim(
        "global norm at which the authors' own trainer clips gradients",
        _FULL,
        "instructlab/training v0.6",
        "main_ds.py",
        "paper",
        1.0,
        1.0,
    ),
    "authors-weight-decay": Claim(
        "no weight decay in the authors' own trainer",
        _FULL,
        "instructlab/training v0.6",
        "main_ds.py",
        "paper",
        0.0,
        0.0,
    ),
    "full-rate": Claim(
        "the best learning rate was about 3e-5 and hardly depended on the batch",
        Setting("full", least_rows=5_000, most_rows=15_000, models="0.6B to 32B"),
        "arXiv 2609.01244",
        "",
        "follow-up",
        1e-5,
        3e-5,
    ),
    "full-batch-tiny": Claim(
        "of 32, 64, 128 and 256 samples per step, 32 was chosen for a thousand rows; "
        "a guide by the paper's institution recommends 32 to 64",
        Setting("full", most_rows=999, models="8B"),
        "arXiv 2506.14681; training_hub, hyperparameter guide",
        "",
        "follow-up",
        32,
        64,
        _SAMPLES,
    ),
    "full-batch-small": Claim(
        "recommended for a few thousand rows by a guide of the paper's institution",
        Setting("full", least_rows=1_000, most_rows=10_000),
        "training_hub, hyperparameter guide",
        "",
        "follow-up",
        128,
        128,
        _SAMPLES,
    ),
    "full-batch-medium": Claim(
        "256 or more is recommended by a guide of the paper's institution; no "
        "study compares batches between 256 and 3,840",
        Setting("full", least_rows=10_001, most_rows=199_999),
        "training_hub, hyperparameter guide",
        "",
        "follow-up",
        256,
        256,
        _SAMPLES,
    ),
    "small-batch": Claim(
        "batches down to a single sample trained as stably as large ones and no worse "
        "per FLOP if Adam's beta2 keeps its half-life in tokens; accumulation on one "
        "device gained nothing",
        Setting(),
        "arXiv 2507.07101",
        "",
        "follow-up",
    ),
    "steps-enough": Claim(
        "the paper's best checkpoints came after about 700 to 4,400 steps of 3,840 "
        "samples; ten thousand rows make 3 such steps per epoch",
        _LARGE,
        PAPER,
        "Tables 10 to 13, samples at the peak over 3,840",
        "derived",
        700,
        4400,
        "optimizer steps",
    ),
    "adapter-batch": Claim(
        "LoRA loses more quality at large batches than full fine-tuning, at any rank; "
        "8 to 16 was best in one sweep, QLoRA used 16, TRL's guide recommends less "
        "than 32",
        _ADAPTER,
        f"{REGRET}; arXiv 2609.01244; arXiv 2305.14314",
        "",
        "follow-up",
        8,
        32,
        _SAMPLES,
    ),
    "adapter-batch-grows": Claim(
        "the best batch grows with the data, not with rank or model size; the batch "
        "alone changed GSM8K by more than ten points",
        _ADAPTER,
        "arXiv 2602.09492",
        "",
        "follow-up",
    ),
    "adapter-batch-most": Claim(
        "in every study of adapters, larger batches than this cost quality",
        _ADAPTER,
        f"{REGRET}; arXiv 2602.09492",
        "",
        "derived",
        64,
        64,
        _SAMPLES,
    ),
    "adapter-rate": Claim(
        "about ten times the learning rate of full fine-tuning: 2e-4 in QLoRA at 16 "
        "samples per step, 1e-3 with a small alpha at 8 to 16; at 128, models up to 9B "
        "did best at 3e-4 to 1e-3 and larger ones at 1e-4 to 3e-4; at 3e-3 most runs "
        "diverged",
        Setting("adapter", models="1B to 1T"),
        f"arXiv 2305.14314; arXiv 2405.09673; arXiv 2609.01244; {REGRET}; {TINKER}",
        "",
        "follow-up",
        1e-4,
        1e-3,
    ),
    "adapter-everywhere": Claim(
        "adapters on all linear layers learn more than on attention layers only",
        _ADAPTER,
        f"{REGRET}; arXiv 2305.14314; arXiv 2405.09673",
        "",
        "follow-up",
    ),
    "adapter-rank": Claim(
        "ranks above 64 gained nothing on about ten thousand rows, and rank 128 "
        "nothing on a hundred thousand",
        _ADAPTER,
        f"arXiv 2609.01244; {TINKER}",
        "",
        "follow-up",
        16,
        64,
    ),
    "adapter-alpha": Claim(
        "alpha 32 was best; with it the best learning rate hardly depends on the rank",
        _ADAPTER,
        f"{REGRET}; arXiv 2609.01244",
        "",
        "follow-up",
        32,
        32,
    ),
    "adapter-no-warmup": Claim(
        "a constant learning rate without warmup",
        _ADAPTER,
        REGRET,
        "",
        "follow-up",
        0,
        0,
        "steps",
    ),
    "adapter-forgets-less": Claim(
        "adapters learn less of the new task than full fine-tuning, and forget less of "
        "what the base could do",
        Setting("adapter", models="7B"),
        "arXiv 2405.09673",
        "",
        "follow-up",
    ),
    "two-epochs": Claim(
        "after two epochs instruction following degraded in tuned models; in base "
        "models of 7B to 9B, GSM8K and MBPP fell while chat scores rose to the tenth "
        "epoch",
        Setting("any", models="0.6B to 32B"),
        f"arXiv 2609.01244; open-instruct, Tulu 3; {MASSIVE}",
        "",
        "follow-up",
        2,
        2,
        "epochs",
    ),
    "quickstart-rate": Claim(
        "of five learning rates from 1e-6 to 1, 5e-4 and 1e-3 scored best, within "
        "error",
        Setting("full", models="the quickstart's 1M-parameter Llama"),
        "recipes/sweeps/quickstart-lr.yml",
        "",
        "measured here",
        5e-4,
        1e-3,
    ),
    "low-norm-high-loss": Claim(
        "runs with a lower gradient norm and a higher loss early on ended better; no "
        "threshold and no step are given",
        _LARGE,
        PAPER,
        "Figs. 15 and 16",
        "paper",
    ),
    "batch-moves-the-norm": Claim(
        "the expected squared norm is that of the true gradient plus tr(S)/B, so a "
        "larger batch lowers it by arithmetic alone",
        Setting(),
        "arXiv 1812.06162",
        "App. A",
        "derived",
    ),
}


def claim(key: str) -> Claim:
    """A claim by its key.

    Raises:
        KeyError: If there is no such claim.
    """
    return CLAIMS[key]


def claims_table() -> str:
    """All claims as the Markdown table of `docs/evidence.md`."""
    lines = [
        "| claim | statement | shown for | source | grade |",
        "|---|---|---|---|---|",
    ]
    for key, claim in CLAIMS.items():
        value = f"{claim.value}: " if claim.value else ""
        statement = value + claim.statement
        cells = [f"`{key}`", statement, str(claim.setting), claim.reference]
        lines.append("| " + " | ".join([*cells, claim.grade]) + " |")
    return "\n".join(lines) + "\n"


OLMO = "OLMo-core, SkipStepOptimizer"

DEFAULTS: dict[str, tuple[str, Grade]] = {
    "monitor.noise_scale_every": (
        "measuring every fourth step costs a third of measuring every step "
        "(benchmarks/overhead.py)",
        "measured here",
    ),
    "early_termination.non_finite.steps": (
        "one bad batch, or a step that a loss scaler skips, must not stop a run",
        "derived",
    ),
    "early_termination.divergence.window": (
        f"{OLMO}, uses 128 steps in pretraining; SFT runs are shorter",
        "derived",
    ),
    "early_termination.divergence.sigmas": (OLMO, "follow-up"),
    "early_termination.divergence.margin": (
        "if the level hardly varies, six deviations are too small to matter",
        "derived",
    ),
    "early_termination.divergence.norm_margin": (
        "norms recover from growing several times over, rarely from ten times",
        "derived",
    ),
    "early_termination.divergence.patience": (
        "spikes recover within a few steps",
        "derived",
    ),
    "early_termination.not_learning.steps": (
        "one step without a gradient may be chance, five are not",
        "derived",
    ),
    "early_termination.not_learning.share": (
        "of 42 healthy public training logs none was found at a quarter of its run "
        "(benchmarks/curves.py)",
        "measured here",
    ),
    "early_termination.not_learning.grace": (
        "low learning rates lower the loss late",
        "derived",
    ),
    "early_termination.not_learning.sigmas": (
        "94% or more of made-up runs at a rate of zero are found "
        "(benchmarks/curves.py)",
        "measured here",
    ),
    "early_termination.not_learning.margin": (
        "the loss of healthy public training logs falls by more (benchmarks/curves.py)",
        "measured here",
    ),
    "early_termination.not_learning.patience": (
        "a loss may be flat for a while",
        "derived",
    ),
    "early_termination.comparison.grace": (
        "the first steps of all runs look alike",
        "derived",
    ),
    "early_termination.comparison.window": (
        "means over fewer steps are mostly noise",
        "derived",
    ),
    "early_termination.comparison.sigmas": (
        "rarely exceeded by noise alone",
        "derived",
    ),
    "early_termination.comparison.margin": (
        "a significant difference may still be too small to matter",
        "derived",
    ),
    "early_termination.comparison.patience": (
        "only a lasting difference counts",
        "derived",
    ),
    "early_termination.cohort.quantile": (
        "the median of earlier runs, as in the rules of Optuna and Ray",
        "follow-up",
    ),
    "early_termination.cohort.least_peers": (
        "with fewer runs, a rule on both signals stops the best one too often",
        "derived",
    ),
    "early_termination.cohort.grace": ("as for `comparison`", "derived"),
    "early_termination.cohort.window": ("as for `comparison`", "derived"),
    "early_termination.cohort.sigmas": ("as for `comparison`", "derived"),
    "early_termination.cohort.patience": ("as for `comparison`", "derived"),
    "early_termination.prediction.chance": (
        "on twelve studies of others and four grids of our own, less than 1% of the "
        "draws lost the best run (benchmarks/stopping.py)",
        "measured here",
    ),
    "early_termination.prediction.worst": (
        "on twelve studies of others, a half saved little more and lost more "
        "(benchmarks/stopping.py)",
        "measured here",
    ),
    "early_termination.prediction.looks": (
        "one look that was bad by chance stops nothing",
        "derived",
    ),
    "early_termination.prediction.parking.chance": (
        "on studies of others, 0.1 saved no more in studies of 12 runs and lost the "
        "best run more often "
        "(benchmarks/parking.py)",
        "measured here",
    ),
    "early_termination.prediction.parking.disk": (
        "a disk has room for it",
        "derived",
    ),
    "early_termination.evaluation.patience": (
        "ended none of 164 public language-model runs whose loss fell to the end "
        "(benchmarks/evaluation_patience.py)",
        "measured here",
    ),
    "early_termination.evaluation.min_delta": (
        "which change matters depends on the metric",
        "derived",
    ),
    "score.max_new_tokens": (
        "enough for short answers, which are compared in full",
        "derived",
    ),
    "score.batch_size": ("only speed depends on it", "derived"),
    "mix.seed": ("any seed will do; the same seed makes the same mix", "derived"),
    "mix.exclude_ngram": (
        "the longest n-grams of GPT-3 (arXiv 2005.14165, appendix C); of GSM8K's "
        "training rows, 4 share 13 words with a test question, and 97 share 8 words",
        "measured here",
    ),
    "mix.exclude_overlap": ("one n-gram is enough, as for GPT-3", "follow-up"),
    "mix.held_out": ("opt-in", "derived"),
    "mix.replay": ("opt-in", "derived"),
}
"""The reason for each numeric default of the settings, by its dotted path."""
