"""The source of each row that Axolotl has tokenised, from a column of the raw data.

Axolotl keeps no column of the raw data. So the rows of each source are tokenised once
more, with Axolotl's own functions, and recognised by their tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import Problem, SettingsError
from ...monitor.source_table import CodedRows, SourceTable
from ..sources import names_of, rows_in

_KEY = "sftguide.monitor.loss_by_source"


def source_table(cfg: Any, tokenizer: Any, column: str) -> SourceTable:
    """The sources of the rows of all datasets in a config.

    The rows of a dataset without the column have its name as their source.

    Args:
        cfg: Axolotl's config, with its data.
        tokenizer: The tokenizer of the training.
        column: The column whose values are the sources.

    Raises:
        SettingsError: If no dataset has the column, or the data are not loaded before
            training.
    """
    if cfg.rl or cfg.pretraining_dataset or cfg.streaming:
        message = "works only for SFT on data that are loaded before training"
        raise SettingsError([Problem(_KEY, message, "Remove it")])
    loaded = [
        (entry, _raw(entry, split, cfg))
        for entries, split in ((cfg.datasets, "train"), (cfg.test_datasets, "test"))
        for entry in _each(entries)
    ]
    columns = {name for _, rows in loaded for name in rows.column_names}
    if column not in columns:
        message = (
            f"no dataset has a column {column!r}, only {', '.join(sorted(columns))}"
        )
        raise SettingsError([Problem(_KEY, message, "Name one of them")])
    values = [
        rows.unique(column) if column in rows.column_names else [_name(entry)]
        for entry, rows in loaded
    ]
    names = names_of(values, column)
    return SourceTable(names, _tokenised(loaded, cfg, tokenizer, column, names))


def _tokenised(
    loaded: list[tuple[Any, Any]],
    cfg: Any,
    tokenizer: Any,
    column: str,
    names: list[str],
) -> Iterator[CodedRows]:
    from axolotl.utils.data.utils import handle_long_seq_in_dataset

    cuts = str(cfg.excess_length_strategy or "").lower() == "truncate"
    for entry, rows in loaded:
        for name, part in _by_source(entry, rows, column):
            tokenised = _tokenise(part, entry, cfg, tokenizer)
            if cuts and len(tokenised):
                tokenised = handle_long_seq_in_dataset(tokenised, cfg.sequence_len, cfg)
            yield from rows_in(tokenised, None, names, names.index(name))


def _by_source(entry: Any, rows: Any, column: str) -> Iterator[tuple[str, Any]]:
    if column not in rows.column_names:
        yield _name(entry), rows
        return
    places: dict[str, list[int]] = {}
    for place, value in enumerate(rows[column]):
        places.setdefault(str(value), []).append(place)
    for name, of_it in places.items():
        yield name, rows.select(of_it)


def _raw(entry: Any, split: str, cfg: Any) -> Any:
    """The rows of one dataset, before Axolotl tokenises them."""
    from axolotl.utils.data.shared import load_dataset_with_config

    rows = load_dataset_with_config(entry, cfg.hf_use_auth_token, streaming=False)
    if not isinstance(rows, dict):
        return rows
    return rows[entry.split if entry.split in rows else split]


def _tokenise(rows: Any, entry: Any, cfg: Any, tokenizer: Any) -> Any:
    from axolotl.utils.data.wrappers import get_dataset_wrapper

    kind = entry.type if isinstance(entry.type, str) else None
    base, _, style = (kind or "").partition(":")
    tokenised, _ = get_dataset_wrapper(
        dataset_config=entry,
        tokenizer=tokenizer,
        cfg=cfg,
        dataset_base_type=base or None,
        dataset=rows,
        dataset_prompt_style=style.partition(":")[0] or None,
    )
    return tokenised


def _each(entries: Any) -> Iterator[Any]:
    from axolotl.utils.data.shared import datasets_with_name_generator

    yield from datasets_with_name_generator(entries or [])


def _name(entry: Any) -> str:
    return Path(str(entry.path)).stem
