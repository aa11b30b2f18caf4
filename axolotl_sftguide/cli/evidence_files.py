"""Reads the public tables that judge claims, and the judgements that are shipped."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..config.json_text import parse_json
from ..errors import EvidenceError
from ..evidence.judgements import Judgement, from_dict
from ..evidence.replay import QUESTIONS, TABLES, Rows, Table
from .common import progress


def read_tables(folder: Path) -> dict[str, Rows]:
    """The tables that lie in a folder, by their keys.

    Raises:
        EvidenceError: If the folder or all files are missing, or a file has another
            content than its name says.
    """
    if not folder.is_dir():
        raise EvidenceError(
            f"{folder}: is not a folder. Name one that holds {_names()}"
        )
    found = {
        key: _read(folder / table.file, table)
        for key, table in TABLES.items()
        if (folder / table.file).is_file()
    }
    if not found:
        raise EvidenceError(
            f"{folder}: holds none of the tables. Put one of these there: {_names()}"
        )
    return found


def judge_tables(tables: dict[str, Rows], folder: Path) -> list[Judgement]:
    """All judgements from the tables of a folder.

    Raises:
        EvidenceError: If a table has a value that is no number where one must be.
    """
    found = []
    asked = [q for q in QUESTIONS if all(key in tables for key in q.tables)]
    with progress("judging claims", len(asked)) as advance:
        for question in asked:
            try:
                found += question.judge(tables)
                advance()
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                names = " or ".join(TABLES[key].file for key in question.tables)
                raise EvidenceError(
                    f"{folder}: {names} has a value that cannot be used ({error}). "
                    "Download it again"
                ) from None
    return found


def shipped_judgements() -> list[Judgement]:
    """The judgements that come with the package, made from all tables."""
    return [from_dict(values) for values in _shipped()["judgements"]]


def shipped_own() -> list[Judgement]:
    """The judgements by this project's own grids."""
    return [from_dict(values) for values in _shipped()["own"]]


def shipped_tables() -> dict[str, dict[str, int]]:
    """How many rows the tables had from which those judgements were made."""
    counted: dict[str, dict[str, int]] = _shipped()["tables"]
    return counted


def shipped_coverage() -> dict[str, Any]:
    """How often such intervals covered the truth in simulations."""
    simulated: dict[str, Any] = _shipped()["coverage"]
    return simulated


def _shipped() -> Any:
    text = files("axolotl_sftguide.evidence").joinpath("replayed.json").read_text()
    return parse_json(text)


def _names() -> str:
    return ", ".join(table.file for table in TABLES.values())


def _read(path: Path, table: Table) -> Rows:
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as lines:
                rows: Rows = list(csv.DictReader(lines))
        else:
            rows = _runs(parse_json(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, csv.Error) as error:
        reason = str(error).splitlines()[0]
        raise EvidenceError(
            f"{path}: is damaged ({reason}). Download it again from {table.address}"
        ) from None
    _require(path, table, rows)
    return rows


def _runs(content: Any) -> Rows:
    if not isinstance(content, Mapping) or not isinstance(content.get("runs"), list):
        raise ValueError("no list 'runs'")
    if not all(isinstance(run, Mapping) for run in content["runs"]):
        raise ValueError("an entry of 'runs' is not a mapping")
    return list(content["runs"])


def _require(path: Path, table: Table, rows: Rows) -> None:
    """Raise an error if there is no row, or one without a column."""
    missing = [c for c in table.columns if not rows or any(c not in r for r in rows)]
    if missing:
        raise EvidenceError(
            f"{path}: has no {_listed(missing)}. Its content is described at "
            f"{table.address}"
        )


def _listed(columns: Iterable[str]) -> str:
    names = [repr(column) for column in columns]
    plural = "columns " if len(names) > 1 else "column "
    return plural + ", ".join(names)
