"""Entries of `plugins` that Axolotl cannot load."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import near
from ._finding import Finding, Weight
from ._view import View

_FOLDER = "axolotl.integrations."
_CLASSES = {
    "cut_cross_entropy": "CutCrossEntropyPlugin",
    "densemixer": "DenseMixerPlugin",
    "diffusion": "DiffusionPlugin",
    "expert_parallel": "ExpertParallelPlugin",
    "grokfast": "GrokfastPlugin",
    "hatchery": "HatcheryPlugin",
    "kd": "KDPlugin",
    "kernels": "KernelsPlugin",
    "liger": "LigerPlugin",
    "llm_compressor": "LLMCompressorPlugin",
    "lm_eval": "LMEvalPlugin",
    "mora": "MoraPlugin",
    "nemo_gym": "NemoGymPlugin",
    "spectrum": "SpectrumPlugin",
    "swanlab": "SwanLabPlugin",
}
"""The plugin's class, by the folder; they are not named after their folders."""


def plugin_name(name: str) -> str:
    """A plugin of Axolotl as it is listed, by its folder's name."""
    return f"{_FOLDER}{name}.{_CLASSES.get(name, '...')}"


def not_loaded(view: View, plugin: str) -> bool:
    """Whether an entry names a plugin that this Axolotl does not have."""
    folder = plugin.removeprefix(_FOLDER).partition(".")[0]
    inside = plugin.startswith(_FOLDER) and folder not in view.schema.data["plugins"]
    return inside or "." not in plugin


def plugins(view: View) -> Iterator[Finding]:
    """Plugins under a wrong name, without which Axolotl goes on or ends."""
    for index, plugin in enumerate(view.plugins):
        folder, *inner = plugin.removeprefix(_FOLDER).split(".")
        known = _CLASSES.get(folder)
        wrong_class = bool(plugin.startswith(_FOLDER) and known and known not in inner)
        if not not_loaded(view, plugin) and not wrong_class:
            continue
        new = _nearest(view, plugin)
        goes_on = plugin.startswith(_FOLDER) and bool(inner) and not wrong_class
        listed = isinstance(view.get("plugins"), list)
        path = f"plugins.{index}" if listed else "plugins"
        yield Finding(
            Weight.WRONG,
            path,
            plugin,
            f"Axolotl {view.schema.version} has no plugin {plugin}",
            "Axolotl logs an error and trains without it"
            if goes_on
            else "the run ends in an error when Axolotl loads the plugin",
            f"did you mean {new!r}?" if new else f"Write it as {plugin_name('liger')}",
            id="plugin-unknown" if goes_on else "plugin-class",
        )


def _nearest(view: View, plugin: str) -> str | None:
    names = {plugin_name(name): name for name in view.schema.data["plugins"]}
    folder = plugin.removeprefix(_FOLDER).partition(".")[0]
    if folder in names.values():
        return plugin_name(folder)
    by_class = {full.rpartition(".")[2]: full for full in names}
    same = by_class.get(plugin.rpartition(".")[2])
    close = near(folder, names.values())
    return same or near(plugin, names) or (plugin_name(close) if close else None)
