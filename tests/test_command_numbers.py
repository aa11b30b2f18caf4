"""Numbers on the command line: what cannot be computed with is refused in one line."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from axolotl_sftguide.cli import main
from axolotl_sftguide.cli.memory_size import MemorySize
from axolotl_sftguide.cli.numbers import Number, WholeNumber


def numeric_options(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    """Each command's options with a number or a size, with the command's words."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from numeric_options(below, (*path, name))
    kinds = (MemorySize, type(click.INT), type(click.FLOAT))
    for option in command.params:
        if isinstance(option, click.Option) and isinstance(option.type, kinds):
            yield path, option


OPTIONS = list(numeric_options())
EACH = pytest.mark.parametrize(
    ("words", "option"), OPTIONS, ids=[f"{p[-1]} {o.opts[-1]}" for p, o in OPTIONS]
)


def test_there_are_options_of_each_kind() -> None:
    kinds = {type(option.type) for _, option in OPTIONS}
    assert kinds == {Number, WholeNumber, MemorySize}


@EACH
@pytest.mark.parametrize(
    "value", ["9" * 400, "9" * 5000, "nan", "inf", "-inf", "1e400", "", "many"]
)
def test_what_no_program_can_compute_with_is_refused_in_one_line(
    value: str, words: tuple[str, ...], option: click.Option
) -> None:
    done = CliRunner().invoke(main, [*words, option.opts[-1], value])
    assert done.exit_code == 2
    error = done.stderr.partition("Error: ")[2]
    assert error.startswith(f"Invalid value for '{option.opts[-1]}'")
    assert len(error.splitlines()) == 1
    assert len(error) < 200
