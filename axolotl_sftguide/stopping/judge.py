"""Applies the rules of the settings to one run.

    judge = judge_of(settings, baselines(candidate, curves, settings))
    state = judge.init()
    state, findings = judge.step(state, observations)

A judge is a frozen value, like its rules. A resumed run replays its recorded steps
through `step`; `holding` then gives the findings that still hold at the last of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..config.rule_settings import EarlyTerminationSettings
from ..signals import Observation
from .baselines import Baselines
from .evaluation import evaluation_rule
from .objectives import ORDER, SUPERVISED, Objective
from .parking import Stage, limits_of
from .rules import (
    BeyondCohort,
    Divergence,
    Grace,
    NonFinite,
    NotLearning,
    Patience,
    Prediction,
    Rule,
    Verdict,
    WorseThan,
)

ALONE = ("non_finite", "divergence", "not_learning")
"""The rules that look at one run alone."""

ON_EARLY_SIGNALS = ("comparison", "cohort")
"""The rules after arXiv 2412.13337; in other studies they seldom found a bad run."""

_FEWEST_PEERS = 4
"""With fewer earlier runs the cohort rule finds nothing."""


@dataclass(frozen=True)
class Finding:
    """A rule's verdict and what is done about it: `warn`, `park` or `stop`."""

    verdict: Verdict
    action: str


@dataclass(frozen=True)
class JudgeState:
    """The states of the rules after some steps, in the order of the judge's rules."""

    rules: tuple[Any, ...]
    """The rules' own states."""
    verdicts: tuple[Verdict | None, ...]
    """Each rule's verdict at the last step."""
    reported: frozenset[tuple[int, str]] = frozenset()
    """Positions of the rules that have reported a finding, with its action."""

    def resumed(self) -> JudgeState:
        """The state of a run that goes on: it may be parked at a later step again."""
        kept = frozenset(pair for pair in self.reported if pair[1] != "park")
        return replace(self, reported=kept)


@dataclass(frozen=True)
class Judge:
    """The active rules, each with its action; see `judge_of`."""

    rules: tuple[tuple[Rule, str], ...]

    def init(self) -> JudgeState:
        """The state before the first step."""
        states = tuple(rule.init() for rule, _ in self.rules)
        return JudgeState(states, (None,) * len(states))

    def step(
        self, state: JudgeState, observations: Iterable[Observation]
    ) -> tuple[JudgeState, tuple[Finding, ...]]:
        """The state after some more steps, and the findings among them.

        Each rule reports one finding in a run, or two if it first has evidence for a
        warning only, and later for a stop.
        """
        states, verdicts = list(state.rules), list(state.verdicts)
        reported, findings = set(state.reported), []
        for observation in observations:
            for i, (rule, action) in enumerate(self.rules):
                states[i], verdict = rule.step(states[i], observation)
                verdicts[i] = verdict
                if verdict is None:
                    continue
                finding = _finding(verdict, action)
                if not {(i, finding.action), (i, action)} & reported:
                    reported.add((i, finding.action))
                    findings.append(finding)
        state = JudgeState(tuple(states), tuple(verdicts), frozenset(reported))
        return state, tuple(findings)

    def holding(self, state: JudgeState) -> tuple[Finding, ...]:
        """The findings that hold at the last step, whether reported or not."""
        pairs = zip(self.rules, state.verdicts, strict=True)
        return tuple(
            _finding(verdict, action)
            for (_, action), verdict in pairs
            if verdict is not None
        )


def _finding(verdict: Verdict, action: str) -> Finding:
    return Finding(verdict, action if verdict.certain else "warn")


def judge_of(
    settings: EarlyTerminationSettings,
    compared: Baselines | None = None,
    objective: Objective = SUPERVISED,
    max_steps: int | None = None,
    parking: Stage | None = None,
) -> Judge:
    """The judge of a run: the rules that the settings switch on.

    Args:
        settings: Which rules are on, and whether each may warn or stop.
        compared: What the run is compared with; without it, only the rules that look
            at the run alone are on.
        objective: What the run's loss means.
        max_steps: Optimizer steps of the whole run, where they are known.
        parking: For a run that its sweep may park, whether it was parked before.
    """
    compared = compared or Baselines()
    rules = rules_of(settings, compared, objective, max_steps, parking)
    return Judge(tuple((rule, action) for rule, action in rules if action != "off"))


