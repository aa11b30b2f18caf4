"""What a trainer's loss means, and which rules may act on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ORDER = ("off", "warn", "stop")
"""The actions of a rule, the strongest last."""


@dataclass(frozen=True)
class Objective:
    """The kind of a training."""

    name: str
    strongest: Mapping[str, str] = field(default_factory=dict)
    """By rule, the strongest action that makes sense; `stop` if it is not named."""
    loss_shows_progress: bool = True
    """Whether a lower loss is a better model, as far as the training data show it."""

    def limited(self, actions: Mapping[str, str]) -> dict[str, str]:
        """The actions of rules, each reduced to the strongest that makes sense."""
        return {
            rule: min(action, self.strongest.get(rule, "stop"), key=ORDER.index)
            for rule, action in actions.items()
        }


SUPERVISED = Objective("supervised")

PREFERENCE = Objective(
    "preference",
    dict.fromkeys(("not_learning", "comparison", "cohort", "prediction"), "warn"),
)
"""DPO, KTO, ORPO, reward models and similar trainers.

The loss is the objective on the training pairs, so a run can diverge as in SFT. It
starts at a fixed value (log 2 for DPO and reward models) and a healthy run may stay
near it for long. That the early loss predicts the final model was shown for SFT alone.
"""

REINFORCEMENT = Objective(
    "reinforcement",
    {
        "divergence": "warn",
        "not_learning": "warn",
        "comparison": "off",
        "cohort": "off",
        "prediction": "off",
    },
    loss_shows_progress=False,
)
"""GRPO, RLOO and similar trainers.

The loss starts near 0 and is no measure of progress; the reward is. The gradient norm
is 0 where all completions of a prompt have the same reward.
"""

_PREFERENCE_TRAINERS = frozenset(
    "DPOTrainer KTOTrainer ORPOTrainer CPOTrainer BCOTrainer TPOTrainer "
    "RewardTrainer".split()
)
_REINFORCEMENT_TRAINERS = frozenset(
    "GRPOTrainer RLOOTrainer PPOTrainer OnlineDPOTrainer NashMDTrainer XPOTrainer "
    "AsyncGRPOTrainer A2POTrainer SDPOTrainer "
    "AxolotlStridedEBFTTrainer HatcheryRLTrainer".split()
)


def objective_of(class_names: Iterable[str]) -> Objective:
    """The objective of a trainer, by the names of its class and its bases."""
    names = set(class_names)
    if names & _REINFORCEMENT_TRAINERS:
        return REINFORCEMENT
    return PREFERENCE if names & _PREFERENCE_TRAINERS else SUPERVISED
