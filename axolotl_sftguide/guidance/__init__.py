"""What to change after a run, and why, by what was recorded of it.

_record     what is recorded of a run
_advice     a change, its reasons, and how certain it is
_endings    after a failure, a divergence, or a loss that did not move
_noise      the noise of a score
_series     runs that differ in a single setting
_comparison a run beside those, and whether a difference is beyond the noise
_compared   by the scores of other runs
_supported  what other runs support, and what they leave open
_base       by the score before the training
_held_out   by the held-out loss: epochs and sources
_published  by published evidence
_speed      by memory and lengths
_open       what the evidence leaves open
_missing    which records are missing
_guide      all of it, in order
_space      a search space of what is advised or unclear
_text       values as people write them
_read       the record of a run in the history
"""

from ._advice import Advice, Certainty, Guidance, Missing, Reason, Unclear
from ._guide import guide
from ._read import read_record
from ._record import (
    AXOLOTL,
    TRL,
    Cut,
    Ending,
    Goal,
    Memory,
    Names,
    Other,
    Record,
    Result,
    goal_of,
)
from ._space import as_space, trials
from ._text import shown

__all__ = [
    "AXOLOTL",
    "TRL",
    "Advice",
    "Certainty",
    "Cut",
    "Ending",
    "Goal",
    "Guidance",
    "Memory",
    "Missing",
    "Names",
    "Other",
    "Reason",
    "Record",
    "Result",
    "Unclear",
    "as_space",
    "goal_of",
    "guide",
    "read_record",
    "shown",
    "trials",
]
