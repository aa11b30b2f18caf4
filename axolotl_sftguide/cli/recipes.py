"""`sftguide recipes`: the shipped recipes."""

from __future__ import annotations

from pathlib import Path

import click

from .common import answer, note


@click.group()
def recipes() -> None:
    """List, show and copy the shipped recipes."""


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes and what each is for."""
    from rich.markup import escape
    from rich.table import Table

    from ..recipes import shipped_recipes
    from .common import wants_json
    from .tables import console

    if wants_json():
        answer([{"name": r.name, "summary": r.summary} for r in shipped_recipes()])
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for recipe in shipped_recipes():
        table.add_row(escape(recipe.name), escape(recipe.summary))
    console().print(table)


@recipes.command("show")
@click.argument("name")
def show_recipe(name: str) -> None:
    """Print a recipe with the reason for each number."""
    from ..recipes import find_recipe

    recipe = find_recipe(name)
    answer({"name": recipe.name, "text": recipe.text}, recipe.text.rstrip("\n"))


@recipes.command("copy")
@click.argument("name")
@click.argument("dest", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--force", is_flag=True, help="Overwrite files that differ from the recipe."
)
def copy_recipe(name: str, dest: Path, force: bool) -> None:
    """Copy a recipe, with the model and data it needs.

    The files go to DEST/recipes; DEST is the working folder by default.
    """
    from ..recipes import find_recipe

    recipe = find_recipe(name)
    written = recipe.copy_to(dest, overwrite=force)
    there = dest / recipe.relative_path
    values = {"recipe": str(there), "files": [str(path) for path in written]}
    answer(values, f"{len(written)} files written; recipe: {there}")
    step = "" if dest.resolve() == Path.cwd() else f"cd {dest} && "
    note(f"next: {step}axolotl train {recipe.relative_path}")
