"""Sums, events and held-out losses of the sources of a dataset, as plain values."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from axolotl_sftguide.runs.traces import TraceWriter, read_trace
from axolotl_sftguide.signals.sources import (
    HELD_OUT_EVENT,
    TRAINING_EVENT,
    SourceLosses,
    held_out,
    read_events,
    sources_apart,
    total,
)


def evaluations(**series: list[float]) -> list[SourceLosses]:
    """One evaluation every 100 steps."""
    lengths = {len(values) for values in series.values()}
    return [
        SourceLosses(
            step=100 * (i + 1),
            loss={name: values[i] for name, values in series.items()},
            tokens=dict.fromkeys(series, 50),
        )
        for i in range(*lengths)
    ]


def test_the_mean_over_windows_weighs_each_token_alike() -> None:
    first = SourceLosses(10, {"a": 1.0, "b": 5.0}, {"a": 30, "b": 10}, 2)
    second = SourceLosses(20, {"a": 2.0}, {"a": 10}, 3)
    whole = total([first, second])
    assert whole is not None
    assert (whole.step, whole.unknown_tokens) == (20, 5)
    assert whole.tokens == {"a": 40, "b": 10}
    assert whole.loss == pytest.approx({"a": 50 / 40, "b": 5.0})
    assert total([]) is None


def test_a_source_that_rises_while_another_falls_is_named_with_its_figures() -> None:
    found = sources_apart(
        held_out(evaluations(maths=[2.0, 1.5, 1.2, 1.0], chat=[1.4, 1.1, 1.3, 1.6]))
    )
    assert found == (
        "held-out loss no longer improves for chat (1.1 at step 200, 1.6 at the end), "
        "and still does for maths (1.5 at step 200, 1 at the end)"
    )


@pytest.mark.parametrize(
    ("maths", "chat"),
    [
        ([2.0, 1.5, 1.2, 1.0], [1.4, 1.1, 0.9, 0.8]),
        ([1.0, 1.2, 1.5, 2.0], [1.0, 1.1, 1.3, 1.6]),
    ],
)
def test_nothing_is_said_where_all_sources_are_alike(
    maths: list[float], chat: list[float]
) -> None:
    assert sources_apart(held_out(evaluations(maths=maths, chat=chat))) is None


def test_one_worse_evaluation_is_not_the_end_of_improving() -> None:
    chat, maths = held_out(
        evaluations(chat=[1.4, 1.2, 1.0, 1.1], maths=[1.4, 1.2, 1.0, 0.8])
    )
    assert chat.improves
    assert maths.improves


def test_a_loss_within_one_percent_is_no_improvement() -> None:
    (found,) = held_out(evaluations(chat=[1.0, 0.995, 0.991]))
    assert not found.improves


def test_two_evaluations_or_a_loss_that_is_not_finite_show_nothing() -> None:
    assert held_out(evaluations(chat=[1.4, 1.1])) == []
    assert held_out(evaluations(chat=[1.4, math.nan, 1.1, 1.0])) == []


def test_two_evaluations_at_one_step_count_once() -> None:
    once = evaluations(chat=[1.4, 1.1, 1.0])
    assert held_out([*once, once[-1]]) == held_out(once)


def test_events_of_a_later_version_or_without_losses_are_left_out() -> None:
    good = {
        "event": HELD_OUT_EVENT,
        "step": 4,
        "loss": {"a": "NaN"},
        "tokens": {"a": 1},
    }
    broken = [{**good, "loss": {}}, {**good, "tokens": 3}, {"event": HELD_OUT_EVENT}]
    broken += [{**good, "tokens": {"a": count}} for count in (0, -1, 10**400)]
    broken += [{**good, "step": math.inf}, {**good, "loss": {"a": 10**400}}]
    (found,) = read_events([good, *broken, {**good, "event": "end"}], HELD_OUT_EVENT)
    assert math.isnan(found.loss["a"])


def test_a_resume_replaces_the_losses_of_the_steps_that_it_repeats(
    tmp_path: Path,
) -> None:
    writer = TraceWriter(tmp_path / "trace.jsonl")
    writer.begin({"id": "a"})
    values = {"loss": {"a": 1.0}, "tokens": {"a": 1}}
    for name in (TRAINING_EVENT, HELD_OUT_EVENT):
        writer.event(name, step=10, **values)
        writer.event(name, step=20, **values)
    writer.event("resume", step=10, run={})
    writer.event(TRAINING_EVENT, step=20, **values)
    writer.close()
    events = read_trace(tmp_path / "trace.jsonl").events
    assert [e.step for e in read_events(events, TRAINING_EVENT)] == [10, 20]
    assert [e.step for e in read_events(events, HELD_OUT_EVENT)] == [10]
