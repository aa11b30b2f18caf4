"""The number of tokens of a conversation under a model's own chat template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..config.json_text import parse_json
from ._files import checksum
from ._rendered import load_tokenizer

_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@cache
def token_counter(name: str) -> Callable[[Mapping[str, Any]], int]:
    """A function that counts the tokens of a conversation; each worker loads it once.

    Raises:
        MixError: If the tokenizer cannot be loaded or has no chat template.
    """
    tokenizer = load_tokenizer(name)

    def count(conversation: Mapping[str, Any]) -> int:
        tools = conversation.get("tools")
        ids = tokenizer.apply_chat_template(
            conversation["messages"],
            tools=None if tools is None else parse_json(tools),
            return_dict=False,
            **conversation.get("chat_template_kwargs", {}),
        )
        return len(ids)

    return count


def tokenizer_at(name: str, root: Path) -> str:
    """The folder of a local tokenizer, or the name of one on the Hub.

    Args:
        name: The name, or a path that starts from `root`.
        root: The folder that relative paths start from.
    """
    folder = root / Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


def tokenizer_checksums(name: str, root: Path) -> dict[str, str]:
    """The checksums of the files that decide the counts, if the tokenizer is local."""
    folder = Path(tokenizer_at(name, root))
    paths = [folder / file for file in _FILES]
    return {path.name: checksum(path) for path in paths if path.is_file()}
