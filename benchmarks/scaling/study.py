"""The study of a sweep, as each of its workers opens it; nothing is trained."""

from pathlib import Path

from axolotl_sftguide.sweep import Objective, Range, SearchSpace, SweepStudy


def make_study(url: str, folder: str) -> SweepStudy:
    """The study `ours` at a storage URL."""
    space = SearchSpace({"learning_rate": Range(low=1e-6, high=1e-2, log=True)}, {})
    return SweepStudy(
        url,
        "ours",
        space=space,
        recipe={"seed": 1},
        objective=Objective("m", "max"),
        output_dir=Path(folder) / "out",
        sampler="random",
    )
