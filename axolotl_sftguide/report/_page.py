"""The page: one HTML file with its data, style and scripts inside."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any

_SCRIPTS = (
    "base.js",
    "state.js",
    "theme.js",
    "chart.js",
    "curves.js",
    "scatter.js",
    "parallel.js",
    "table.js",
    "panel.js",
    "page.js",
)
"""In the order in which they are run."""

_STYLES = ("page.css",)


def page_of(view: Mapping[str, Any]) -> str:
    """The page of a view, complete in one file.

    Names and settings are data: they are JSON in an element that is no script for a
    browser, and the scripts put them into the page as text. The content security policy
    allows the page's own script and style and nothing else, so that even markup that
    came through could neither run nor load anything.
    """
    script = "\n".join([_vendor("uPlot.iife.min.js"), _own_script()])
    style = "\n".join([_vendor("uPlot.min.css"), *map(_asset, _STYLES)])
    page = Template(_asset("page.html"))
    return page.substitute(
        policy=(
            "default-src 'none'; img-src data:; "
            f"script-src {_hash(script)}; style-src {_hash(style)}"
        ),
        style=style,
        data=_data(view),
        script=script,
    )


def _own_script() -> str:
    """The scripts in one scope, so that the page has no names of its own."""
    parts = "\n".join(map(_asset, _SCRIPTS))
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


def _data(view: Mapping[str, Any]) -> str:
    """JSON that cannot end its element: without `<`, `>`, `&` and line separators."""
    text = json.dumps(view, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # A lone surrogate, from a broken file name, is no text that can be written.
    return text.encode("utf-8", "replace").decode("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _asset(name: str) -> str:
    return _read("assets", name)


def _vendor(name: str) -> str:
    return _read("vendor", name)


def _read(folder: str, name: str) -> str:
    file = resources.files(__package__).joinpath(folder, name)
    return file.read_text(encoding="utf-8")
