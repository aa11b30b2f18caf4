"""Keys that Axolotl or the plugin does not accept."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.axolotl_keys import OF_DATASETS, OF_PLUGINS, TOP_LEVEL
from ..config.settings import BLOCK, load_settings, misspelt_block
from ..errors import SettingsError, nearest_hint
from ._finding import Finding, Weight
from ._view import View

WRONG, NOTE = Weight.WRONG, Weight.NOTE

_FOREIGN = ("axolotl.integrations", "axolotl_sftguide")


def unknown_keys(view: View) -> Iterator[Finding]:
    """Keys that Axolotl drops."""
    known = TOP_LEVEL | OF_PLUGINS | {BLOCK}
    plugins = view.get("plugins", [])
    foreign = [p for p in plugins if isinstance(p, str) and not p.startswith(_FOREIGN)]
    misspelt = misspelt_block(view.config)
    for key in view.config:
        if key in known or key == misspelt:
            continue
        if foreign:
            yield Finding(
                NOTE,
                key,
                view.config[key],
                f"{key} is not an Axolotl key and may belong to {foreign[0]}",
                "Axolotl drops it silently if that plugin does not define it",
                "Look it up in the plugin's documentation",
            )
            continue
        hint = nearest_hint(key, known)
        yield Finding(
            WRONG,
            key,
            view.config[key],
            f"{key} is not an Axolotl key",
            "Axolotl drops it silently",
            hint or "Remove it",
        )
    for path, entry in view.sources:
        for key in entry:
            if key not in OF_DATASETS:
                hint = nearest_hint(key, OF_DATASETS)
                yield Finding(
                    WRONG,
                    f"{path}.{key}",
                    entry[key],
                    f"{key} is not a key of a dataset",
                    "Axolotl drops it silently",
                    "Use sftguide.mix for shares and repeats"
                    if key in ("weight", "share", "repeats", "ratio")
                    else hint or "Remove it",
                )


def own_block(view: View) -> Iterator[Finding]:
    """The `sftguide:` block: wrong, misspelt, or without its plugin."""
    misspelt = misspelt_block(view.config)
    if misspelt is not None:
        yield Finding(
            WRONG,
            misspelt,
            None,
            f"{misspelt} is not an Axolotl key",
            "Axolotl drops the whole block silently",
            f"Did you mean {BLOCK!r}?",
        )
    try:
        load_settings(view.get(BLOCK))
    except SettingsError as error:
        for problem in error.problems:
            yield Finding(
                WRONG,
                problem.path,
                None,
                f"{problem.path}: {problem.message}",
                "the plugin refuses to start the run",
                problem.remedy or "Correct it",
            )
    if view.get(BLOCK) and not view.has_plugin:
        yield Finding(
            WRONG,
            BLOCK,
            None,
            f"{BLOCK} is set, but its plugin is not listed",
            "Axolotl drops the block silently",
            "Add axolotl_sftguide.SFTGuidePlugin to plugins",
        )
    if view.mix is not None and view.get("datasets"):
        yield Finding(
            WRONG,
            f"{BLOCK}.mix",
            None,
            f"{BLOCK}.mix replaces datasets, and both are set",
            "the plugin refuses to start the run",
            "Move the datasets into a phase of the mix",
        )
