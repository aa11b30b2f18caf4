"""Facts of the model: shapes, base or tuned, chat template and special tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_configs import model_file, read_model_file, unfit_path
from ..errors import PlanError, nearest_hint
from ..evidence import is_small
from ..planning import KNOWN, locate_model, read_architecture
from ._families import Family, family_of, is_tuned

OWN = "tokenizer_default"


@dataclass(frozen=True)
class ModelFacts:
    """What is known of the model before anything of it is loaded."""

    name: str
    config: Mapping[str, Any]
    """Its `config.json`."""
    parameters: int
    vocabulary: int
    positions: int
    """The longest sequence that it was made for."""
    family: Family | None
    tuned: bool
    """Whether it was tuned on conversations before."""
    tokenizer: Path | None
    """Its `tokenizer.json`, if it is on this machine."""
    has_template: bool | None
    """Whether its tokenizer has a chat template; None if that is not known."""
    assumed: str = ""
    """The model whose shapes are used in its place; empty if its own are used."""

    @property
    def model_type(self) -> str:
        """The `model_type` in its `config.json`."""
        return str(self.config.get("model_type", ""))

    @property
    def is_mistral_7b(self) -> bool:
        """Whether the claim on Mistral 7B is about this model."""
        return self.model_type == "mistral" and 6e9 < self.parameters < 8e9

    @property
    def is_small(self) -> bool:
        """Whether it is far smaller than those studied."""
        return is_small(self.parameters)


def read_model(name: str, *, download: bool = True) -> ModelFacts:
    """The facts of a model by its name on the Hub, or by its folder.

    Args:
        name: A repository on the Hub, or a folder.
        download: Whether the Hub may be asked for `config.json`.

    Raises:
        PlanError: If there is no `config.json`, or its architecture is not planned.
    """
    found = locate_model(name, download=download)
    if found is None:
        if unfit := unfit_path(name):
            raise PlanError(f"--model {name}: {unfit}")
        raise PlanError(
            f"--model {name}: no config.json here or on the Hub; "
            f"{nearest_hint(name, KNOWN) or 'check the name.'} Or run `hf download "
            f"{name} config.json tokenizer.json tokenizer_config.json`, or name a "
            "local folder"
        )
    try:
        shapes = read_architecture(found.config, name)
    except PlanError as error:
        why = str(error).partition("; pass --simulate")[0]
        raise PlanError(
            f"--model {why}; start from one of Axolotl's examples: `axolotl fetch "
            "examples`"
        ) from None
    positions = found.config.get("max_position_embeddings") or 4096
    settings = read_model_file(name, "tokenizer_config.json")
    has_template: bool | None = None
    if settings is not None:
        jinja = model_file(name, "chat_template.jinja")
        has_template = bool(settings.get("chat_template")) or jinja is not None
    return ModelFacts(
        name,
        found.config,
        shapes.parameters,
        shapes.vocabulary,
        int(positions),
        family_of(name),
        is_tuned(name),
        model_file(name, "tokenizer.json"),
        has_template,
        found.assumed,
    )
