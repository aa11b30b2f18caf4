"""Each training is a watch of its own, and every way out of it ends that watch."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Forked
from plain import left_on, make_trainer, runs, samples_of, watched, weights
from transformers import Trainer, TrainerCallback

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback, watch
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace
from axolotl_sftguide.runs.trainer_states import find_trainer_states, read_trainer_state


class Raise(TrainerCallback):  # type: ignore[misc]
    """Raises at an event of a step, once."""

    def __init__(self, event: str, step: int, error: BaseException) -> None:
        self.step, self.error = step, error
        setattr(self, event, self.act)

    def act(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step and self.error is not None:
            error, self.error = self.error, None  # type: ignore[assignment]
            raise error


@pytest.mark.parametrize(
    ("event", "step"),
    [
        ("on_train_begin", 0),
        ("on_epoch_begin", 0),
        ("on_step_begin", 3),
        ("on_pre_optimizer_step", 3),
        ("on_step_end", 3),
        ("on_log", 3),
        ("on_evaluate", 4),
        ("on_save", 4),
    ],
)
@pytest.mark.parametrize("error", [ValueError("broke"), KeyboardInterrupt()])
def test_an_exception_ends_the_run_and_the_next_training_is_a_new_one(
    event: str, step: int, error: BaseException, tmp_path: Path
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 4}
    trainer = watched(
        tmp_path,
        Raise(event, step, error),
        eval_strategy="steps",
        eval_steps=4,
        **saving,
    )
    with pytest.raises(type(error)):
        trainer.train()
    (run,) = runs()
    assert (run.status, run.step) == ("failed", step)
    text = f"ValueError: {error}" if str(error) else "KeyboardInterrupt"
    assert run.reason == text
    handler = trainer.callback_handler
    assert left_on(trainer, trainer.accelerator, handler, *handler.callbacks) == set()

    trainer.train()
    assert left_on(trainer, trainer.accelerator, handler, *handler.callbacks) == set()
    assert [r.status for r in runs()] == ["failed", "finished"]
    ends = [read_trace(path).observations for path in find_traces(tmp_path)]
    assert sorted(len(steps) for steps in ends) == [step, 8]
    assert max(steps[-1].samples_seen for steps in ends if steps) == 32


def test_an_error_in_the_users_metrics_is_the_reason(tmp_path: Path) -> None:
    def broken(_: Any) -> None:
        raise ValueError("compute_metrics broke")

    trainer = watched(
        tmp_path,
        eval_strategy="steps",
        eval_steps=4,
        given={"compute_metrics": broken},
    )
    with pytest.raises(ValueError, match="broke"):
        trainer.train()
    (run,) = runs()
    assert (run.status, run.reason) == ("failed", "ValueError: compute_metrics broke")


class OutOfMemory(Trainer):  # type: ignore[misc]
    """As on a card that holds four rows."""

    def training_step(self, model: Any, inputs: Any, *args: Any, **kw: Any) -> Any:
        if inputs["input_ids"].shape[0] > 4:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return super().training_step(model, inputs, *args, **kw)


def test_a_smaller_batch_that_the_trainer_finds_is_a_run_of_its_own(
    tmp_path: Path,
) -> None:
    trainer = watched(
        tmp_path,
        kind=OutOfMemory,
        per_device_train_batch_size=8,
        auto_find_batch_size=True,
    )
    trainer.train()
    *attempts, last = runs()
    assert {(r.status, r.step) for r in attempts} == {("failed", 0)}
    assert attempts[0].reason == "OutOfMemoryError: CUDA out of memory."
    assert (last.status, last.step, last.samples_seen) == ("finished", 8, 32)


def test_folds_may_share_one_callback(tmp_path: Path) -> None:
    monitor = GradientMonitorCallback()
    trainers = [
        make_trainer(tmp_path / "0", monitor, Raise("on_log", 3, OSError("disk full"))),
        make_trainer(tmp_path / "1", monitor),
    ]
    with pytest.raises(OSError, match="disk full"):
        trainers[0].train()
    trainers[1].train()
    assert [(r.name, r.status, r.step) for r in runs()] == [
        ("0", "failed", 3),
        ("1", "finished", 8),
    ]


def test_a_trial_that_a_search_prunes_is_not_finished(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    class PruneSecond(optuna.pruners.BasePruner):  # type: ignore[misc,name-defined]
        def prune(self, study: Any, trial: Any) -> bool:
            return trial.number == 1 and trial.last_step >= 4

    from plain import make_model

    trainer = watched(tmp_path, eval_strategy="steps", eval_steps=2)
    trainer.model_init = lambda trial=None: make_model()
    trainer.hyperparameter_search(
        hp_space=lambda trial: {"seed": trial.suggest_int("seed", 0, 9)},
        n_trials=3,
        direction="minimize",
        backend="optuna",
        pruner=PruneSecond(),
    )
    assert [(r.status, r.step) for r in runs()] == [
        ("finished", 8),
        ("terminated", 4),
        ("finished", 8),
    ]
    assert runs()[1].scores == ()


def test_a_run_that_early_stopping_ends_is_finished(tmp_path: Path) -> None:
    class Stop(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == 5

    watched(tmp_path, Stop()).train()
    (run,) = runs()
    assert (run.status, run.step) == ("finished", 5)


def test_a_run_whose_callbacks_are_removed_ends_with_its_training(
    tmp_path: Path,
) -> None:
    class Remove(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 4:
                trainer.remove_callback(GradientMonitorCallback)
                trainer.remove_callback(EarlyTerminationCallback)

    trainer = watched(tmp_path, Remove())
    trainer.train()
    (run,) = runs()
    assert run.status == "finished"
    handler = trainer.callback_handler
    assert left_on(trainer, trainer.accelerator, handler, *handler.callbacks) == set()


def test_callbacks_can_be_copied_in_mid_run(tmp_path: Path) -> None:
    class Copy(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 3:
                ours = trainer.callback_handler.callbacks[-4:]
                copies.extend(copy.deepcopy(ours))
                copies.extend(pickle.loads(pickle.dumps(ours)))

    copies: list[Any] = []
    trainer = make_trainer(tmp_path / "first", Copy())
    watch(trainer, log_lines=True, early_termination={"action": "stop"})
    trainer.train()
    (run,) = runs()
    assert (run.status, run.step) == ("finished", 8)

    assert len(copies) == 8
    assert all(type(one).__module__.startswith("axolotl_sftguide") for one in copies)
    make_trainer(tmp_path / "second", *copies[:4]).train()
    _, second = runs()
    assert (second.name, second.status, second.step) == ("second", "finished", 8)


class StopAt5(TrainerCallback):  # type: ignore[misc]
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = state.global_step == 5


def test_a_state_that_a_trainer_saves_after_its_end_is_of_a_finished_run(
    tmp_path: Path,
) -> None:
    trainer = make_trainer(tmp_path, StopAt5())
    trainer.train()
    trainer.save_state()
    trainer.state.log_history.pop()  # without the summary of the end
    (tmp_path / "cut").mkdir()
    trainer.state.save_to_json(str(tmp_path / "cut" / "trainer_state.json"))
    history = RunHistory()
    for state in find_trainer_states(tmp_path):
        history.import_trace(read_trainer_state(state))
    ends = {run.name: (run.status, run.step) for run in history.runs()}
    assert ends == {tmp_path.name: ("finished", 5), "cut": ("failed", 5)}


FORKS = """
import os, sys
from pathlib import Path
from plain import watched
from transformers import TrainerCallback

