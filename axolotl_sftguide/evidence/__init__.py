"""Published claims as data, the batch size that they recommend, and their replay.

claims           each claim with its source, setting and grade
effective_batch  samples per optimizer step, and how many to use
intervals        estimates with intervals that resample whole settings
judgements       an estimate held against a claim, and the verdict
sft_scores       epochs, schedules and adapters, by the scores of 1,016 fine-tunes
adapter_rates    rates and ranks of adapters, by a sweep over 35 models
loss_curves      early loss, batch and rate, by grids with loss curves
replay           all judgements, and where their tables are published
paper            the verdicts on the paper's four claims
"""

from .claims import (
    CLAIMS,
    DEFAULTS,
    OLMO,
    PAPER,
    REGRET,
    Claim,
    Setting,
    claim,
    claims_table,
    is_small,
)

__all__ = [
    "CLAIMS",
    "DEFAULTS",
    "OLMO",
    "PAPER",
    "REGRET",
    "Claim",
    "Setting",
    "claim",
    "claims_table",
    "is_small",
]
