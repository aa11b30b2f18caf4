"""The files of a mix: found, read once and divided into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.mix_settings import MixSettings, SourceSettings
from ..errors import MixError
from ._files import FoundFile, files_at
from ._hub import files_by_name, is_loaded_by_name
from ._pieces import InputFile, Piece, divide
from ._tokens import tokenizer_at
from ._workers import Workers


@dataclass(frozen=True)
class Inputs:
    """All files of a mix."""

    files: Sequence[InputFile]
    """The files of the sources, source after source."""
    excluded: Sequence[InputFile]
    """The files whose rows must not be trained on."""
    notes: Sequence[str] = field(default_factory=list)
    """One line for each file or folder that is left out."""
    tokenizer: str | None = None
    """The folder or the name of the tokenizer that counts."""

    @property
    def pieces(self) -> list[tuple[Piece, str]]:
        """The pieces of the sources, each with the label of its file."""
        return [(piece, file.label) for file in self.files for piece in file.pieces]


def open_sources(settings: MixSettings, root: Path, pool: Workers) -> Inputs:
    """Find all files and read each of them once.

    Args:
        settings: The settings of the mix.
        root: The folder that relative paths start from.
        pool: The workers that read.

    Raises:
        MixError: If files are missing or cannot be read, with one line for each.
    """
    sources = settings.sources
    excluded = [SourceSettings(path=path) for path in settings.exclude]
    problems: list[str] = []
    notes: list[str] = []
    tasks: list[tuple[FoundFile, int, str, str | None]] = []
    for index, source in enumerate([*sources, *excluded]):
        try:
            tasks += [
                (file, index, file.label or _label(file.path, root), source.ds_type)
                for file in _find(source, root, notes, index >= len(sources))
            ]
        except MixError as error:
            problems.append(str(error))
    if problems:
        raise MixError("\n".join(problems))
    files = _divided(tasks, pool)
    return Inputs(
        [file for file in files if file.source < len(sources)],
        [file for file in files if file.source >= len(sources)],
        notes,
        None if settings.tokenizer is None else tokenizer_at(settings.tokenizer, root),
    )


def _divided(tasks: Sequence[tuple[Any, ...]], pool: Workers) -> list[InputFile]:
    found, problems = [], []
    for file in pool.map(_divide, tasks):
        if isinstance(file, str):
            problems.append(file)
        else:
            found.append(file)
    if problems:
        raise MixError("\n".join(problems))
    return found


def _divide(*task: Any) -> InputFile | str:
    """The file, or why it cannot be read, so that all are reported together."""
    try:
        return divide(*task)
    except MixError as error:
        return str(error)


def find_files(source: SourceSettings, root: Path) -> list[FoundFile]:
    """The files of a source.

    Raises:
        MixError: If there are none.
    """
    return _find(source, root, [], False)


def _find(
    source: SourceSettings, root: Path, notes: list[str], every_split: bool
) -> list[FoundFile]:
    try:
        path = root / Path(source.path).expanduser()
        if is_loaded_by_name(source, path):
            return files_by_name(source, path)
        return files_at(source, root, notes, every_split)
    except (OSError, RuntimeError) as error:  # too long a name, or no such user's home
        why = getattr(error, "strerror", None) or error
        raise MixError(f"{source.path:.80}: cannot be read ({why})") from None


def _label(path: Path, root: Path) -> str:
    """A file's name, relative to the root if it lies below it."""
    whole = path.resolve()
    return (
        whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(path)
    )
