"""Writes a config from facts: the model, the data, the card and the evidence.

_request     what the user asks for
_model       facts of the model, from its config.json
_families    chat templates and special tokens of well-known models
_data        facts of the data: rows, forms, lengths, duplicates
_tokens      tokens of a text, estimated from its characters
_choice      one key of the config, its value and the reason
_template    chat template and special tokens
_layout      `sequence_len` and packing
_candidates  full fine-tuning, LoRA or QLoRA, and over how many GPUs
_keys        the keys that decide a candidate's memory
_planned     that memory, and the error if nothing fits
_fit         the candidate that is taken
_assembly    the keys that follow from the decisions
_numbers     batch, learning rate, schedule and epochs
_cadence     held-out part, evaluations, checkpoints, logs
_author      the order of the decisions
words        sentences that the YAML and the terminal share
_yaml        the commented YAML
_recipe      the YAML of a shipped recipe
_trl         the script for TRL
_space       what the evidence leaves open, for a sweep
_jinja       chat templates that mark the answers
"""

from ._author import Authored, author
from ._choice import Choice, Choices
from ._data import DataFacts, SourceFacts, read_data
from ._jinja import MARKS, jinja_of
from ._model import ModelFacts, read_model
from ._recipe import About, as_recipe
from ._request import Goal, Request, Sharding, Stated, Training
from ._space import as_space, trials
from ._tokens import characters_of, estimated
from ._trl import as_script
from ._yaml import as_yaml

__all__ = [
    "MARKS",
    "About",
    "Authored",
    "Choice",
    "Choices",
    "DataFacts",
    "Goal",
    "ModelFacts",
    "Request",
    "Sharding",
    "SourceFacts",
    "Stated",
    "Training",
    "as_recipe",
    "as_script",
    "as_space",
    "as_yaml",
    "author",
    "characters_of",
    "estimated",
    "jinja_of",
    "read_data",
    "read_model",
    "trials",
]
