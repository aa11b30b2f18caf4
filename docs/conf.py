"""The docs site. `make docs` builds it; CONTRIBUTING.md says why with these tools."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from sphinx.util.inspect import signature, stringify_signature

PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))  # the package of this checkout, not an installed one

project = "axolotl-sftguide"
author = "The axolotl-sftguide maintainers"
copyright = author  # of the footer; the licence is Apache-2.0
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["images"]

# Pages are written to be read in the repository too, so they are plain Markdown.
myst_heading_anchors = 4
myst_links_external_new_tab = False

# The signatures come from the code; its hosts need not be installed to read them.
autodoc_mock_imports = [
    "accelerate",
    "axolotl",
    "datasets",
    "optuna",
    "peft",
    "pyarrow",
    "ray",
    "torch",
    "transformers",
]
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 76
default_role = "code"  # docstrings mark code with one backtick
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "axolotl-sftguide"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options: dict[str, Any] = {
    "navigation_with_keys": False,
    "light_css_variables": {
        "color-brand-primary": "#1f5fae",
        "color-brand-content": "#1f5fae",
        "color-brand-visited": "#6a3fa0",
    },
    "dark_css_variables": {
        "color-brand-primary": "#8ab8f5",
        "color-brand-content": "#8ab8f5",
        "color-brand-visited": "#c3a6ee",
    },
}

_plain: dict[str, list[str]] = {}


def keep_plain(_: Any, what: str, name: str, *rest: Any) -> None:
    """Keep an attribute's docstring, in which napoleon takes a colon for a type."""
    if what in ("attribute", "property"):
        _plain[name] = list(rest[-1])


def put_plain_back(_: Any, what: str, name: str, *rest: Any) -> None:
    if name in _plain:
        rest[-1][:] = _plain.pop(name)


def own_signature(
    _: Any, what: str, name: str, thing: Any, *rest: Any
) -> tuple[str, None] | None:
    """The arguments of a class whose base is a host's, which is not installed here."""
    if what != "class" or rest[1] != "(*args: Any, **kwargs: Any)":
        return None
    own = signature(thing.__init__, bound_method=True)
    own = own.replace(return_annotation=inspect.Signature.empty)
    return stringify_signature(own, unqualified_typehints=True), None


def name_levels(_: Any, __: str, ___: str, context: dict[str, Any], *rest: Any) -> None:
    """Give the captions of the navigation the level that a heading needs."""
    tree = context.get("furo_navigation_tree", "")
    level = 'role="heading" aria-level="2"'
    context["furo_navigation_tree"] = tree.replace('role="heading"', level)


def setup(app: Any) -> None:
    app.connect("html-page-context", name_levels, priority=900)
    app.connect("autodoc-process-docstring", keep_plain, priority=100)
    app.connect("autodoc-process-docstring", put_plain_back, priority=900)
    app.connect("autodoc-process-signature", own_signature)
