"""The command line: `sftguide ...`, and the same group as `axolotl sftguide ...`.

Bodies import late: `sftguide --help` loads neither torch nor the run history.
"""

from __future__ import annotations

from typing import Any

import click

from .. import __version__
from ..errors import SFTGuideError
from .backtest import backtest
from .check import check
from .mix import mix
from .plan import plan
from .recipes import recipes
from .runs import runs
from .sweep import sweep


class _Mendable(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Shows an error that the user can mend as its own lines, with exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SFTGuideError as error:
            raise _Mendable(str(error)) from None


@click.group(cls=_Group, name="sftguide")
@click.version_option(__version__, package_name="axolotl-sftguide")
def main() -> None:
    """A guide for supervised fine-tuning: recipes, and the history of your runs."""


main.add_command(backtest)
main.add_command(check)
main.add_command(mix)
main.add_command(plan)
main.add_command(recipes)
main.add_command(runs)
main.add_command(sweep)
