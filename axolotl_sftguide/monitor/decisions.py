"""Findings of the rules as they are recorded."""

from __future__ import annotations

from ..runs.history import Decision
from ..stopping.judge import Finding


def decision_of(finding: Finding) -> Decision:
    """A finding as it is recorded."""
    verdict = finding.verdict
    return Decision(
        rule=verdict.rule,
        action=finding.action,
        reason=verdict.reason,
        step=verdict.step,
        samples_seen=verdict.samples_seen,
        figures=verdict.figures,
        reference=verdict.reference,
        signals=verdict.signals,
    )
