"""What evidence and the host's own behaviour say of a configuration, before it is run.

_finding  one thing that is found
_view     a configuration as the advice reads it
_host     what Axolotl does without a word
_numbers  numbers held against the evidence for their setting
_data     what prepared rows really train
_advise   all of it, by weight, and a summary of the plan
"""

from ._advise import advise, summary
from ._data import Examined, examine, findings
from ._finding import Finding, Weight

__all__ = [
    "Examined",
    "Finding",
    "Weight",
    "advise",
    "examine",
    "findings",
    "summary",
]
