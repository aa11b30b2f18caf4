"""When a mix is refused because of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from ..config.mix_settings import MixSettings
from ..errors import MixError
from ..units import count
from ._column_names import (
    is_answer,
    is_media,
    is_reasoning,
    is_system,
    may_have_tools,
    squashed,
)
from ._faults import FAULTS, FaultCode, RowFault
from ._names import PREFERENCE
from ._spool import Spooled
from ._where import WhereSeen

_MOST_LINES = 20
_ROWS_NAMED = 3


def refuse_sources(
    settings: MixSettings, labels: Sequence[str], spooled: Sequence[Spooled]
) -> None:
    """Refuse what `on_error: skip` does not leave out: files and settings.

    Args:
        settings: The settings of the mix.
        labels: For each piece, the label of its file.
        spooled: The pieces after the first pass.

    Raises:
        MixError: If a file cannot be read to its end, text would be lost, or a `where`
            cannot match; one line for each.
    """
    lines = [
        broken_file(label, piece.rows_read - 1, piece.broken)
        for label, piece in zip(labels, spooled, strict=True)
        if piece.broken is not None
    ]
    for index, source in enumerate(settings.sources):
        own = [piece for piece in spooled if piece.piece.source == index]
        names = dict.fromkeys(
            label
            for label, piece in zip(labels, spooled, strict=True)
            if piece.piece.source == index and piece.unread
        )
        lines += [f"{', '.join(names)}: {line}" for line in unread_lines(own)]
        seen = WhereSeen()
        for piece in own:
            seen.add(piece.where)
        lines += [f"{source.path}: {problem}" for problem in seen.unknown(source)]
        if source.where:
            problems = seen.problems(source.where)
            filtered = sum(piece.filtered for piece in own)
            if not problems and filtered and filtered == seen.rows:
                problems = [f"where: none of {rows(filtered)} matches"]
            lines += [f"{source.path}: {problem}" for problem in problems]
    if lines:
        raise MixError("\n".join(lines))


def refuse_faults(
    labels: Sequence[str], spooled: Sequence[Spooled], on_error: Literal["fail", "skip"]
) -> None:
    """Refuse a mix with faulty rows, unless they are skipped, or without usable rows.

    Args:
        labels: For each piece, the label of its file.
        spooled: The pieces after the first pass.
        on_error: The setting `on_error`.

    Raises:
        MixError: With file, row and reason, one line for each reason in each file.
    """
    faulty = sum(sum(piece.faults.values()) for piece in spooled)
    if faulty and on_error == "fail":
        lines = fault_lines(labels, spooled)
        more = [f"... and {count(len(lines) - _MOST_LINES)} more lines"]
        raise MixError(
            "\n".join(
                [
                    *lines[:_MOST_LINES],
                    *(more if len(lines) > _MOST_LINES else []),
                    f"{rows(faulty)} cannot be used. Fix {_them(faulty)}, or set "
                    f"on_error: skip to leave {_them(faulty)} out.",
                ]
            )
        )
    if not any(len(piece.ends) for piece in spooled):
        raise MixError("\n".join(_why_nothing(labels, spooled)))


def fault_lines(labels: Sequence[str], spooled: Sequence[Spooled]) -> list[str]:
    """One line for each reason in each file, with the first rows."""
    numbers: dict[tuple[str, FaultCode], list[int]] = {}
    first: dict[tuple[str, FaultCode], RowFault] = {}
    counts: Counter[tuple[str, FaultCode]] = Counter()
    for label, piece in zip(labels, spooled, strict=True):
        for code, number in piece.faults.items():
            counts[label, code] += number
        for number, fault in piece.first_faults:
            first.setdefault((label, fault.code), fault)
            numbers.setdefault((label, fault.code), []).append(number)
    return [
        f"{label}: {_numbered(numbers[label, code], counts[label, code])}: {fault}"
        for (label, code), fault in first.items()
    ]


def broken_file(label: str, read: int, fault: RowFault) -> str:
    """The line about a file that cannot be read to its end."""
    return (
        f"{label}: {fault}, after {rows(read)}. Repair or remove it: on_error: skip "
        "leaves out rows, and would lose the rest of the file"
    )


def unread_lines(pieces: Iterable[Spooled]) -> list[str]:
    """One line for the columns, and one for the keys of messages, that are not read."""
    unread: Counter[tuple[str, str]] = Counter()
    for piece in pieces:
        unread.update(piece.unread)
    lines = []
    for kind, where in (("column", "column"), ("key", "message key")):
        names = sorted(name for own, name in unread if own == kind)
        if names:
            number = max(unread[kind, name] for name in names)
            plural = "s" if len(names) > 1 else ""
            lines.append(
                f"{rows(number)} with content in the {where}{plural} "
                f"{_listed(names)}, which the mix would lose. {_remedy(kind, names)}"
            )
    return lines


def _remedy(kind: str, names: Sequence[str]) -> str:
    ignore = f"leave out with ignore: [{', '.join(names)}]"
    lower = {name.lower() for name in names}
    one = names[0] if len(names) == 1 else None
    if kind == "key":
        return f"Map with message_property_mappings, or {ignore}"
    if lower.intersection(PREFERENCE):
        return (
            "Train on the chosen side with field_messages: chosen (or field_output: "
            f"chosen), or {ignore}"
        )
    if any(map(is_media, names)):
        return f"A mix contains text only; {ignore} to train on the text alone"
    if one is not None and squashed(one) in ("label", "ktotag"):
        return f"Keep the good answers with where: {{{one}: true}}, or {ignore}"
    if one is not None and is_system(one):
        return f"Set field_system: {one}, or {ignore}"
    if one is not None and is_reasoning(one):
        return f"Set field_thinking: {one} to train on it as reasoning, or {ignore}"
    if one is not None and is_answer(one):
        return f"Train on it with field_output: {one}, or {ignore}"
    if one is not None and may_have_tools(one) and "call" not in squashed(one):
        return f"Set field_tools: {one}, or {ignore}"
    use = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    return f"Append to the question with field_input: {use}, or {ignore}"


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
            first.setdefault(fault.code, f"{label}: row {number}")
    lines = [f"Nothing to mix: none of {rows(read)} can be used."]
    filtered = sum(piece.filtered for piece in spooled)
    if filtered:
        lines.append(f"{rows(filtered)}: left out by the filter 'where'")
    for code, number in counts.most_common():
        lines.append(f"{rows(number)}: {FAULTS[code]}; the first is {first[code]}")
    return lines


def rows(number: int) -> str:
    """A number of rows, such as `1 row`."""
    return f"{count(number)} row{'' if number == 1 else 's'}"


def _numbered(numbers: Sequence[int], whole: int) -> str:
    if whole == 1:
        return f"row {numbers[0]}"
    named = [str(number) for number in numbers[:_ROWS_NAMED]]
    rest = whole - len(named)
    if rest:
        return f"rows {', '.join(named)} and {count(rest)} more"
    return f"rows {', '.join(named[:-1])} and {named[-1]}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _them(number: int) -> str:
    return "it" if number == 1 else "them"
