"""Published claims as data, and the batch size that they point to.

claims           each number with its source, setting and grade
effective_batch  samples of an optimizer step, and how many to ask for
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
