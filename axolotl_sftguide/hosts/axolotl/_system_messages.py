"""Tests whether a chat template writes system messages into the rows of a dataset."""

from __future__ import annotations

from itertools import islice
from typing import Any

_LOOKED_AT = 2000
"""Rows among which those with a system message are looked for."""
_RENDERED = 50
"""Rows with a system message that are rendered."""


def system_messages(cfg: Any, entry: Any, tokenizer: Any) -> tuple[int, int]:
    """Rows with a system message in a sample, and those whose text has none of it.

    Each conversation is rendered with its system message and without it: if the texts
    are equal, the template leaves it out.

    Args:
        cfg: Axolotl's config.
        entry: The dataset's entry in it.
        tokenizer: The tokenizer, which renders the template.
    """
    from axolotl.prompt_strategies import load
    from axolotl.utils.data.shared import load_dataset_with_config

    if not str(entry.type).startswith("chat_template"):
        return 0, 0
    strategy = load(entry.type, tokenizer, cfg, entry)
    template = getattr(getattr(strategy, "prompter", None), "chat_template", None)
    if not template:
        return 0, 0
    rows = load_dataset_with_config(entry, cfg.hf_use_auth_token, streaming=False)
    if hasattr(rows, "keys"):
        rows = rows[entry.split or "train"]
    some = (_turns(strategy, row) for row in islice(rows, _LOOKED_AT))
    found = islice((turns for turns in some if _has_system(turns)), _RENDERED)
    texts = [_texts(tokenizer, template, turns) for turns in found]
    return len(texts), sum(one is not None and one == other for one, other in texts)


def _turns(strategy: Any, row: Any) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = strategy.get_conversation_thread(row)
    return turns


def _has_system(turns: list[dict[str, Any]]) -> bool:
    first = turns[0] if len(turns) > 1 else {}
    return first.get("role") == "system" and bool(str(first.get("content")).strip())


def _texts(tokenizer: Any, template: str, turns: Any) -> tuple[str | None, str | None]:
    """A conversation with its system message and without; None if it is refused."""
    from jinja2.exceptions import TemplateError

    try:
        return (
            tokenizer.apply_chat_template(
                turns, chat_template=template, tokenize=False
            ),
            tokenizer.apply_chat_template(
                turns[1:], chat_template=template, tokenize=False
            ),
        )
    except (TemplateError, TypeError, ValueError):  # it wants more than the turns
        return None, None
