"""Half-written and hostile dataset folders and cards, and held-out questions."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import mutate
import yaml
from campaign import Campaign, Wrong
from data_files import as_text, rows_of_each_form

TRIES = 10_000

_CARD = """\
---
license: mit
configs:
  - config_name: default
    default: true
    data_files:
      - {split: train, path: data/train-*.jsonl}
      - {split: test, path: [data/test.jsonl]}
  - config_name: other
    data_dir: other
---
# A dataset
"""
_STATE = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train"}
_SPLITS = {"splits": ["train", "test"]}


def _folder(folder: Path) -> Path:
    (folder / "outside.jsonl").write_text('{"messages": []}\n')
    return folder


def _folders(root: Path, rng: Random) -> None:
    folder = root / "data-set"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    rows = "\n".join(map(as_text, rows_of_each_form()[4])) + "\n"
    for name in ("data/train-0.jsonl", "data/test.jsonl", "valid.jsonl"):
        (folder / name).write_text(rows)
    kind = rng.randrange(5)
    if kind < 2:
        (folder / "README.md").write_bytes(mutate.data(_CARD.encode(), rng))
    elif kind == 2:
        card = mutate.tree(yaml.safe_load(_CARD.split("---")[1]), rng)
        try:
            text = yaml.safe_dump(card)
        except (yaml.YAMLError, RecursionError):
            text = "configs: " + "[" * 2000
        readme = f"---\n{text}---\n".encode("utf-8", "surrogatepass")
        (folder / "README.md").write_bytes(readme)
    elif kind == 3:
        state = as_text(mutate.tree(_STATE, rng)).encode("utf-8", "surrogatepass")
        (folder / "state.json").write_bytes(state)
    else:
        splits = as_text(mutate.tree(_SPLITS, rng)).encode("utf-8", "surrogatepass")
        (folder / "dataset_dict.json").write_bytes(splits)
    keys = rng.choice(
        [{}, {"split": "test"}, {"name": "other"}, {"data_files": "data/*"}]
    )
    if rng.random() < 0.1:
        keys = {
            "data_files": rng.choice(["../outside.jsonl", "/etc/passwd", "*/../../o*"])
        }
    from axolotl_sftguide.config.mix_settings import SourceSettings
    from axolotl_sftguide.mixing import scan

    for row in scan(SourceSettings(path="data-set", **keys), root):
        if "outside" in row.place or "passwd" in row.place:
            raise Wrong(f"a file outside the folder is read: {row.place}")


def _questions(_: Path, rng: Random) -> None:
    """The held-out questions of `sftguide.score`."""
    rows = [{"messages": row["messages"][:2]} for row in rows_of_each_form()[0]]
    content = "\n".join(map(as_text, mutate.tree(rows, rng)))
    data = content.encode("utf-8", "surrogatepass")
    Path("q.jsonl").write_bytes(mutate.data(data, rng) if rng.random() < 0.5 else data)
    from axolotl_sftguide.monitor.scoring import load_questions

    for question in load_questions("q.jsonl"):
        if not all(isinstance(turn, dict) for turn in question.messages):
            raise Wrong("a turn of a question is no mapping")


def _campaign(what: str, prepare: Any, attempt: Any, tries: int = TRIES) -> Campaign:
    return Campaign("data_folders", what, tries, prepare, attempt)


CAMPAIGNS = (
    _campaign("data: folders and cards", _folder, _folders),
    _campaign("held-out questions", lambda folder: folder, _questions),
)
