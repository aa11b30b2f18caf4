"""Findings on a config, from evidence and from what Axolotl does silently.

_finding  the shape of a finding
_view     a config with Axolotl's defaults filled in
_keys     keys that Axolotl or the plugin does not accept
_host     what Axolotl does silently
_numbers  numbers against the evidence for their setting
_data     which tokens of the prepared rows are trained
_advise   all findings by weight, and a summary of the run
"""

from ._advise import advise, summary
from ._data import Examined, data_findings, examine
from ._finding import Finding, Weight

__all__ = [
    "Examined",
    "Finding",
    "Weight",
    "advise",
    "data_findings",
    "examine",
    "summary",
]
