"""Phases of real data, where they are: a folder that `SFTGUIDE_TEST_DATA` names.

It holds `gsm8k-train.jsonl` (question, answer), `codealpaca.json` (instruction, input,
response) and `curves.json` (labelled training logs). The knowledge comes from WordNet
3's own file of nouns, as the Debian package `wordnet-base` installs it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

NOUNS = Path("/usr/share/wordnet/data.noun")


def real_file(name: str) -> Path:
    """A file of the folder with real data; skips where it is missing."""
    path = Path(os.environ.get("SFTGUIDE_TEST_DATA") or "nowhere", name)
    if not path.exists():
        pytest.skip(f"{path} is not here (SFTGUIDE_TEST_DATA names the folder)")
    return path


def real_phases(folder: Path) -> list[dict[str, Any]]:
    """Knowledge, made into questions, then skills; skips where one is gone."""
    skills = [real_file("gsm8k-train.jsonl"), real_file("codealpaca.json")]
    if not NOUNS.exists():
        pytest.skip(f"{NOUNS} is not here (Debian's wordnet-base installs it)")
    knowledge = {"path": _glosses(folder / "glosses.jsonl"), "max_rows": 20_000}
    return [
        {"name": "knowledge", "datasets": [knowledge]},
        {"name": "skills", "datasets": [{"path": str(path)} for path in skills]},
    ]


def _glosses(path: Path) -> str:
    with NOUNS.open() as nouns, path.open("w") as out:
        for line in nouns:
            if line.startswith("  "):  # the licence
                continue
            head, _, gloss = line.partition(" | ")
            asked = f"What is {head.split()[4].replace('_', ' ')}?"
            answer = gloss.split('; "')[0].strip()
            if answer:
                out.write(json.dumps({"question": asked, "answer": answer}) + "\n")
    return str(path)
