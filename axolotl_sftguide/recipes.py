"""The shipped recipes: found, shown and copied, from a wheel or a checkout."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import RecipeError, did_you_mean

_BRINGS = re.compile(r"^# brings: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """One recipe: a YAML file for Axolotl and the files that it needs."""

    path: Path

    @property
    def name(self) -> str:
        """The name by which it is shown and copied."""
        return self.path.stem

    @property
    def text(self) -> str:
        """The YAML with its comments."""
        return self.path.read_text(encoding="utf-8")

    @property
    def summary(self) -> str:
        """The first line of its header."""
        return self.text.partition("\n")[0].lstrip("# ").strip()

    @property
    def relative_path(self) -> Path:
        """Its path relative to the folder it is copied to."""
        return Path("recipes") / self.path.name

    def copy_to(self, dest: Path, *, overwrite: bool = False) -> list[Path]:
        """Copy it and the files it needs to `dest/recipes`, with the same paths.

        Identical files that already exist are not written.

        Returns:
            The files that were written.

        Raises:
            RecipeError: If different files exist already, or a file cannot be written.
        """
        root = self.path.parent
        pairs = [(f, dest / "recipes" / f.relative_to(root)) for f in self._files()]
        wanted = [(f, t) for f, t in pairs if not (t.is_file() and _same(f, t))]
        standing = [str(target) for _, target in wanted if target.exists()]
        if standing and not overwrite:
            raise RecipeError(
                f"{', '.join(standing[:3])}: already exists with different content. "
                "Copy to another folder, or overwrite with --force"
            )
        try:
            for source, target in wanted:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        except OSError as error:
            raise RecipeError(
                f"{error.filename or dest}: cannot be written ({error.strerror})"
            ) from None
        return [target for _, target in wanted]

    def _files(self) -> Iterator[Path]:
        yield self.path
        for line in _BRINGS.findall(self.text):
            for name in line.split(","):
                brought = self.path.parent / name.strip()
                found = sorted(brought.rglob("*")) if brought.is_dir() else [brought]
                yield from (
                    f for f in found if f.is_file() and "__pycache__" not in f.parts
                )


def shipped_recipes() -> list[Recipe]:
    """All recipes, by name."""
    return [Recipe(path) for path in sorted(_folder().glob("*.yml"))]


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: If there is none; the message names the nearest one.
    """
    known = {recipe.name: recipe for recipe in shipped_recipes()}
    wanted = name.removesuffix(".yml").removesuffix(".yaml")
    if wanted not in known:
        raise RecipeError(
            f"no recipe is named {name!r}{did_you_mean(wanted, known)}"
            f" (available: {', '.join(known)})"
        )
    return known[wanted]


def _folder() -> Path:
    package = Path(__file__).parent
    shipped = package / "_shipped" / "recipes"
    return shipped if shipped.is_dir() else package.parent / "recipes"


def _same(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)
