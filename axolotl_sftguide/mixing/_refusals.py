"""When a mix is refused because of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from ..errors import MixError
from ..units import count
from ._faults import FAULTS, FaultCode
from ._spool import Spooled

_MOST_LINES = 20


def refuse_faults(
    labels: Sequence[str], spooled: Sequence[Spooled], on_error: Literal["fail", "skip"]
) -> None:
    """Refuse a mix with faulty rows, unless they are skipped, or without usable rows.

    Args:
        labels: For each piece, the label of its file.
        spooled: The pieces after the first pass.
        on_error: The setting `on_error`.

    Raises:
        MixError: With file, row and reason.
    """
    faulty = sum(sum(piece.faults.values()) for piece in spooled)
    if faulty and on_error == "fail":
        lines = [
            f"{_where(label, number)}: {fault}"
            for label, piece in zip(labels, spooled, strict=True)
            for number, fault in piece.first_faults
        ][:_MOST_LINES]
        more = [f"... and {count(faulty - len(lines))} more"]
        raise MixError(
            "\n".join(
                [
                    *lines,
                    *(more if faulty > len(lines) else []),
                    f"{_rows(faulty)} cannot be used. Fix {_them(faulty)}, or set "
                    f"on_error: skip to leave {_them(faulty)} out.",
                ]
            )
        )
    if not any(len(piece.ends) for piece in spooled):
        raise MixError("\n".join(_why_nothing(labels, spooled)))


def _why_nothing(labels: Sequence[str], spooled: Sequence[Spooled]) -> list[str]:
    """One line for each reason, with its count and its first row."""
    read = sum(piece.rows_read for piece in spooled)
    if not read:
        return ["Nothing to mix: the files contain no rows."]
    counts: Counter[FaultCode] = Counter()
    first: dict[FaultCode, str] = {}
    for label, piece in zip(labels, spooled, strict=True):
        counts.update(piece.faults)
        for number, fault in piece.first_faults:
            first.setdefault(fault.code, _where(label, number))
    lines = [f"Nothing to mix: none of {_rows(read)} can be used."]
    filtered = sum(piece.filtered for piece in spooled)
    if filtered:
        lines.append(f"{_rows(filtered)}: left out by where")
    for code, number in counts.most_common():
        lines.append(f"{_rows(number)}: {FAULTS[code]}; the first is {first[code]}")
    return lines


def _where(label: str, number: int) -> str:
    return f"{label}: row {number}" if number else label


def _rows(number: int) -> str:
    return f"{count(number)} row{'' if number == 1 else 's'}"


def _them(number: int) -> str:
    return "it" if number == 1 else "them"
