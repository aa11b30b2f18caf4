"""The tokens that Axolotl trains on, from a dataset of any of its types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

BASE = Path(__file__).parents[2] / "recipes" / "quickstart" / "base"

TEMPLATE = (
    "{{ bos_token }}{% if tools %}[{{ tools | tojson }}]{% endif %}"
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['reasoning_content'] %}<think>{{ message['reasoning_content'] }}"
    "</think>{% endif %}{{ message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}<call>{{ call['function']['name'] }}"
    "{{ call['function']['arguments'] | tojson }}</call>{% endfor %}"
    "{{ eos_token }}{% endfor %}"
)
"""Shows all that a message may contain."""


def trained_by_axolotl(
    path: Path, entry: dict[str, Any], cache: Path
) -> list[dict[str, Any]]:
    """The `input_ids` and `labels` of each row, and the row.

    Args:
        path: The file.
        entry: The keys of its entry in `datasets`.
        cache: Where `datasets` keeps its files.
    """
    import datasets
    from axolotl.utils.data.wrappers import get_dataset_wrapper
    from axolotl.utils.dict import DictDefault

    kind = "parquet" if path.suffix == ".parquet" else "json"
    rows = datasets.load_dataset(
        kind, data_files=str(path), split="train", cache_dir=str(cache)
    )
    template = {"chat_template": "jinja", "chat_template_jinja": TEMPLATE}
    own = DictDefault({"path": str(path), **template, **entry})
    cfg = DictDefault({"sequence_len": 4096, "train_on_inputs": False, **template})
    cfg.dataset_num_proc = 1
    base, _, style = own.type.partition(":")
    found, _ = get_dataset_wrapper(
        own,
        AutoTokenizer.from_pretrained(BASE),
        cfg,
        base,
        rows,
        style or None,
    )
    return [dict(tokens) for tokens in found]


def trained_text(tokens: dict[str, Any]) -> str:
    """The text that is trained on, without the token that ends an answer."""
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    ids = [label for label in tokens["labels"] if label != -100]
    text = str(tokenizer.decode(ids))
    return text.removesuffix(str(tokenizer.eos_token)).strip()
