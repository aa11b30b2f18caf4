"""`sftguide explain`: what a finding of `sftguide check` is about."""

from __future__ import annotations

import textwrap

import click

from .common import answer

_COSTS = {
    "RUN": "the run ends well, and trained something else than the config says",
    "LATE": "the run ends in an error after data or model are loaded",
    "START": "Axolotl refuses the config at once",
    "PART": "a part of the run differs: a schedule, a checkpoint, an evaluation",
    "LITTLE": "little or nothing",
}


@click.command()
@click.argument("finding_id", metavar="[ID]", required=False)
def explain(finding_id: str | None) -> None:
    """Tell what a finding of `sftguide check` is about, and where it is shown.

    Without ID, list all ids.
    """
    from ..advice import RULES
    from ..errors import SFTGuideError, did_you_mean

    if finding_id is None:
        answer(sorted(RULES), *sorted(RULES))
        return
    rule = RULES.get(finding_id)
    if rule is None:
        hint = did_you_mean(finding_id, RULES)
        raise SFTGuideError(
            f"there is no finding {finding_id!r}{hint} (sftguide explain lists them)"
        )
    lines = [textwrap.fill(rule.about, 80), f"\nCost: {_COSTS[rule.cost.name]}."]
    lines += [f"Shown in: {rule.host}"] if rule.host else []
    values = {
        "id": finding_id,
        "about": rule.about,
        "cost": _COSTS[rule.cost.name],
        "shown_in": rule.host,
    }
    answer(values, *lines, f"To silence it: # sftguide: ignore[{finding_id}]")
