"""The faults of the hosts that `benchmarks/upstream` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts import load_script

FOLDER = Path(__file__).parent.parent / "benchmarks" / "upstream"
UPSTREAM = load_script(FOLDER / "__main__.py")


def test_the_table_is_made_from_the_docstrings() -> None:
    assert (FOLDER / "README.md").read_text() == UPSTREAM.table()


@pytest.mark.parametrize("fault", UPSTREAM.faults(), ids=lambda f: f.path.stem)
def test_a_fault_is_ready_to_be_filed(fault: Any) -> None:
    assert list(fault.fields) == list(UPSTREAM.FIELDS)
    assert all(fault.fields.values())
    text = fault.path.read_text()
    assert "sftguide" not in text
    assert "expected:" in text
    assert "observed:" in text


@pytest.mark.slow
@pytest.mark.parametrize("fault", UPSTREAM.faults(), ids=lambda f: f.path.stem)
def test_a_fault_is_still_in_the_installed_host(fault: Any) -> None:
    """If a new version has fixed it, docs and workarounds can be removed."""
    status, said = UPSTREAM.run(fault)
    if status == UPSTREAM.CANNOT:
        pytest.skip(said.strip())
    assert status == UPSTREAM.SHOWN, said
