"""What is known about numbers of supervised fine-tuning: each claim once.

Recipes, advice, defaults and `docs/evidence.md` name claims by their key. A claim says
for which setting it was shown; it is not evidence for another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Grade = Literal["paper", "follow-up", "derived", "measured here"]
Training = Literal["full", "adapter", "any"]

PAPER = "arXiv 2412.13337"
REGRET = "LoRA Without Regret (Thinking Machines, 2025)"
_LINKS = {
    "LoRA Without Regret": "https://thinkingmachines.ai/blog/lora/",
    "open-instruct": "https://github.com/allenai/open-instruct",
    "instructlab/training": "https://github.com/instructlab/training",
    "training_hub": "https://github.com/Red-Hat-AI-Innovation-Team/training_hub",
}
"""Web addresses of sources that are not on arXiv."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a claim was shown; None is no bound that was told."""

    training: Training = "any"
    least_rows: int | None = None
    most_rows: int | None = None
    """Rows of the training data."""
    models: str = ""
    """Sizes and families."""

    def __str__(self) -> str:
        kinds = {"full": "full fine-tuning", "adapter": "adapters", "any": "any"}
        parts = [kinds[self.training], self.models, self._rows()]
        return ", ".join(part for part in parts if part)

    def holds(self, training: str, rows: int | None) -> bool:
        """Whether a run is of this kind; an unknown number of rows is none below.

        Args:
            training: `full` or `adapter`.
            rows: Of its data, where that is known.
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
    """One thing that somebody has shown, or that follows from it."""

    says: str
    setting: Setting
    source: str
    section: str
    grade: Grade
    low: float | None = None
    high: float | None = None
    """The value, or the range of values, where it is a number."""
    unit: str = ""

    @property
    def value(self) -> str:
        """The number with its unit, or nothing."""
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
        """Whether a number is the claim's."""
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
        "3,840 samples a step scored better than 128, and 7,680 a little better still; "
        "nothing between 128 and 3,840 was tried",
        _LARGE,
        PAPER,
        "Fig. 12, Tables 10 and 13",
        "paper",
        3840,
        7680,
        _SAMPLES,
    ),
    "low-rate": Claim(
        "2e-5 was on par with or better than each higher rate at batches of 128, 3,840 "
        "and 7,680: the rate is not scaled with the batch",
        Setting("full", models="Granite 3B and 7B, Llama 3.2 3B"),
        PAPER,
        "Figs. 11 and 12",
        "paper",
        2e-5,
        2e-5,
    ),
    "low-rate-mistral": Claim(
        "1e-6 with 3,840 samples a step was best; a higher rate, or 128 samples, hurt",
        Setting("full", models="Mistral 7B"),
        PAPER,
        "A.5, Fig. 15",
        "paper",
        1e-6,
        1e-6,
    ),
    "no-warmup": Claim(
        "no warm-up was no worse than 25 or 100 steps of it",
        _LARGE,
        PAPER,
        "Secs. 3.7 and 3.8",
        "paper",
        0,
        0,
        "steps",
    ),
    "constant-rate": Claim(
        "a constant rate was no worse than cosine decay",
        _LARGE,
        PAPER,
        "Secs. 3.7 and 3.8",
        "paper",
    ),
    "cosine-rate": Claim(
        "cosine decay was better than a constant rate, most of all at high rates",
        Setting("full", least_rows=5_000, most_rows=15_000, models="0.6B to 32B"),
        "arXiv 2609.01244",
        "",
        "follow-up",
    ),
    "stacked": Claim(
        "all phases at once were as good as one after the other, and simpler",
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
        "share of the steps over which that baseline's original warms up, before it "
        "decays linearly",
        _FULL,
        "open-instruct, configs/train_configs/sft/tulu2_7b.yaml",
        "warmup_ratio",
        "follow-up",
        0.03,
        0.03,
    ),
    "authors-adam": Claim(
        "betas of 0.9 and 0.95 and no weight decay in the authors' own trainer",
        _FULL,
        "instructlab/training v0.6",
        "main_ds.py",
        "paper",
        0.9,
        0.95,
    ),
    "authors-clip": Claim(
        "the global norm at which the authors' own trainer clips",
        _FULL,
        "instructlab/training v0.6",
        "main_ds.py",
        "paper",
        1.0,
        1.0,
    ),
    "authors-weight-decay": Claim(
        "none in the authors' own trainer",
        _FULL,
        "instructlab/training v0.6",
        "main_ds.py",
        "paper",
        0.0,
        0.0,
    ),
    "full-rate": Claim(
        "the best rate was about 3e-5 and hardly moved with the batch",
        Setting("full", least_rows=5_000, most_rows=15_000, models="0.6B to 32B"),
        "arXiv 2609.01244",
        "",
        "follow-up",
        1e-5,
        3e-5,
    ),
    "full-batch-tiny": Claim(
        "of 32, 64, 128 and 256 samples a step, 32 was chosen for a thousand rows; "
        "a guide of the paper's institution says 32 to 64",
        Setting("full", most_rows=999, models="8B"),
        "arXiv 2506.14681; training_hub, hyperparameter guide",
        "",
        "follow-up",
        32,
        64,
        _SAMPLES,
    ),
    "full-batch-small": Claim(
        "a guide of the paper's institution for a few thousand rows",
        Setting("full", least_rows=1_000, most_rows=10_000),
        "training_hub, hyperparameter guide",
        "",
        "follow-up",
        128,
        128,
        _SAMPLES,
    ),
    "full-batch-medium": Claim(
        "256 or more, in a guide of the paper's institution; what lies between 256 and "
        "3,840 nobody has compared",
        Setting("full", least_rows=10_001, most_rows=199_999),
        "training_hub, hyperparameter guide",
        "",
        "follow-up",
        256,
        256,
        _SAMPLES,
    ),
    "steps-enough": Claim(
        "the paper's best checkpoints came after some 700 to 4,400 steps of 3,840; ten "
        "thousand rows would give 3 steps a pass",
        _LARGE,
        PAPER,
        "Tables 10 to 13, samples at the peak over 3,840",
        "derived",
        700,
        4400,
        "optimizer steps",
    ),
    "adapter-batch": Claim(
        "LoRA bears large batches less well than full fine-tuning, at any rank; 8 to "
        "16 was best in one sweep, 16 is QLoRA's, below 32 is what TRL's guide says",
        _ADAPTER,
        f"{REGRET}; arXiv 2609.01244; arXiv 2305.14314",
        "",
        "follow-up",
        8,
        32,
        _SAMPLES,
    ),
    "adapter-batch-grows": Claim(
        "the best batch grows with the data and not with rank or model; the batch "
        "alone moved GSM8K by more than ten points",
        _ADAPTER,
        "arXiv 2602.09492",
        "",
        "follow-up",
    ),
    "adapter-batch-most": Claim(
        "above this, all evidence on adapters is that a batch costs quality",
        _ADAPTER,
        f"{REGRET}; arXiv 2602.09492",
        "",
        "derived",
        64,
        64,
        _SAMPLES,
    ),
    "adapter-rate": Claim(
        "about ten times the rate of full fine-tuning: 2e-4 in QLoRA and for "
        "mathematics, 5e-4 for code, up to 1e-3 with a small alpha; 3e-3 was unstable",
        _ADAPTER,
        f"arXiv 2305.14314; arXiv 2405.09673; arXiv 2609.01244; {REGRET}",
        "",
        "follow-up",
        1e-4,
        1e-3,
    ),
    "adapter-everywhere": Claim(
        "adapters on all linear layers learn more than on those of attention alone",
        _ADAPTER,
        f"{REGRET}; arXiv 2305.14314; arXiv 2405.09673",
        "",
        "follow-up",
    ),
    "adapter-rank": Claim(
        "more than rank 64 gained nothing on some ten thousand rows",
        _ADAPTER,
        "arXiv 2609.01244",
        "",
        "follow-up",
        16,
        64,
    ),
    "adapter-alpha": Claim(
        "alpha 32 was best, and with it the best rate hardly depends on the rank",
        _ADAPTER,
        f"{REGRET}; arXiv 2609.01244",
        "",
        "follow-up",
        32,
        32,
    ),
    "adapter-no-warmup": Claim(
        "a constant rate without warm-up",
        _ADAPTER,
        REGRET,
        "",
        "follow-up",
        0,
        0,
        "steps",
    ),
    "two-epochs": Claim(
        "two passes; after them instruction following wore off",
        Setting("any", models="0.6B to 32B"),
        "arXiv 2609.01244; open-instruct, Tulu 3",
        "",
        "follow-up",
        2,
        2,
        "epochs",
    ),
    "quickstart-rate": Claim(
        "of five rates from 1e-6 to 1, 5e-4 and 1e-3 scored best, within their error",
        Setting("full", models="the quickstart's 1M-parameter Llama"),
        "recipes/sweeps/quickstart-lr.yml",
        "",
        "measured here",
        5e-4,
        1e-3,
    ),
    "low-norm-high-loss": Claim(
        "runs with a lower gradient norm and a higher loss early on ended better; no "
        "threshold and no step are told",
        _LARGE,
        PAPER,
        "Figs. 15 and 16",
        "paper",
    ),
    "batch-moves-the-norm": Claim(
        "the mean squared norm is that of the true gradient plus tr(S)/B: a larger "
        "batch lowers it by arithmetic alone",
        Setting(),
        "arXiv 1812.06162",
        "App. A",
        "derived",
    ),
}


