"""The id of a mix: a hash of its settings and of the content of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.mix_settings import MixSettings
from ._sources import Inputs
from ._tokens import tokenizer_checksums

FORM = 2
"""The version of what is written. It is part of the id."""


def mix_id(
    settings: MixSettings,
    inputs: Inputs,
    root: Path,
    form: int = FORM,
    values: Mapping[str, Any] | None = None,
) -> str:
    """Twelve hexadecimal digits, the same for the same settings and files.

    Args:
        settings: The settings of the mix.
        inputs: Its files.
        root: The folder that relative paths start from.
        form: The version of what is written.
        values: The settings as they were written, if by another version.
    """
    content = {
        "form": form,
        "settings": settings.model_dump(mode="json") if values is None else values,
        "files": [(file.source, file.label, file.sha256) for file in inputs.files],
        "excluded": [(file.label, file.sha256) for file in inputs.excluded],
    }
    if settings.tokenizer is not None:
        content["tokenizer"] = tokenizer_checksums(settings.tokenizer, root)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
