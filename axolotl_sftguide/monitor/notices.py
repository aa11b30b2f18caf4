"""The messages of the monitor: pure functions from values to text.

Each notice is one line; warnings are logged at level WARNING.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..units import count, number

if TYPE_CHECKING:
    from ..stopping.rules import Verdict
    from .tally import Tally


def watching(
    *, run_id: str, study: str, key: str, rules: str, trace: Path | None, history: str
) -> str:
    """The line at the start of a watched run."""
    written = "no trace" if trace is None else f"trace {_shortened(trace)}"
    return (
        f"watching run {run_id} (study {study}, key {key}); {rules}; {written}; "
        f"history {history}"
    )


def limited_rules(trainer: str, objective: str) -> str:
    """The loss of this trainer is not that of supervised fine-tuning."""
    if objective == "reinforcement":
        return (
            f"{trainer}: its loss is no measure of progress, so of the rules on the "
            "loss only non_finite can stop this run; watch the reward"
        )
    return (
        f"{trainer}: a healthy run may keep its initial loss for a long time, so "
        "not_learning, comparison, cohort and prediction only warn"
    )


def steps_not_seen(trainer: str) -> str:
    """A trainer with a training loop of its own."""
    return (
        f"the steps of {trainer} cannot be seen, because it does not call "
        "training_step: nothing is recorded of them, and no rule can stop this run"
    )


def several_rows(rows: int) -> str:
    """A batch holds several rows for each row of the training data."""
    return (
        f"a batch has {rows} rows for each row of the training data (such as a chosen "
        "and a rejected answer); they count as one sample"
    )


def samples_differ(counted: int, taken: int) -> str:
    """The samples of the first step cannot be counted from its batches."""
    return (
        f"the batches of the first step show {counted} samples, and the trainer took "
        f"{taken}; samples are counted by the trainer's epoch, and this run is not "
        "compared with others"
    )


def new_run_from_checkpoint(step: int) -> str:
    """A resume whose earlier steps are recorded nowhere in the output folder."""
    return (
        f"resumed at step {step}, and the output folder has no trace of the steps "
        "before: recorded as a new run that is not compared with others"
    )


def steps_missing(first: int, last: int) -> str:
    """A resume whose last steps were not recorded."""
    steps = f"step {first} was" if first == last else f"steps {first} to {last} were"
    return (
        f"{steps} trained before this resume and not recorded; this run is not "
        "compared with others"
    )


def other_key() -> str:
    """A resume with other settings than the run began with."""
    return (
        "resumed with other key fields (data, model, batch or precision) than the run "
        "began with; it is not compared with others"
    )


def not_identified(names: list[str]) -> str:
    """Fields that identify the run could not be read."""
    return (
        f"{', '.join(names)} could not be read from this trainer; this run is not "
        "compared with others"
    )


def not_watched(error: Exception) -> str:
    """The run cannot be watched, for a reason that the user can remove."""
    return f"{error}; training continues without monitoring"


def not_watched_by_fault(fault: Exception) -> str:
    """The run cannot be watched because of an error in this package."""
    return (
        f"monitoring could not start because of an internal error ({fault!r}); "
        "training continues without it"
    )


def monitoring_failed(fault: Exception) -> str:
    """Monitoring ended in the middle of a run."""
    return f"monitoring stopped after an internal error ({fault!r}); training continues"


def disabled(name: str, error: Exception) -> str:
    """A callback cannot do its work, for a reason that the user can remove."""
    return f"{error}; training continues without {name}"


def disabled_by_fault(name: str, fault: Exception) -> str:
    """A callback failed because of an error in this package."""
    return (
        f"{name} disabled itself after an internal error ({fault!r}); "
        "training continues"
    )


def inexact_accumulation(obstacle: str, normalisation: str) -> str:
    """`exact_accumulation` is set and cannot be applied."""
    return (
        f"exact_accumulation has no effect because {obstacle}; the loss of a step "
        f"remains the {normalisation}"
    )


def no_noise_scale(obstacle: str) -> str:
    """`noise_scale` is set and cannot be measured."""
    return f"the noise scale is not measured because {obstacle}"


def biased_noise_scale(reason: str) -> str:
    """The noise scale is measured on micro batches that are alike."""
    return f"the noise scale will be too low because {reason}"


def wrong_norm(step: int, ratio: float) -> str:
    """The captured norm differs from the norm of the gradients."""
    return (
        f"the gradient norm that the trainer reports at step {step} is {ratio:.4g} "
        "times the norm computed from the gradients (possible causes: sharding, loss "
        "scaling, a patched trainer); this run is not compared with others"
    )


def trace_skipped(error: Exception) -> str:
    """A trace of the run that is resumed cannot be read."""
    return f"{error}; its steps are ignored"


def no_baselines(error: Exception) -> str:
    """The earlier runs cannot be read."""
    return f"this run is not compared with earlier runs: {error}"


def unknown_metric(metric: str, runs: int, known: Sequence[str]) -> str:
    """No earlier run has a score on `early_termination.metric`."""
    return (
        f"early_termination.metric: none of the {runs} finished runs that this run is "
        f"compared with has a score {metric!r}, so comparison and prediction find "
        f"nothing; their scores: {', '.join(known)}"
    )


def cohort_only_warns(doubt: str) -> str:
    """The `cohort` rule has `action: stop` and too little evidence for it."""
    return f"the cohort rule only warns because {doubt}"


def bad_run(verdict: Verdict) -> str:
    """A rule with `action: warn`, or without evidence for a stop, found something."""
    found = f"step {verdict.step}, {verdict.rule}: {verdict.reason}"
    if not verdict.certain:
        return f"{found}. This is no evidence for a stop, so the training goes on"
    return (
        f"{found}. To stop such runs, set early_termination.{verdict.rule}.action: stop"
    )


def stopped(
    verdict: Verdict,
    *,
    step: int,
    max_steps: int,
    samples_seen: int,
    checkpoint: str | None,
    marker: str,
) -> str:
    """A rule with `action: stop` has ended the run."""
    found = "" if verdict.step == step else f", found at step {verdict.step}"
    return (
        f"stopped at step {step} of {max_steps} ({count(samples_seen)} samples) by "
        f"{verdict.rule}{found}: {verdict.reason}. Last good checkpoint: "
        f"{checkpoint or 'none'}. The model that is saved now is not fully "
        f"trained; {marker} marks it"
    )


def not_pushed() -> str:
    """`push_to_hub` is called after a stopped run."""
    return (
        "not pushed to the hub, because a rule stopped the run; set push_terminated to "
        "push stopped runs too"
    )


def good_weights_loaded(checkpoint: str) -> str:
    """The trainer has loaded its best model at the end of a stopped run."""
    return (
        f"the trainer loaded {checkpoint} at the end, which was saved before the run "
        "went bad; the model that is saved now is that one"
    )


def batch_size(wanted: int | str, seen: Tally) -> str:
    """The effective batch size that was set, and that of the run."""
    return f"effective batch size: {wanted} requested, {seen} trained"


def held_out_score(
    metric: str, value: float, questions: int, beside: Mapping[str, float | None]
) -> str:
    """The score of the tuned model, with the values to compare it with."""
    shown = ", ".join(f"{name} {number(v)}" for name, v in beside.items())
    return f"{metric} {number(value)} on {questions} questions ({shown})"


_WAYS = {
    "log_probs": "from the model's log-probabilities",
    "logits": "from the logits",
    "head": "from the last hidden states, because the model returns no logits",
}


def loss_by_source(names: Sequence[str], way: str, every: int) -> str:
    """The loss of each source is measured, and how."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" * (len(names) > 5))
    often = "every step" if every == 1 else f"one step in {every}"
    return f"loss by source ({shown}): {_WAYS[way]}, {often}"


def no_loss_by_source(reason: str, what: str | None = None) -> str:
    """The loss of each source cannot be measured, at all or in evaluations, say."""
    where = f" in {what}" if what else ""
    return f"no loss by source{where}: {reason}; all else is recorded"


def unknown_sources(share: float) -> str:
    """Too many of the trained tokens have no known source."""
    return (
        f"loss by source: {share:.1%} of the trained tokens have no known source and "
        "are in no curve (their rows differ from the data, or are in several sources)"
    )


def _shortened(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
