"""The command line: `sftguide ...`, also available as `axolotl sftguide ...`.

Axolotl prints its logo to stdout before it loads a plugin's command. It is moved to
stderr while a pipe or a file still buffers it. With PYTHONUNBUFFERED nothing is
buffered, so programs that read our output call `sftguide`.

Command bodies import late: `sftguide --help` loads neither torch nor the run history.
"""

from __future__ import annotations

import os
import traceback
from typing import Any

import click

from .. import __version__
from ..errors import SFTGuideError
from ..safe_text import shown
from .backtest import backtest
from .check import check
from .common import (
    buffered_stdout_to_stderr,
    echo,
    give_common_options,
    is_verbose,
    warnings_shown,
)
from .completion import complete_names
from .evidence import evidence
from .explain import explain
from .mix import mix
from .new import new
from .next import next_run
from .plan import plan
from .quickstart import quickstart
from .recipes import recipes
from .report import report
from .runs import runs
from .sweep import sweep


class _UserError(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Lists commands in the order of their use, and turns errors into short messages.

    An `SFTGuideError` is something the user can fix, and so is a file that cannot be
    read or written: the text is printed without a traceback, unless -v asks for it, and
    the exit status is 2.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):
            ctx.color = False  # subcommands inherit it; https://no-color.org
        try:
            with warnings_shown():
                return super().invoke(ctx)
        except KeyboardInterrupt:  # click would exit with 1, which is a negative answer
            echo("\ninterrupted", err=True)
            raise click.exceptions.Exit(130) from None
        except (SFTGuideError, OSError, UnicodeEncodeError) as error:
            text = _text_of(error)
            if text is None:
                raise
            if is_verbose():
                echo("".join(traceback.format_exception(error)), err=True)
            raise _UserError(shown(text)) from None
        except click.ClickException as error:
            # Its exit status and usage stay, its text may quote a run's name.
            error.message = shown(error.message)  # type: ignore[misc]
            raise


def _text_of(error: Exception) -> str | None:
    """What the user can do about an error; None for one that click handles."""
    if isinstance(error, UnicodeEncodeError):
        return (
            "an argument has bytes that are not UTF-8; write it with other characters, "
            "or rename the file"
        )
    if not isinstance(error, OSError):
        return str(error)
    if error.filename is None:  # a closed pipe, say
        return None
    name, why = os.fspath(error.filename), error.strerror or error
    return f"{name}: cannot be read or written ({why})"


@click.group(
    cls=_Group,
    name="sftguide",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", package_name="axolotl-sftguide")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Check, plan, run and compare supervised fine-tuning with Axolotl and TRL."""
    if ctx.parent is not None:
        buffered_stdout_to_stderr()


_COMMANDS = {
    quickstart: "Train a tiny model on the CPU and show its scores and curves.",
    new: "Write a config for your data, model and card, with its reasons.",
    recipes: "List, show and copy the shipped recipes.",
    mix: "Build one dataset from phases, or verify one.",
    check: "Check an Axolotl config against published evidence.",
    explain: "Tell what a finding of `check` is about.",
    evidence: "Show published claims; judge them again from public tables.",
    plan: "Estimate memory, micro batch and time for a config.",
    runs: "List, show, compare, score and import your runs.",
    next_run: "Recommend what to change after a run.",
    report: "Write one page with charts of your runs.",
    sweep: "Train a recipe with different values; stop hopeless trials.",
    backtest: "Replay stopping rules on your finished runs.",
}
"""In the order of their use, with the line that `sftguide --help` shows."""

for _command, _line in _COMMANDS.items():
    _command.short_help = _line
    main.add_command(_command)
give_common_options(main)
complete_names(main)
