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
last_made  which mix was made last of some settings
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..config.mix_settings import MixSettings as MixSettings
    from ..config.mix_settings import PhaseSettings as PhaseSettings
    from ..config.mix_settings import SourceSettings as SourceSettings
    from ._manifest import Manifest as Manifest
    from ._manifest import PhasePart as PhasePart
    from ._manifest import Written as Written
    from ._mix import Mixed as Mixed
    from ._mix import mix as mix
    from ._spec import load_mix as load_mix
    from ._spec import read_mix as read_mix
    from ._verify import verify as verify

_HOME = {
    "MixSettings": "..config.mix_settings",
    "PhaseSettings": "..config.mix_settings",
    "SourceSettings": "..config.mix_settings",
    "Manifest": "._manifest",
    "Mixed": "._mix",
    "PhasePart": "._manifest",
    "Written": "._manifest",
    "load_mix": "._spec",
    "mix": "._mix",
    "read_mix": "._spec",
    "verify": "._verify",
}

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


def __getattr__(name: str) -> Any:
    # Late, so that installs without `[mix]` can import the package.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
