"""The source of each tokenised row of a trainer, from a column of its data.

TRL drops all columns but the tokens when it packs. Then the rows that the user gave to
the trainer are prepared a second time with the trainer's own function, with the number
of the source in place of each label.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import Problem, SettingsError
from ..monitor.source_table import CodedRows, SourceTable

MOST_SOURCES = 100
_AT_ONCE = 10_000
_KEY = "loss_by_source"


def source_finder(
    column: str | None, train_dataset: Any, eval_dataset: Any
) -> Callable[[Any], SourceTable] | None:
    """A function that finds a trainer's sources by a column; None without a column."""
    if column is None:
        return None
    return lambda trainer: source_table(trainer, column, train_dataset, eval_dataset)


def source_table(
    trainer: Any, column: str, train_dataset: Any = None, eval_dataset: Any = None
) -> SourceTable:
    """The sources of a trainer's rows.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        column: The column whose values are the sources.
        train_dataset: The dataset that was passed to the trainer; needed if the
            trainer has dropped the column.
        eval_dataset: The same for evaluation: a dataset, or a dict of them.

    Raises:
        SettingsError: If the sources cannot be read.
    """
    given = _given(trainer.train_dataset, column, train_dataset)
    if given is None or not hasattr(given, "unique"):
        raise SettingsError([_missing(trainer, column, train_dataset)])
    rows = [given]
    evaluated = _as_list(trainer.eval_dataset)
    for own, raw in zip(
        evaluated, _as_list(eval_dataset, len(evaluated)), strict=False
    ):
        held_out = _given(own, column, raw)
        if hasattr(held_out, "unique"):
            rows.append(held_out)
    names = names_of([dataset.unique(column) for dataset in rows], column)
    return SourceTable(names, _coded(trainer, rows, column, names))


def names_of(values: Sequence[Any], column: str) -> list[str]:
    """The sources, from the different values of each dataset, in a stable order.

    Raises:
        SettingsError: If there are too many.
    """
    names = sorted({str(value) for some in values for value in some})
    if len(names) > MOST_SOURCES:
        message = f"column {column!r} has {len(names):,} values"
        remedy = f"Name a column with at most {MOST_SOURCES}, such as `source`"
        raise SettingsError([Problem(_KEY, message, remedy)])
    return names


def rows_in(
    dataset: Any, column: str | None, names: Sequence[str], source: int = 0
) -> Iterator[CodedRows]:
    """The samples of a tokenised dataset.

    Args:
        dataset: A dataset with `input_ids`.
        column: The column with the source of each row; None if all are of `source`.
        names: The sources.
        source: The index of the only source.
    """
    import numpy as np

    index = {name: i for i, name in enumerate(names)}
    for table in dataset.with_format("arrow").iter(_AT_ONCE):
        ids, lengths = _lists(table, "input_ids")
        codes = np.full(len(lengths), source)
        if column is not None:
            codes = np.array([index[str(v)] for v in table[column].to_pylist()])
        yield CodedRows(ids, np.repeat(codes, lengths), lengths)


def _coded(
    trainer: Any, rows: Sequence[Any], column: str, names: Sequence[str]
) -> Iterator[CodedRows]:
    for i, dataset in enumerate(rows):
        if _is_prepared(dataset, column):
            yield from rows_in(dataset, column, names)
        else:
            packed = prepared_again(trainer, dataset, column, names, evaluates=i > 0)
            yield from _packed_rows(packed)


def prepared_again(
    trainer: Any, dataset: Any, column: str, names: Sequence[str], *, evaluates: bool
) -> Any:
    """The rows as TRL's trainer has prepared them, with sources in place of labels."""
    index = {name: i for i, name in enumerate(names)}

    def prepare(rows: Any, packs: bool, **changes: Any) -> Any:
        args = copy.copy(trainer.args)
        for name, value in changes.items():
            if hasattr(args, name):
                setattr(args, name, value)
        tokenizer, formatting = trainer.processing_class, trainer._formatting_func
        return trainer._prepare_dataset(
            rows, tokenizer, args, packs, formatting, "loss by source"
        )

    def code(row: dict[str, Any]) -> dict[str, Any]:
        return {"labels": [index[str(row[column])]] * len(row["input_ids"])}

    # Liger's collator takes some columns only, and labels are cut with the tokens.
    tokenised = prepare(
        dataset, False, max_length=None, shuffle_dataset=False, use_liger_kernel=False
    )
    coded = tokenised.map(code).select_columns(["input_ids", "labels"])
    args = trainer.args
    packs = args.packing
    if evaluates and args.eval_packing is not None:
        packs = args.eval_packing
    return prepare(coded, packs, use_liger_kernel=False)


def _packed_rows(dataset: Any) -> Iterator[CodedRows]:
    packed = "seq_lengths" in dataset.column_names
    for table in dataset.with_format("arrow").iter(_AT_ONCE):
        ids, lengths = _lists(table, "input_ids")
        if packed:
            lengths = _lists(table, "seq_lengths")[0]
        yield CodedRows(ids, _lists(table, "labels")[0], lengths)


def _lists(table: Any, column: str) -> tuple[Any, Any]:
    """All values of a column of lists, and the length of each list."""
    lists = table[column].combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False)
    return values, lists.value_lengths().to_numpy(zero_copy_only=False)


def _given(own: Any, column: str, raw: Any) -> Any:
    """The dataset from which the sources are read, or None."""
    if _is_prepared(own, column):
        return own
    return raw if raw is not None and column in _columns(raw) else None


def _is_prepared(dataset: Any, column: str) -> bool:
    return {column, "input_ids"} <= set(_columns(dataset))


def _missing(trainer: Any, column: str, raw: Any) -> Problem:
    if not hasattr(trainer.train_dataset, "unique"):
        return Problem(_KEY, "the training data are streamed", "Leave it out")
    if "input_ids" not in _columns(trainer.train_dataset):
        message = f"the rows of {type(trainer).__name__} have no input_ids"
        return Problem(_KEY, message, "Leave it out: it works only for SFT on text")
    columns = _columns(trainer.train_dataset if raw is None else raw)
    message = f"the training data have no column {column!r}, only {', '.join(columns)}"
    if raw is None and hasattr(trainer, "_formatting_func"):
        remedy = (
            "If packing has dropped it, pass the dataset that you gave the trainer: "
            f"watch(trainer, {_KEY}={column!r}, train_dataset=dataset)"
        )
        return Problem(_KEY, message, remedy)
    return Problem(_KEY, message, "Name one of them")


def _columns(dataset: Any) -> list[str]:
    return list(getattr(dataset, "column_names", None) or [])


def _as_list(datasets: Any, length: int = 1) -> list[Any]:
    if isinstance(datasets, dict):
        return list(datasets.values())
    return [datasets] * length
