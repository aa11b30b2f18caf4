"""Shell completion of the names of runs, studies, recipes, findings and claims.

click writes the scripts for bash, zsh and fish; docs/command-line.md says how to load
them. A name that cannot be looked up is not offered, and nothing is created.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from ..runs.history import RunHistory

Names = Callable[[click.Context], Iterable[str]]


def complete_names(command: click.Command, path: tuple[str, ...] = ()) -> None:
    """Set the completions of a command's parameters, and of all its subcommands."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            complete_names(below, (*path, name))
        return
    for param in command.params:
        names = _NAMES.get((" ".join(path), param.name)) or _ANYWHERE.get(param.name)
        if names is not None:
            # An attribute of this parameter, in place of its class's method.
            setattr(param, "shell_complete", _offering(names))  # noqa: B010


def _offering(
    names: Names,
) -> Callable[[click.Context, str], list[CompletionItem]]:
    def shell_complete(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        try:
            found = [name for name in names(ctx) if name.startswith(incomplete)]
        except Exception:
            return []  # a shell has no place for an error
        # A shell puts the name into the command line as it is: `$(...)` would be run.
        plain = [name for name in dict.fromkeys(found) if shlex.quote(name) == name]
        return [CompletionItem(name) for name in plain]

    return shell_complete


def _runs(ctx: click.Context) -> Iterable[str]:
    history = _history(ctx)
    newest = [] if history is None else history.names()
    return [name for _, name in newest] + ["latest"] + [run_id for run_id, _ in newest]


def _studies(ctx: click.Context) -> Iterable[str]:
    history = _history(ctx)
    return [] if history is None else history.studies()


def _metrics(ctx: click.Context) -> Iterable[str]:
    history = _history(ctx)
    return [] if history is None else history.metrics()


def _history(ctx: click.Context) -> RunHistory | None:
    from .history import open_existing

    return open_existing(ctx.params.get("storage"))


def _recipes(_: click.Context) -> Iterable[str]:
    from ..recipes import shipped_recipes

    return [recipe.name for recipe in shipped_recipes()]


def _findings(_: click.Context) -> Iterable[str]:
    from ..advice import RULES

    return sorted(RULES)


def _claims(_: click.Context) -> Iterable[str]:
    from ..evidence import CLAIMS

    return sorted(CLAIMS)


_NAMES: dict[tuple[str, str | None], Names] = {
    ("runs show", "run"): _runs,
    ("runs watch", "run"): _runs,
    ("runs score", "run"): _runs,
    ("runs rename", "run"): _runs,
    ("runs compare", "names"): _runs,
    ("runs delete", "names"): _runs,
    ("next", "run"): _runs,
    ("report", "runs"): _runs,
    ("recipes show", "name"): _recipes,
    ("recipes copy", "name"): _recipes,
    ("explain", "finding_id"): _findings,
    ("evidence", "key"): _claims,
}
_ANYWHERE: dict[str | None, Names] = {"study": _studies, "metric": _metrics}
