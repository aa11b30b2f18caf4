"""The files of a dataset folder, as `datasets` finds them.

Those are the files of one split: by the `configs` of its README, or else by the names
of folders and files. Without any such name, all files are the split `train`.
"""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..config.json_text import parse_json
from ..errors import MixError, did_you_mean
from ._folder_names import names_in
from ._kinds import KINDS, kind_of, suffix_of

if TYPE_CHECKING:
    from ..config.mix_settings import SourceSettings

_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_BETWEEN = r"[-._ 0-9]"
_SHARD = re.compile(r"data/([^/]*)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_SAVED, _SAVED_SPLITS = "state.json", "dataset_dict.json"
_PLAIN_SPLIT = re.compile(r"[\w.]+")


def files_in_folder(
    settings: SourceSettings, folder: Path, notes: list[str], every_split: bool = False
) -> list[tuple[Path, str | None]]:
    """The files of a folder's split, with the kinds that their names do not tell.

    Args:
        settings: The settings of the source.
        folder: The folder.
        notes: Gets a line for each file or folder that is left out.
        every_split: Whether the files of all splits are meant.

    Raises:
        MixError: If the folder does not have the split.
    """
    split = settings.split or "train"
    saved = _saved(settings, folder, split)
    if saved is not None:
        return [(path, "arrow") for path in saved]
    names = names_in(folder, settings.path, notes)
    splits = _configured(folder, settings)
    if splits is None:
        if not names:
            raise MixError(
                f"{folder}: no dataset file in this folder ({', '.join(KINDS)})"
            )
        splits = splits_of(names)
    if every_split:
        return [(folder / name, None) for name in names]
    if split not in splits:
        hint = did_you_mean(split, splits)
        raise MixError(
            f"{settings.path}: has no split {split!r}, but {', '.join(splits)}{hint}; "
            "set split"
        )
    found = _of_one_kind(splits[split])
    others = {name for own in splits.values() for name in own} - {*splits[split]}
    _note_unread(settings.path, set(names) - others - {*found}, notes)
    return [(folder / name, None) for name in found]


def is_saved_by_datasets(folder: Path) -> bool:
    """Whether `save_to_disk` of `datasets` wrote a folder."""
    return (folder / _SAVED).is_file() or (folder / _SAVED_SPLITS).is_file()


def splits_of(names: Sequence[str]) -> dict[str, list[str]]:
    """The files of each split, by the names of folders and files.

    Args:
        names: The paths of the files, relative to their folder.
    """
    shards: dict[str, list[str]] = {}
    for name in names:
        if match := _SHARD.fullmatch(name):
            shards.setdefault(match[1], []).append(name)
    if shards:
        return shards
    for in_folder in (True, False):
        found = {
            split: [name for name in names if _is_of(name, words, in_folder)]
            for split, words in _KEYWORDS.items()
        }
        if any(found.values()):
            return {split: own for split, own in found.items() if own}
    return {"train": list(names)}


def _is_of(name: str, words: Sequence[str], in_folder: bool) -> bool:
    """Whether the folders of a file, or its own name, have one of the words."""
    path = PurePath(name)
    word = rf"(.*{_BETWEEN})?({'|'.join(words)})"
    if in_folder:
        pattern = re.compile(rf"{word}({_BETWEEN}.*)?", re.DOTALL)
        return any(pattern.fullmatch(part) for part in path.parts[:-1])
    return bool(re.fullmatch(rf"{word}{_BETWEEN}.*", path.name, re.DOTALL))


def _saved(settings: SourceSettings, folder: Path, split: str) -> list[Path] | None:
    """The Arrow files of a folder that `save_to_disk` wrote; None if it did not."""
    if not is_saved_by_datasets(folder):
        return None
    if not _PLAIN_SPLIT.fullmatch(split):
        raise MixError(
            f"{settings.path}: split {split!r}: a folder of save_to_disk has whole "
            "splits only; use max_rows to draw rows"
        )
    if (folder / _SAVED_SPLITS).is_file():
        saved = _read_json(folder / _SAVED_SPLITS)
        splits = [str(one) for one in _listed(saved.get("splits"))]
        if split not in splits:
            raise MixError(
                f"{settings.path}: has no split {split!r}, but {', '.join(splits)}; "
                "set split"
            )
        folder = folder / split
    state = _read_json(folder / _SAVED)
    given = _listed(state.get("_data_files"))
    names = [o.get("filename") if isinstance(o, Mapping) else None for o in given]
    # `save_to_disk` writes the names of files in the folder.
    if not all(isinstance(n, str) and n and "/" not in n for n in names):
        raise MixError(
            f"{folder / _SAVED}: _data_files is not a list of file names; save the "
            "dataset again with save_to_disk"
        )
    files = [folder / str(name) for name in names]
    missing = [file for file in files if not file.is_file()]
    if missing or state.get("_indices_files"):
        what = f"lacks {missing[0].name}" if missing else "has an index file"
        raise MixError(f"{folder}: {what}; save the dataset again with save_to_disk")
    return files


def _listed(value: Any) -> list[Any]:
    """A value if it is a list; else an empty list."""
    return value if isinstance(value, list) else []


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MixError(f"{path}: cannot be read ({error})") from None
    return value if isinstance(value, Mapping) else {}


def _configured(folder: Path, settings: SourceSettings) -> dict[str, list[str]] | None:
    """The files of each split by the README's `configs`; None without them."""
    from ..config.yaml_file import parse_yaml

    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
        header = re.match(r"\s*---\s*\n(.*?)\n---", text, re.DOTALL)
        card = parse_yaml(header[1]) if header else None
    except (OSError, ValueError):
        return None
    configs = card.get("configs") if isinstance(card, Mapping) else None
    configs = [c for c in _listed(configs) if isinstance(c, Mapping)]
    if not configs:
        return None
    config = _default(configs)
    if config is None:
        names = ", ".join(str(c.get("config_name")) for c in configs)
        raise MixError(
            f"{settings.path}: has several configurations; set name: {names}"
        )
    base = folder / str(config.get("data_dir") or "")
    given = config.get("data_files")
    if given is None:
        if base == folder:
            return None
        inside = base.relative_to(folder).as_posix()
        found = splits_of(names_in(base, settings.path, []))
        return {
            split: [f"{inside}/{name}" for name in own] for split, own in found.items()
        }
    if isinstance(given, Mapping) and "path" not in given:
        given = [{"split": split, "path": path} for split, path in given.items()]
    entries = given if isinstance(given, list) else [given]
    splits: dict[str, list[str]] = {}
    for entry in entries:
        own = entry if isinstance(entry, Mapping) else {"path": entry}
        paths = own.get("path")
        for pattern in paths if isinstance(paths, list) else [paths]:
            wanted = f"{glob.escape(str(base))}/{pattern}"
            matches = _inside(folder, wanted)
            if not matches:
                raise MixError(f"{folder}/README.md: {pattern} matches no file")
            splits.setdefault(str(own.get("split", "train")), []).extend(matches)
    return splits


def _inside(folder: Path, pattern: str) -> list[str]:
    """The files of a pattern by their paths in a folder.

    Raises:
        MixError: If one is outside of it, by its path: what is linked is inside.
    """
    found = []
    for match in sorted(glob.glob(pattern, recursive=True)):
        if os.path.isfile(match):
            name = os.path.relpath(match, folder)
            if name.startswith(os.pardir):
                raise MixError(f"{folder}/README.md: names a file outside the folder")
            found.append(Path(name).as_posix())
    return found


def _default(configs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    if len(configs) == 1:
        return configs[0]
    for config in configs:
        if config.get("default") or config.get("config_name") == "default":
            return config
    return None


def _of_one_kind(names: Sequence[str]) -> list[str]:
    """The files of the most frequent ending; `datasets` reads one kind at a time."""
    counts = Counter(suffix_of(Path(name)) for name in names)
    order = [".parquet", ".jsonl", ".json", ".csv"]
    known = {s: n for s, n in counts.items() if s in KINDS}
    if not known:
        return list(names)
    best = max(
        known, key=lambda s: (known[s], -order.index(s) if s in order else -9, s)
    )
    kind = KINDS[best]
    return [name for name in names if kind_of(Path(name)) in (kind, None)]


def _note_unread(label: str, names: set[str], notes: list[str]) -> None:
    if names:
        shown = ", ".join(sorted(names)[:3]) + (" ..." if len(names) > 3 else "")
        notes.append(
            f"{label}: not read, as it is in no split or of another kind of file: "
            f"{shown}; list it as a dataset to read it"
        )
