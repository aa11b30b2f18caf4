"""Several phases of SFT data in, one dataset out.

Reading a spec and its files:
_spec         the settings of a mix, from a mapping or YAML
_sources      the files of all sources
_files        dataset files on this machine
_folders      the files of a folder, as `datasets` finds them
_kinds        the kind of a file, by its name
_heads        what a file is, by its first bytes
_hub          datasets by name, split or revision
_pieces       a file divided into pieces for the workers
_readers      the rows of a piece, from any kind of file
_json_values  the values of a JSON array
_arrow        record batches of Arrow files

Reading a row:
_forms        the forms of rows as one conversation
_questions    rows of a question and its answer
_raw_text     rows of raw text
_whole        columns and rows that contain whole conversations
_turns        one turn as a message
_content      the content of a message, and what of it is trained on
_tools        tools and tool calls as JSON text
_unread       columns that no message contains
_names        names of columns and keys, by what they mean
_messages     the order of the messages
_where        the rows that `where` keeps
_faults       the reasons why a row cannot be used
_scan         all rows of a source, without a mix
_inspect      the faulty rows of a dataset by file and number
_fingerprint  a hash that is equal for duplicates
_tokens       the length of a conversation in tokens
_texts        the length of plain texts in tokens
_words        its words, and hashes of those that follow one another
_lengths      how long the rows are
_minhash      the bands of its MinHash
_extras       which of these are computed of each row

Planning the dataset:
_columns      all rows as columns
_exclusion    rows that must not be trained on
_overlap      rows that share sequences of words with them
_near         near-duplicates
_shares       how many rows each source gets
_order        the order of the rows
_random       reproducible random numbers per row
_plan         all of these together

Building it:
_mix          `mix`: spec to folder
_identity     the id in the folder's name
_build        read, plan, write
_spool        first pass: rows as uniform lines
_refusals     mixes that are refused because of their rows
_empty        mixes that are refused because a part is empty
_write        last pass: lines in the order of the plan
_kwargs       last pass, for rows with arguments of the chat template
_parquet      last pass, for rows with other optional columns
_account      what became of each row
_examples     rows that are left out for a likeness
_manifest     manifest.json
_verify       `verify`: build again and compare
_versions     versions of the libraries that decide the rows
_preview      `preview`: the first conversations of each source
_rendered     a conversation as a chat template renders it
_workers      the processes that share the work
last_made     the most recent mix of given settings
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..config.mix_settings import MixSettings as MixSettings
    from ..config.mix_settings import PhaseSettings as PhaseSettings
    from ..config.mix_settings import SourceSettings as SourceSettings
    from ._faults import FAULTS as FAULTS
    from ._fingerprint import fingerprint as fingerprint
    from ._inspect import UNREADABLE as UNREADABLE
    from ._inspect import UNTRAINED as UNTRAINED
    from ._inspect import FaultyRow as FaultyRow
    from ._inspect import faulty_rows as faulty_rows
    from ._lengths import longer_than as longer_than
    from ._manifest import Manifest as Manifest
    from ._manifest import PhasePart as PhasePart
    from ._manifest import Written as Written
    from ._mix import Mixed as Mixed
    from ._mix import mix as mix
    from ._preview import PreviewedRow as PreviewedRow
    from ._preview import PreviewedSource as PreviewedSource
    from ._preview import preview as preview
    from ._scan import ScannedRow as ScannedRow
    from ._scan import scan as scan
    from ._spec import load_mix as load_mix
    from ._spec import read_mix as read_mix
    from ._texts import text_counter as text_counter
    from ._verify import verify as verify
    from ._verify import version_notes as version_notes

_HOME = {
    "FAULTS": "._faults",
    "UNREADABLE": "._inspect",
    "UNTRAINED": "._inspect",
    "FaultyRow": "._inspect",
    "faulty_rows": "._inspect",
    "fingerprint": "._fingerprint",
    "MixSettings": "..config.mix_settings",
    "PhaseSettings": "..config.mix_settings",
    "ScannedRow": "._scan",
    "SourceSettings": "..config.mix_settings",
    "Manifest": "._manifest",
    "Mixed": "._mix",
    "PhasePart": "._manifest",
    "PreviewedRow": "._preview",
    "PreviewedSource": "._preview",
    "Written": "._manifest",
    "load_mix": "._spec",
    "longer_than": "._lengths",
    "mix": "._mix",
    "preview": "._preview",
    "read_mix": "._spec",
    "scan": "._scan",
    "text_counter": "._texts",
    "verify": "._verify",
    "version_notes": "._verify",
}

__all__ = [
    "FAULTS",
    "UNREADABLE",
    "UNTRAINED",
    "FaultyRow",
    "Manifest",
    "MixSettings",
    "Mixed",
    "PhasePart",
    "PhaseSettings",
    "PreviewedRow",
    "PreviewedSource",
    "ScannedRow",
    "SourceSettings",
    "Written",
    "faulty_rows",
    "fingerprint",
    "load_mix",
    "longer_than",
    "mix",
    "preview",
    "read_mix",
    "scan",
    "text_counter",
    "verify",
    "version_notes",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that the package can be imported without `[mix]`.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
