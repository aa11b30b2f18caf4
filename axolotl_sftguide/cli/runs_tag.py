"""`sftguide runs tag`: words that a user gives to runs, to find them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from .common import answer
from .history import require, storage_option

if TYPE_CHECKING:
    from ..runs.history import Run

_LONGEST = 60

tag_option: Callable[..., Any] = click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    help="Only runs with this tag; of several, with all of them.",
)


@click.command()
@click.argument("run")
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("--remove", is_flag=True, help="Remove these tags; without TAG, all.")
@click.option("--study", help="Study in which RUN is looked up.")
@storage_option
def tag(
    run: str,
    tags: tuple[str, ...],
    remove: bool,
    study: str | None,
    storage: str | None,
) -> None:
    """Add tags to a run, remove them, or print them.

    RUN is its id, the start of its id, its name, or `latest`. Without TAG, its tags are
    printed. Tags are written to the history and to the run's trace; `sftguide runs list
    --tag TAG` finds runs by them.
    """
    history = require(storage)
    found = history.get(run, study=study)
    given, kept = [_checked(text) for text in tags], list(found.tags)
    if remove:
        _require_all(found, given)
        kept = [one for one in kept if given and one not in given]
    else:
        kept = sorted({*kept, *given})
    if kept != list(found.tags):
        history.tag(found, kept)
    line = f"{found.id} {found.name}: {', '.join(kept) or 'no tags'}"
    answer({"id": found.id, "name": found.name, "tags": kept}, line)


def tagged(runs: Sequence[Run], tags: Sequence[str]) -> list[Run]:
    """The runs that have all of the tags."""
    return [run for run in runs if set(tags) <= set(run.tags)]


def _checked(text: str) -> str:
    tag = text.strip()
    if not tag or "," in tag or len(tag) > _LONGEST or not tag.isprintable():
        raise click.BadParameter(
            f"{text!r} cannot be a tag; a tag has 1 to {_LONGEST} characters on one "
            "line, without a comma",
            param_hint="TAG",
        )
    return tag


def _require_all(run: Run, tags: Sequence[str]) -> None:
    unknown = [tag for tag in tags if tag not in run.tags]
    if unknown:
        raise click.BadParameter(
            f"{run.id} has no tag {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(run.tags) or 'none'}",
            param_hint="TAG",
        )
