"""One finding on a config, in the one shape that all findings share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ..config.host_schema import host_schema
from ..config.yaml_edits import Edit
from ..evidence import CLAIMS
from ._catalogue import RULES, Cost


class Weight(IntEnum):
    """How much a finding matters; the most serious sorts first."""

    WRONG = 0
    """The config does not do what it says, or the run ends in an error."""
    AGAINST = 1
    """Published evidence, or what Axolotl does, speaks against the value."""
    NOTE = 2
    """Good to know."""


_OWN = "axolotl-sftguide"
_REPOSITORY = "https://github.com/axolotl-ai-cloud/axolotl"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, what happens because of it, and what to write instead.

    `problem` and `effect` are clauses: `seed is not set` and `Axolotl shuffles the data
    differently every time`. `remedy` is a sentence: `Set seed: 42`.
    """

    weight: Weight
    path: str
    """Dotted, from the top of the config; empty if it concerns the whole config."""
    value: Any
    """The value in the config; None if the key is missing."""
    problem: str
    effect: str
    remedy: str
    claim: str | None = None
    """Key of the claim behind it; None if it describes Axolotl itself."""
    id: str = ""
    """Short and stable; `sftguide explain` and `# sftguide: ignore[...]` take it."""
    edits: tuple[Edit, ...] = ()
    """Changes that certainly remedy it, for `--fix`; empty if a choice is left."""

    @property
    def text(self) -> str:
        """The whole finding: `Problem, so effect. Remedy.`"""
        remedy = self.remedy[:1].upper() + self.remedy[1:]
        end = "" if remedy.endswith(("?", ".")) else "."
        return f"{self.problem}, so {self.effect}. {remedy}{end}"

    @property
    def cost(self) -> Cost:
        """What it costs to run the config as it is."""
        rule = RULES.get(self.id)
        return Cost.PART if rule is None else rule.cost

    @property
    def is_general(self) -> bool:
        """Whether it holds for nearly every config."""
        rule = RULES.get(self.id)
        return rule is not None and rule.general

    @property
    def _is_own(self) -> bool:
        """Whether it is about this package's own block or comments."""
        rule = RULES.get(self.id)
        return rule is not None and rule.own

    @property
    def _library(self) -> str:
        """The library that it is about, if that is not Axolotl."""
        rule = RULES.get(self.id)
        library, comma, _ = ("" if rule is None else rule.host).partition(", ")
        return library if comma else ""

    @property
    def source(self) -> str:
        """Where it was shown, in short."""
        if self.claim is None:
            return _OWN if self._is_own else self._library or _host()
        first, *others = CLAIMS[self.claim].source.split("; ")
        return f"{first} and {len(others)} more" if others else first

    @property
    def evidence(self) -> str:
        """Where exactly it was shown, how well, and for which training."""
        if self.claim is None:
            rule = RULES.get(self.id)
            where = "" if rule is None else rule.host
            if self._is_own:
                return f"{_OWN}, {where}" if where else _OWN
            if self._library:
                return f"{where} (as {_host()} uses it)"
            return f"{_host()}, {where}" if where else _host()
        claim = CLAIMS[self.claim]
        return f"{claim.reference} ({claim.grade}; {claim.setting})"

    @property
    def links(self) -> tuple[str, ...]:
        """Web addresses of the source."""
        if self._is_own:
            return ()
        if self.claim is None:
            return (f"{_REPOSITORY}/tree/v{host_schema().version}",)
        return CLAIMS[self.claim].links

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain values, for JSON."""
        return {
            "id": self.id,
            "weight": self.weight.name.lower(),
            "path": self.path,
            "value": self.value,
            "says": f"{self.problem}, so {self.effect}",
            "problem": self.problem,
            "effect": self.effect,
            "remedy": self.remedy,
            "claim": self.claim,
            "source": self.source,
            "evidence": self.evidence,
            "links": list(self.links),
        }


def _host() -> str:
    return f"Axolotl {host_schema().version}"
