"""The system's Chromium, without a window, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def program() -> str | None:
    """The path of Chromium; `CHROMIUM` names another one. None if there is none."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def chromium(**context: Any) -> Iterator[Any]:
    """A tab; `context` has playwright's settings, such as `color_scheme`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        # Debian's Chromium cannot make its sandbox as root.
        browser = play.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        settings = {"viewport": {"width": 1280, "height": 900}, **context}
        yield browser.new_context(**settings).new_page()
        browser.close()
