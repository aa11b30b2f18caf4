"""The `sftguide:` block: wrong, misspelt, or without its plugin."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.settings import BLOCK, load_settings, misspelt_block
from ..config.yaml_edits import Edit
from ..errors import SettingsError
from ._finding import Finding, Weight
from ._view import View

WRONG = Weight.WRONG


def own_block(view: View) -> Iterator[Finding]:
    """Findings on the block."""
    misspelt = misspelt_block(view.config)
    if misspelt is not None:
        yield Finding(
            WRONG,
            misspelt,
            None,
            f"{misspelt} is not an Axolotl key",
            "Axolotl drops the whole block silently",
            f"Did you mean {BLOCK!r}?",
            id="own-block-name",
            edits=(Edit("rename", misspelt, BLOCK),),
        )
    try:
        load_settings(view.get(BLOCK))
    except SettingsError as error:
        for problem in error.problems:
            yield Finding(
                WRONG,
                problem.path,
                None,
                f"{problem.path} {problem.message}",
                "the plugin refuses to start the run",
                problem.remedy or "Correct it",
                id="own-block",
            )
    if view.get(BLOCK) and not view.has_plugin:
        yield Finding(
            WRONG,
            BLOCK,
            None,
            f"{BLOCK} is set, but its plugin is not listed",
            "Axolotl drops the block silently",
            "Add axolotl_sftguide.SFTGuidePlugin to plugins",
            id="own-plugin-missing",
        )
    early = view.block.get("early_termination")
    patience = early.get("evaluation") if isinstance(early, dict) else None
    held_out = view.evaluates or (view.mix or {}).get("held_out")
    if isinstance(patience, dict) and not held_out:
        path = f"{BLOCK}.early_termination.evaluation"
        yield Finding(
            Weight.AGAINST,
            path,
            None,
            f"{path} is set, and there is nothing to evaluate on",
            "the rule never stops the run",
            "Set val_set_size: 0.05 and eval_steps, or remove the rule",
            id="patience-without-evaluation",
        )
    if view.mix is not None and view.get("datasets"):
        yield Finding(
            WRONG,
            f"{BLOCK}.mix",
            None,
            f"{BLOCK}.mix replaces datasets, and both are set",
            "the plugin refuses to start the run",
            "Move the datasets into a phase of the mix",
            id="mix-and-datasets",
        )
