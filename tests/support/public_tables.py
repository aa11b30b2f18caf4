"""The public tables of results, where they are: in `SFTGUIDE_TEST_DATA`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from axolotl_sftguide.evidence.replay import TABLES


def public_tables() -> Path:
    """The folder of the tables; skips where one is missing."""
    folder = Path(os.environ.get("SFTGUIDE_TEST_DATA") or "nowhere")
    for table in TABLES.values():
        if not (folder / table.file).is_file():
            pytest.skip(
                f"{table.file} is not here (SFTGUIDE_TEST_DATA names its folder)"
            )
    return folder
