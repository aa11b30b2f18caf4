"""Published claims as data, and the batch size that they recommend.

claims           each claim with its source, setting and grade
effective_batch  samples per optimizer step, and how many to use
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
]
