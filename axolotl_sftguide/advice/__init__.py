"""Findings on a config, from evidence and from what Axolotl does silently.

_finding    the shape of a finding
_catalogue  all kinds of findings by id
_view       a config with Axolotl's defaults filled in
_keys       keys that Axolotl drops, and values that its schema refuses
_plugins    entries of `plugins` that Axolotl cannot load
_refused    combinations of keys that Axolotl refuses, of the tables _refusals_*
_pairs      keys that do nothing because of another key
_needs      keys without the key that they need
_untrained  weights that are quantised, frozen or saved otherwise than it seems
_schedule_kwargs  arguments of the learning rate schedule
_run_length settings against the length of the run and the number of rows
_precision  number formats that a kernel does not take
_entries    entries of `datasets`: formats, roles and ends of turns
_public_data  types of entries against well-known datasets
_templates  chat templates, against the tokenizers of _marks
_tokenizer  added tokens, and the base model's files
_harmful    single values that undo a run
_model_fit  keys against the model's config.json
_host       what else Axolotl does silently
_numbers    numbers against the evidence for their setting
_own_block  the `sftguide:` block
_data       which tokens of the prepared rows are trained
_mismatch   settings that do not fit the kind of training, the model or the GPUs
_repeated   keys that occur twice
_joined     one finding for several entries of a list
_placeholders  values that a script fills in
_silenced   comments that silence findings
_advise     all findings by weight, and a summary of the run
"""

from ._advise import advise, summary
from ._catalogue import RULES, Cost, Rule
from ._data import (
    Examined,
    data_findings,
    empty_file,
    examine,
    unreadable_rows,
    with_unprepared,
)
from ._finding import Finding, Weight
from ._joined import joined
from ._repeated import repeated_keys
from ._silenced import silenced

__all__ = [
    "RULES",
    "Cost",
    "Examined",
    "Finding",
    "Rule",
    "Weight",
    "advise",
    "data_findings",
    "empty_file",
    "examine",
    "joined",
    "repeated_keys",
    "silenced",
    "summary",
    "unreadable_rows",
    "with_unprepared",
]
