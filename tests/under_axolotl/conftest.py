"""Common to the tests that run Axolotl in this process."""

from __future__ import annotations

import pytest
from forked import AXOLOTL, Forked


@pytest.fixture(autouse=True, scope="session")
def axolotl_logs_to_the_session() -> None:
    """Axolotl's import ties its log to the standard output of that moment.

    That of a test is closed when it ends, and each later log would be a traceback.
    """
    import axolotl.cli  # noqa: F401


@pytest.fixture(scope="session")
def forked() -> Forked:
    """Forks from a process that has imported Axolotl too."""
    return Forked(*AXOLOTL)


@pytest.fixture(autouse=True)
def no_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`axolotl preprocess` leaves this set, and datasets then come without steps."""
    monkeypatch.delenv("AXOLOTL_IS_PREPROCESS", raising=False)
