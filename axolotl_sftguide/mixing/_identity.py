"""The id of a mix: a hash of its settings and of the content of its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..config.mix_settings import MixSettings
from ._sources import Inputs
from ._tokens import tokenizer_checksums

FORM = 1
"""The version of what is written. It is part of the id."""


def mix_id(settings: MixSettings, inputs: Inputs, root: Path) -> str:
    """Twelve hexadecimal digits, the same for the same settings and files."""
    content = {
        "form": FORM,
        "settings": settings.model_dump(mode="json"),
        "files": [(file.source, file.label, file.sha256) for file in inputs.files],
        "excluded": [(file.label, file.sha256) for file in inputs.excluded],
    }
    if settings.tokenizer is not None:
        content["tokenizer"] = tokenizer_checksums(settings.tokenizer, root)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
