"""How the lengths of rows look in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..config.yaml_file import read_config
from ..units import count

_BAR = 40


def lines_of(
    lengths: Mapping[str, Any], sequence_len: int | None, what: str
) -> Iterator[str]:
    """A summary, a histogram, and the rows that are longer than `sequence_len`.

    Args:
        lengths: The lengths, see `mixing/_lengths.py`.
        sequence_len: The longest row that is trained on whole, if known.
        what: Which rows these are, such as `Rows`.
    """
    from ..mixing import longer_than
    from .mix_tables import rows

    yield (
        f"{what}: median {count(lengths['median'])} tokens, 90% up to "
        f"{count(lengths['p90'])}, 99% up to {count(lengths['p99'])}, longest "
        f"{count(lengths['longest'])}"
    )
    most = max(lengths["up_to"].values())
    for edge, number in lengths["up_to"].items():
        bar = "#" * max(1, round(_BAR * number / most))
        yield f"  up to {count(int(edge)):>7} {count(number):>9} {bar}"
    if sequence_len is None:
        return
    number, exact = longer_than(lengths, sequence_len)
    share = f" ({number / lengths['rows']:.1%})" if number else ""
    yield (
        f"  {'' if exact else 'at most '}{rows(number)}{share} longer than "
        f"sequence_len {count(sequence_len)}"
    )


def sequence_len_of(spec: Path) -> int | None:
    """`sequence_len` of a spec that is an Axolotl config."""
    value = read_config(spec).get("sequence_len")
    return value if isinstance(value, int) and value > 0 else None
