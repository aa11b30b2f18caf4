"""The checkpoint of a parked run."""

from __future__ import annotations

from typing import Any

from ..monitor.session import Session


def request_whole_save(session: Session, args: Any, state: Any, control: Any) -> None:
    """Let the trainer save all that a resume needs at this step, and delete nothing.

    Evaluations that are due take place before the save, so that the resumed run has
    them, and the same random numbers as an uninterrupted one. Where they follow the
    last step of an epoch, the save is left to the next step.
    """
    strategies = (str(args.eval_strategy), str(args.save_strategy))
    by_epoch = any(strategy.endswith(("epoch", "EPOCH")) for strategy in strategies)
    if by_epoch and float(state.epoch or 0.0).is_integer():
        return
    # With this strategy, an evaluation decides whether to save.
    if strategies[1].endswith(("best", "BEST")) and control.should_evaluate:
        return
    checkpoint = f"{args.output_dir}/checkpoint-{state.global_step}"
    session.request_save(checkpoint, due=bool(control.should_save))
    # The process ends after this save, so the arguments are not restored.
    args.save_only_model = False
    args.save_total_limit = None
    args.load_best_model_at_end = False
    control.should_save = True