class Fork(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        if state.global_step == 3:
            child = os.fork()
            if not child:
                sys.exit(0)  # with the exit functions that it has inherited
            os.waitpid(child, 0)

watched(Path(sys.argv[1]), Fork()).train()
"""


def test_a_forked_child_that_exits_leaves_the_run_alone(
    forked: Forked, tmp_path: Path
) -> None:
    # In a process of its own: the child also runs the exit functions of its parent.
    script = tmp_path / "train.py"
    script.write_text(FORKS)
    forked.run(script, tmp_path)
    (path_of_trace,) = find_traces(tmp_path)
    ends = [
        e["status"] for e in read_trace(path_of_trace).events if e["event"] == "end"
    ]
    assert ends == ["finished"]


def test_two_monitors_leave_nothing_wrapped(tmp_path: Path) -> None:
    two = GradientMonitorCallback(name="a"), GradientMonitorCallback(name="b")
    trainer = make_trainer(tmp_path, *two)
    trainer.train()
    assert left_on(trainer, trainer.accelerator, trainer.callback_handler) == set()
    assert [(r.name, r.status, r.step) for r in runs()] == [
        ("a", "finished", 8),
        ("b", "finished", 8),
    ]


def test_a_wrapper_of_the_user_stays_whatever_the_order(tmp_path: Path) -> None:
    calls = []

    class Wrap(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            below = trainer.training_step
            trainer.training_step = lambda *a, **k: calls.append(1) or below(*a, **k)

    trainer = watched(tmp_path, Wrap())
    trainer.train()
    assert len(calls) == 8
    trainer.training_step(trainer.model, next(iter(trainer.get_train_dataloader())))
    assert len(calls) == 9


@pytest.mark.parametrize("case", ["restart", "rare logs", "saves", "no clipping"])
def test_a_watched_training_has_the_same_weights(case: str, tmp_path: Path) -> None:
    kind: Any = OutOfMemory if case == "restart" else Trainer
    options: dict[str, Any] = {
        "restart": {"per_device_train_batch_size": 8, "auto_find_batch_size": True},
        "rare logs": {"logging_steps": 500, "max_steps": 40},
        "saves": {"save_strategy": "steps", "save_steps": 3, "max_steps": 20},
        "no clipping": {"max_grad_norm": 0.0},
    }[case]
    ours = GradientMonitorCallback(), EarlyTerminationCallback()
    trainers = [
        make_trainer(tmp_path / name, *callbacks, kind=kind, **options)
        for name, callbacks in (("alone", ()), ("watched", ours))
    ]
    for trainer in trainers:
        trainer.train()
    alone, beside = (weights(trainer.model) for trainer in trainers)
    assert torch.equal(alone, beside)
    if case != "restart":
        last = samples_of(tmp_path / "watched")[-1]
        assert last == 4 * trainers[1].state.global_step
