"""Phased data in, one dataset out.

_spec      what is mixed: phases, datasets, shares
_read      files as rows, in pieces
_hub       datasets by name, split or revision, as Arrow files
_rows      a row of any form as one uniform conversation
_tokens    how long a conversation is under a chat template
_spool     first pass: uniform lines, and a fingerprint of each
_plan      which rows, how often, in which order, from the fingerprints alone
_write     last pass: the lines in that order
_manifest  what became of each row
_mix       all of it, into a folder named by its content
_verify    the proof of such a folder
_workers   the processes that share the work
"""

from ..mix_settings import MixSettings, PhaseSettings, SourceSettings
from ._manifest import Manifest, PhasePart, Written
from ._mix import Mixed, mix
from ._spec import load_mix, read_mix
from ._verify import verify

__all__ = [
    "Manifest",
    "MixSettings",
    "Mixed",
    "PhasePart",
    "PhaseSettings",
    "SourceSettings",
    "Written",
    "load_mix",
    "mix",
    "read_mix",
    "verify",
]
