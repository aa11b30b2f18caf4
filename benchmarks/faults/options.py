"""Hostile values of each command's options and arguments."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import click
import mutate
from campaign import Campaign, Wrong
from command import PROJECT, sftguide
from histories import make_history

FILES = ("my.yml", "chats.jsonl", "base", "nowhere", "nowhere/x", ".", "", "runs.db")
COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("my.yml",),
    "plan": ("my.yml",),
    "new": ("--model", "base", "--data", "chats.jsonl", "--force", "-o", "new.yml"),
    "evidence": (),
    "mix": ("spec.yml", "-o", "mixes"),
    "report": ("-o", "report.html"),
    "next": ("latest",),
    "runs list": (),
    "runs show": ("latest",),
    "runs best": (),
    "runs compare": ("run-1", "run-2"),
    "runs import": ("base",),
    "runs tag": ("run-1", "b"),
    "recipes list": (),
    "recipes copy": ("quickstart-cpu", "copied"),
}
"""Commands that end by themselves, with arguments that are right."""
SLOW = {"--data", "--host", "--simulate", "--open", "--watch"}
"""Options that load a host, open a browser or wait."""
SPEC = "phases: [{name: a, datasets: [{path: chats.jsonl}]}]\n"


def _folder(folder: Path) -> dict[str, list[Any]]:
    quickstart = PROJECT / "recipes" / "quickstart"
    shutil.copytree(quickstart / "base", folder / "base")
    shutil.copy(quickstart / "skills.jsonl", folder / "chats.jsonl")
    recipe = (PROJECT / "recipes" / "quickstart-cpu.yml").read_text()
    (folder / "my.yml").write_text(recipe)
    (folder / "spec.yml").write_text(SPEC)
    storage, _, _ = make_history(folder)
    os.environ["SFTGUIDE_STORAGE"] = f"sqlite:///{storage}"
    return {name: list(_options(name)) for name in COMMANDS}


def _options(name: str) -> list[click.Option]:
    from axolotl_sftguide.cli import main

    command: Any = main
    with click.Context(main) as context:
        for word in name.split():
            command = command.get_command(context, word)
    own = [each for each in command.params if isinstance(each, click.Option)]
    return [each for each in own if not SLOW.intersection(each.opts)]


def _attempt(options: dict[str, list[click.Option]], rng: Random) -> None:
    name = rng.choice(sorted(options))
    words = [*name.split(), *COMMANDS[name]]
    for _ in range(rng.choice([1, 1, 2])):
        if not options[name] or rng.random() < 0.1:
            words.insert(rng.randint(1, len(words)), _value(rng))
            continue
        option = rng.choice(options[name])
        words.append(option.opts[-1])
        if not option.is_flag:
            words.append(_value(rng))
    said = sftguide(*words)
    if "Traceback" in said and not {"-v", "--verbose"}.intersection(words):
        raise Wrong(f"{name} prints a traceback")


def _value(rng: Random) -> str:
    """A text that leads to no file outside of the folder: an output may be there."""
    value = str(mutate.hostile(rng)).replace("\0", "")
    if rng.random() < 0.2 or value.startswith(("/", "~")) or ".." in value:
        return rng.choice(FILES)
    return value


CAMPAIGNS = (Campaign("options", "options of commands", 10_000, _folder, _attempt),)
