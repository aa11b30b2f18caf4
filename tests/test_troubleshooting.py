"""The messages that docs/troubleshooting.md quotes are those of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from axolotl_sftguide import errors

PROJECT = Path(__file__).parent.parent
PACKAGE = Path(errors.__file__).parent
PAGE = PROJECT / "docs" / "troubleshooting.md"
VARIES = "…"
OURS = {
    name
    for name, thing in vars(errors).items()
    if isinstance(thing, type) and issubclass(thing, errors.SFTGuideError)
}


def quoted() -> list[str]:
    """The messages of the page: the code in the first column of its tables."""
    rows = re.findall(r"^\| (`.*?) \| ", PAGE.read_text(), re.MULTILINE)
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def template(node: ast.expr) -> str | None:
    """The text of a string or f-string, with the mark where it varies."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (template(value) or VARIES for value in node.values)
        return "".join(parts)
    return None


def strings_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            text = template(node)
            if text is not None and " " in text:
                yield text


@cache
def modules() -> dict[Path, ast.Module]:
    files = (p for p in PACKAGE.rglob("*.py") if "_shipped" not in p.parts)
    return {path: ast.parse(path.read_text()) for path in files}


@cache
def strings() -> dict[Path, list[str]]:
    return {path: list(strings_of(tree)) for path, tree in modules().items()}


def says(message: str, text: str) -> bool:
    """Whether a text has the fixed parts of a message, in their order."""
    at = 0
    for part in message.split(VARIES):
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def test_every_quoted_message_is_in_the_code() -> None:
    messages = quoted()
    assert len(messages) > 150
    fixed = [message.replace(VARIES, "").strip(" .:;,()") for message in messages]
    short = [message for message in fixed if len(message.split()) < 2]
    assert short == [], "too short to search for"
    known = [text for near in strings().values() for text in near]
    assert [m for m in messages if not any(says(m, text) for text in known)] == []


def raised() -> dict[tuple[str, str], list[str]]:
    """The texts of the modules that raise each kind of error, by folder."""
    found: dict[tuple[str, str], list[str]] = {}
    for path, tree in modules().items():
        folder = path.relative_to(PACKAGE).parts[0]
        calls = (
            node.exc.func
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        )
        names = {called.id for called in calls if isinstance(called, ast.Name)}
        for name in names & OURS:
            found.setdefault((folder, name), []).extend(strings()[path])
    return found


def test_every_folder_has_its_kinds_of_errors_on_the_page() -> None:
    messages = quoted()
    missing = [
        f"{folder} raises {name}: quote one of its messages in {PAGE.name}"
        for (folder, name), near in raised().items()
        if not any(says(m, text) for m in messages for text in near)
    ]
    assert missing == []


def test_every_notice_of_a_watched_run_is_on_the_page() -> None:
    """What is printed as a warning; the lines that only inform are left out."""
    informs = {"watching", "loss_by_source", "batch_size", "held_out_score", "stopped"}
    informs |= {"good_weights_loaded", "bad_run", "_shortened", "limited_rules"}
    tree = modules()[PACKAGE / "monitor" / "notices.py"]
    messages = quoted()
    missing = [
        function.name
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name not in informs
        if not any(says(m, t) for m in messages for t in strings_of(function))
    ]
    assert missing == []