def claim(key: str) -> Claim:
    """A claim by its key.

    Raises:
        KeyError: Where there is none.
    """
    return CLAIMS[key]


def claims_table() -> str:
    """All claims as the Markdown table of `docs/evidence.md`."""
    lines = ["| claim | says | shown for | source | grade |", "|---|---|---|---|---|"]
    for key, said in CLAIMS.items():
        value = f"{said.value}: " if said.value else ""
        cells = [f"`{key}`", value + said.says, str(said.setting), said.reference]
        lines.append("| " + " | ".join([*cells, said.grade]) + " |")
    return "\n".join(lines) + "\n"


OLMO = "OLMo-core, SkipStepOptimizer"

DEFAULTS: dict[str, tuple[str, Grade]] = {
    "monitor.noise_scale_every": (
        "of each fourth step the estimate costs a third of what it costs of all "
        "(benchmarks/overhead.py)",
        "measured here",
    ),
    "early_termination.non_finite.steps": (
        "one bad batch, or a step that a loss scaler skips, ends no run",
        "derived",
    ),
    "early_termination.divergence.window": (
        f"{OLMO}, looks at 128 steps of pre-training; SFT runs are shorter",
        "derived",
    ),
    "early_termination.divergence.sigmas": (OLMO, "follow-up"),
    "early_termination.divergence.margin": (
        "of a level that hardly varies, six deviations are nothing",
        "derived",
    ),
    "early_termination.divergence.norm_margin": (
        "norms that grow several times over recover; ten times is another run",
        "derived",
    ),
    "early_termination.divergence.patience": (
        "spikes recover within some steps; what does not in 24 has left its level",
        "derived",
    ),
    "early_termination.not_learning.steps": (
        "a step without a gradient may be chance, five are not",
        "derived",
    ),
    "early_termination.not_learning.grace": (
        "slow rates move the loss late",
        "derived",
    ),
    "early_termination.not_learning.sigmas": ("one chance in some hundred", "derived"),
    "early_termination.not_learning.margin": (
        "a move that is certain may still be too small to matter",
        "derived",
    ),
    "early_termination.not_learning.patience": (
        "a flat stretch is no end",
        "derived",
    ),
    "early_termination.comparison.grace": (
        "the first steps of any run are alike",
        "derived",
    ),
    "early_termination.comparison.window": (
        "fewer steps than that are mostly noise",
        "derived",
    ),
    "early_termination.comparison.sigmas": ("one chance in some hundred", "derived"),
    "early_termination.comparison.margin": (
        "a difference that is certain may still be too small to matter",
        "derived",
    ),
    "early_termination.comparison.patience": (
        "a difference that does not last decides nothing",
        "derived",
    ),
    "early_termination.cohort.quantile": (
        "the median of those that came before, as Optuna's and Ray's rules have it",
        "follow-up",
    ),
    "early_termination.cohort.least_peers": (
        "of fewer runs, a rule on both signals would stop the best one too often",
        "derived",
    ),
    "early_termination.cohort.grace": ("as for one reference", "derived"),
    "early_termination.cohort.window": ("as for one reference", "derived"),
    "early_termination.cohort.sigmas": ("as for one reference", "derived"),
    "early_termination.cohort.patience": ("as for one reference", "derived"),
    "score.max_new_tokens": ("short answers are compared whole", "derived"),
    "score.batch_size": ("answered at once; it changes no answer", "derived"),
    "mix.seed": ("any; the same one makes the same mix", "derived"),
    "mix.held_out": ("asked for, not taken", "derived"),
    "mix.replay": ("asked for, not taken", "derived"),
}
"""Why a default of the settings is what it is, by its dotted path."""