def rules_of(
    settings: EarlyTerminationSettings,
    compared: Baselines,
    objective: Objective = SUPERVISED,
    max_steps: int | None = None,
    parking: Stage | None = None,
) -> list[tuple[Rule, str]]:
    """Each rule of the settings with its action, `off` included."""
    actions = actions_of(settings, objective, parking)
    loss_counts = objective.loss_shows_progress
    non_finite, divergence = settings.non_finite, settings.divergence
    flat, versus = settings.not_learning, settings.comparison
    rules: list[Rule] = [
        NonFinite(non_finite.steps),
        Divergence(
            divergence.window,
            divergence.sigmas,
            divergence.margin,
            divergence.patience,
            divergence.norm_margin,
            max_steps=max_steps,
            loss_counts=loss_counts,
        ),
        NotLearning(
            flat.steps,
            flat.grace,
            flat.sigmas,
            flat.margin,
            flat.patience,
            flat.share,
            max_steps=max_steps,
            loss_counts=loss_counts,
        ),
    ]
    if compared.reference is not None:
        worse = WorseThan(
            compared.reference, versus.window, versus.sigmas, versus.margin
        )
        rules.append(Patience(Grace(worse, versus.grace), versus.patience))
    if compared.forecast is not None and max_steps:
        limits = limits_of(settings.prediction, parking)
        rules.append(Prediction(compared.forecast, max_steps, *limits))
    if compared.cohort is None or compared.cohort.doubt is not None:
        actions["comparison"] = min(actions["comparison"], "warn", key=ORDER.index)
    found = [(rule, actions[rule.name]) for rule in rules]
    return found + _cohort_rules(settings, compared, actions["cohort"])


def _cohort_rules(
    settings: EarlyTerminationSettings, compared: Baselines, action: str
) -> list[tuple[Rule, str]]:
    """The cohort rule: stops a run only with enough evidence, and otherwise warns.

    Few earlier runs are weak evidence. Runs among which the early signals do not
    predict the score are evidence against the rule.
    """
    cohort, among = compared.cohort, settings.cohort
    if cohort is None:
        return []
    few = min(among.least_peers, _FEWEST_PEERS)
    levels = [(few, action)]
    if action == "stop" and cohort.doubt is not None:
        levels = [(few, "warn")]
    elif action == "stop":
        levels = [(among.least_peers, "stop"), (few, "warn")]
    rules: list[tuple[Rule, str]] = []
    for least, level in levels:
        beyond = BeyondCohort(cohort, among.window, among.sigmas, least)
        rules.append((Patience(Grace(beyond, among.grace), among.patience), level))
    return rules


def actions_of(
    settings: EarlyTerminationSettings,
    objective: Objective = SUPERVISED,
    parking: Stage | None = None,
) -> dict[str, str]:
    """Each rule's action: its own, or the common one, as far as the loss allows.

    The common action lets the rules on early signals warn, but not stop. A run that
    `prediction` would stop is parked by a sweep that can resume it.
    """
    chosen = {}
    for name in (*ALONE, *ON_EARLY_SIGNALS, "prediction"):
        most = "warn" if name in ON_EARLY_SIGNALS else "stop"
        common = min(settings.action, most, key=ORDER.index)
        chosen[name] = getattr(settings, name).action or common
    limited = objective.limited(chosen)
    if parking is not None and settings.prediction.parking is not None:
        limited["prediction"] = limited["prediction"].replace("stop", "park")
    return limited


def describe(
    settings: EarlyTerminationSettings,
    objective: Objective = SUPERVISED,
    parking: Stage | None = None,
) -> str:
    """The rules by action, such as `stops on non_finite; warns on divergence`."""
    actions = actions_of(settings, objective, parking)
    on_evaluations = evaluation_rule(settings, objective)
    if on_evaluations is not None:
        actions["evaluation"] = on_evaluations[1]
    parts = []
    verbs = (("stops on", "stop"), ("parks on", "park"), ("warns on", "warn"))
    for verb, action in verbs:
        names = [name for name, chosen in actions.items() if chosen == action]
        if names:
            parts.append(f"{verb} {', '.join(names)}")
    return "; ".join(parts) or "no rule is on"
