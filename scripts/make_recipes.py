"""The shipped recipes, written from a table by the code of `sftguide new`.

    python scripts/make_recipes.py [--check]

The table, `recipes_table.yml`, names a model, data and a card for each recipe, and
states the values that are a study's or were measured. `--check` writes nothing, and
ends with status 1 if a file differs from what would be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from axolotl_sftguide.authoring import (
    About,
    Authored,
    Choice,
    DataFacts,
    Request,
    SourceFacts,
    Stated,
    as_recipe,
    author,
    read_model,
)
from axolotl_sftguide.config.sizes import parse_size

HERE = Path(__file__).resolve().parent
TABLE = HERE / "recipes_table.yml"
RECIPES = HERE.parent / "recipes"
MEASURED = HERE.parent / "benchmarks" / "results" / "gpu_recipes.json"
Table = Mapping[str, Any]


def read_table() -> dict[str, Any]:
    """The table of recipes."""
    found: dict[str, Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return found


def texts(table: Table) -> Iterator[tuple[str, str]]:
    """The name and the text of each recipe."""
    for name in table["recipes"]:
        yield name, as_recipe(authored(table, name), about(table, name))


def authored(table: Table, name: str) -> Authored:
    """The config of a recipe."""
    entry = table["recipes"][name]
    card, data = table["cards"][entry["card"]], table["data"][entry["data"]]
    facts = facts_of(data)
    model = read_model(entry["model"], download=False)
    request = Request(
        entry["model"],
        [data["path"]],
        parse_size(card["memory"]),
        gpus=card["gpus"],
        name=name,
        stated=list(stated(table, name)),
    )
    made = author(request, model, facts)
    follows = {
        "steps_an_epoch": made.steps_an_epoch,
        "steps": made.steps,
        **{way: need.gib for way, need in made.others.items()},
    }
    for each in entry.get("set", ()):
        choice = made.choices.made[each["key"]]
        reason = choice.reason.format(**follows)
        derived = choice.derived.format(**follows)
        made.choices.add(replace(choice, reason=reason, derived=derived))
    return made


def facts_of(data: Table) -> DataFacts:
    """The facts of the data, of whose lengths only the mean is known."""
    rows = data["rows"]
    source = SourceFacts(data["path"], rows, forms=Counter(messages=rows))
    tokens = np.full(rows, float(data["mean_tokens"]))
    roles = Counter(user=rows, assistant=rows)
    return DataFacts([source], tokens, float(tokens.sum()) / 2, 0, roles)


def measured() -> Table:
    """What was measured of recipes on a GPU, by their names."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {row["recipe"]: {**row, "where": found["where"]} for row in found["rows"]}


def stated(table: Table, name: str) -> Iterator[Stated]:
    """What the table states, with the phases and the study of the recipe."""
    entry = table["recipes"][name]
    row = measured().get(name)
    if row is not None:
        why = f"sequences of {row['sequence_len']:,} tokens, as the memory was measured"
        yield Stated(Choice("micro_batch_size", row["micro_batch_size"], why, "fits"))
    for each in (*table["always"], *entry.get("set", ())):
        choice = Choice(
            each["key"],
            each["value"],
            each.get("why", ""),
            each["basis"],
            tuple(each.get("claims", ())),
            derived=each.get("derived", ""),
        )
        places = {key: each.get(key, "") for key in ("after", "instead_of")}
        yield Stated(choice, **places, decides=each.get("decides", True))
    yield Stated(Choice("sftguide.study", entry["study"], "", "convention"))
    data = table["data"][entry["data"]]
    comments: dict[str, str] = {}
    phases = plain(data["phases"], "", comments)
    why = data.get("why", "")
    key = "sftguide.mix.phases"
    yield Stated(Choice(key, phases, why, "given", comments=comments))


def plain(value: Any, path: str, comments: dict[str, str]) -> Any:
    """A value of the table without the reasons inside it, which are collected."""
    if isinstance(value, Mapping) and set(value) == {"value", "why"}:
        comments[path] = value["why"]
        return value["value"]
    at = f"{path}." if path else ""
    if isinstance(value, Mapping):
        return {k: plain(v, f"{at}{k}", comments) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v, f"{at}{i}", comments) for i, v in enumerate(value)]
    return value


def about(table: Table, name: str) -> About:
    """What the header of a recipe says."""
    entry = table["recipes"][name]
    row = measured().get(name)
    told = ""
    if row is not None:
        peak = max(each["reserved_gib"] for each in row["evaluations"])
        told = (
            f"{peak:.1f} reserved on an {row['where']} with "
            f"{row['attention'].upper()} (docs/memory.md). On a 24 GB card itself, "
            "memory and time are not measured"
        )
    card = table["cards"][entry["card"]]
    return About(
        entry["title"],
        entry["what"],
        table["data"][entry["data"]]["about"],
        table["models"][entry["model"]],
        card["about"],
        told,
        entry.get("steps", ""),
        card["search"],
        card.get("notes", ()),
    )


def main() -> None:
    """Write the files that differ, or name them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    differ = []
    for name, text in texts(read_table()):
        path = RECIPES / f"{name}.yml"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        differ.append(path.name)
        if not check:
            path.write_text(text, encoding="utf-8")
    print(f"{'differ' if check else 'wrote'}: {', '.join(differ) or 'none'}")
    sys.exit(bool(check and differ))


if __name__ == "__main__":
    main()
