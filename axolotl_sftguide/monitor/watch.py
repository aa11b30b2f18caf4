"""One watched run: from the trainer's instance to the trace and the history."""

from __future__ import annotations

import atexit
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..config.settings import EarlyTerminationSettings, Settings
from ..console import say
from ..errors import SFTGuideError
from ..runs import marker
from ..runs.history import Status, this_process
from ..runs.redaction import json_safe
from ..runs.traces import PATTERN, Trace, read_trace
from ..signals import Observation, window_logs
from ..signals.comparability import Candidate, comparability_key
from ..signals.noise_scale import WINDOW, estimate, noise_scale_logs
from ..stopping.baselines import Baselines, baselines
from .accumulation import loss_normalisation, make_exact
from .capture import CapturedStep, StepCapture
from .gradients import (
    MicroBatchGradients,
    correlated_micro_batches,
    noise_scale_obstacle,
)
from .identity import host_name, key_fields
from .pace import Pace, device_name
from .recorder import RunRecorder, new_run_id, output_folder
from .tally import Tally

NORM_TOLERANCE = 0.01
"""A recorded norm that is off by more of an independent one is not trusted."""


class Watch:
    """Watches one training of one trainer.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        settings: The `sftguide:` block.
        config: The resolved configuration to record; by default the trainer's.
        extra_key_fields: What the host knows beside `identity.key_fields`.
    """

    def __init__(
        self,
        trainer: Any,
        settings: Settings,
        config: dict[str, Any] | None,
        extra_key_fields: dict[str, Any] | None,
    ) -> None:
        state = trainer.state
        self.trainer = trainer
        self.settings = settings
        self.output_dir = output_folder(trainer.args.output_dir)
        self.window: tuple[Observation, ...] = ()
        """The steps of the last log."""
        self.past: tuple[Observation, ...] = ()
        """The steps before a resume."""
        self.status: Status = "finished"
        self.reason: str | None = None
        self.judge: Callable[[Sequence[Observation]], bool] = lambda _: False
        """Asked at each log, on each rank, whether to stop."""
        self._ended = False
        self._main = state.is_world_process_zero
        if settings.exact_accumulation:
            self._make_exact()
        self._recorder: RunRecorder | None = None
        micro_batches = self._micro_batches()
        self._capture = StepCapture(
            trainer,
            on_log=self._on_log,
            on_error=self._on_error,
            on_fault=lambda fault: say(
                f"stopped watching after a fault of its own ({fault!r}); training "
                "goes on"
            ),
            micro_batches=micro_batches,
        )
        resumed = self._resumed_trace() if state.global_step else None
        self._samples_seen = self._samples_before(resumed)
        # One more than the window: the first step's samples need the step before.
        kept = settings.monitor.noise_scale_every * WINDOW + 1
        self._measured: deque[Observation] = deque(
            self.past, maxlen=0 if micro_batches is None else kept
        )
        self._batch = Tally()
        self._pace = Pace()
        self._norm_is_right = True
        self._norm_checked = False
        fields = {**key_fields(trainer), **(extra_key_fields or {})}
        self.key = comparability_key(fields)
        self.run_id = resumed.run["id"] if resumed else new_run_id()
        self._candidate = Candidate(
            study=settings.study,
            key=self.key,
            fields=json_safe(fields),
            noise_measured=micro_batches is not None,
            without=self.run_id,
        )
        if self._main:
            run = self._run_row(json_safe(fields), config)
            self._recorder = RunRecorder(
                run,
                storage=settings.storage,
                trace=settings.monitor.trace,
                warn=say,
                resumed_at=state.global_step if resumed else None,
                past=self.past,
            )
            if not state.global_step:
                marker.clear(self.output_dir)
        self._capture.attach()
        # A process that ends without on_train_end (sys.exit in a signal handler)
        # must not leave a run that says it runs.
        atexit.register(self._at_exit)

    @property
    def recorder(self) -> RunRecorder | None:
        """Writes the run; None on all ranks but the first."""
        return self._recorder

    def banner(self, rules: str) -> str:
        """One line that says what is watched, how, and where it is written."""
        where = "no trace"
        history = "none"
        if self._recorder is not None:
            if self.settings.monitor.trace:
                where = f"trace {_short(self._recorder.trace_path)}"
            if self._recorder.history is not None:
                history = self._recorder.history.url
        return (
            f"watching run {self.run_id} (study {self.settings.study}, key "
            f"{self.key}); {rules}; {where}; history {history}"
        )

    def end_step(self, learning_rate: float) -> None:
        """Close the optimizer step that the trainer has just taken."""
        self._pace.step()
        self._capture.end_step(self.trainer.state.global_step, learning_rate)

    def interrupted(self) -> None:
        """The host did something else between two steps: it evaluated or saved."""
        self._pace.interrupt()

    def evaluated(self, metrics: dict[str, Any]) -> None:
        """Record what the host's own evaluation found, on the first rank."""
        numbers = {k: v for k, v in metrics.items() if isinstance(v, (int, float))}
        if self._recorder is not None:
            self._recorder.evaluation(self.trainer.state.global_step, numbers)

    @property
    def stop(self) -> bool:
        """Whether any rank wanted to stop at the last log; the same on all."""
        return self._capture.stop

    def baselines(self, settings: EarlyTerminationSettings) -> Baselines:
        """What this run is compared with; nothing on all ranks but the first."""
        history = self._recorder.history if self._recorder else None
        if history is None:
            return Baselines()
        try:
            return baselines(self._candidate, history, settings)
        except SFTGuideError as error:
            say(f"no comparison with earlier runs: {error}")
            return Baselines()

    def end(self) -> None:
        """Note how the run ended, and let the trainer go.

        Not collective: a rank may come here alone, through an error. Where several
        ranks train, the steps since the last log are known in part only, and are left
        out; a training that comes to its end logs once more.
        """
        if self._ended:
            return
        if self.trainer.args.world_size == 1:
            self._take(self._capture.drain() or [], {})
        self._close()

    def let_go(self) -> None:
        """Stop watching at once, as another rank could not begin to."""
        self.status, self.reason = "failed", "another rank could not be watched"
        self._close()

    def _close(self) -> None:
        self._ended = True
        self._capture.detach()
        atexit.unregister(self._at_exit)
        noise_scale = estimate(self._measured)
        if self._main and noise_scale is not None:
            say(noise_scale.advice())
        wanted = self.settings.effective_batch_size
        if self._main and wanted is not None and self._batch.steps:
            say(f"effective batch size {wanted}: it was {self._batch}")
        if self._main and self.status == "finished":
            marker.clear(self.output_dir)  # of the run that this one resumed
        if self._recorder is not None:
            self._recorder.end(self.status, self.reason)

    def _make_exact(self) -> None:
        obstacle = make_exact(self.trainer)
        if obstacle is not None and self._main:
            say(
                f"warning: no exact_accumulation, because {obstacle}; the loss of a "
                f"step is the {loss_normalisation(self.trainer)}"
            )

    def _micro_batches(self) -> MicroBatchGradients | None:
        monitor = self.settings.monitor
        if not monitor.noise_scale:
            return None
        obstacle = noise_scale_obstacle(self.trainer)
        alike = correlated_micro_batches(self.trainer)
        if self._main and obstacle is not None:
            say(f"no noise scale, because {obstacle}")
        elif self._main and alike is not None:
            say(f"warning: the noise scale will be too low, because {alike}")
        if obstacle is not None:
            return None
        return MicroBatchGradients(
            self.trainer.model.parameters(), monitor.noise_scale_every
        )

    def _on_log(self, logs: dict[str, Any], steps: list[CapturedStep]) -> bool:
        self._take(steps, logs)
        if "loss" not in logs:
            return False
        logs.update(window_logs(self.window))
        logs.update(noise_scale_logs(estimate(self._measured)))
        return self.judge(self.window)

    def _take(self, captured: list[CapturedStep], logs: dict[str, Any]) -> None:
        for step in captured:
            self._check_norm(step)
        self.window = tuple(self._observe(step, logs) for step in captured)
        self._measured.extend(self.window)
        if self._recorder is not None:
            self._recorder.step_s = self._pace.step_s
            self._recorder.steps(self.window)

    def _check_norm(self, step: CapturedStep) -> None:
        """Distrust the norms of this run where a second computation disagrees."""
        if step.independent_norm is None or step.grad_norm is None:
            if self._recorder is not None and not self._norm_checked:
                self._recorder.norm_check(step=step.step, ratio=None, right=None)
            self._norm_checked = True
            return
        self._norm_checked = True
        ratio = _ratio(step.grad_norm, step.independent_norm)
        right = abs(ratio - 1) <= NORM_TOLERANCE
        if self._recorder is not None:
            self._recorder.norm_check(step=step.step, ratio=ratio, right=right)
        if not right and self._norm_is_right:
            self._norm_is_right = False
            if self._main:
                say(
                    f"warning: the gradient norm at step {step.step} is {ratio:.4g} "
                    "times that of the gradients themselves (sharding, loss scaling "
                    "or a patch of the host); this run is compared with no other"
                )

    def _observe(self, step: CapturedStep, logs: dict[str, Any]) -> Observation:
        counted = step.samples is not None
        if step.samples is not None:
            self._samples_seen += step.samples
            self._batch.add(step.samples)
        else:
            self._samples_seen = self._epoch_times_size()
        norm = step.grad_norm
        return Observation(
            step=step.step,
            samples_seen=self._samples_seen,
            loss=step.loss,
            grad_norm=float(logs.get("grad_norm", "nan")) if norm is None else norm,
            learning_rate=step.learning_rate,
            trained_tokens=step.trained_tokens,
            grad_noise=step.grad_noise,
            measured=norm is not None and self._norm_is_right,
            samples_counted=counted,
        )

    def _on_error(self, error: BaseException) -> None:
        name = type(error).__name__
        self.status = "failed"
        self.reason = f"{name}: {error}".splitlines()[0] if str(error) else name
        self.end()

    def _at_exit(self) -> None:
        self.status, self.reason = "failed", "the process ended before the training did"
        self.end()

    def _epoch_times_size(self) -> int:
        try:
            rows = len(self.trainer.train_dataset)
        except TypeError:
            return 0
        return round((self.trainer.state.epoch or 0) * rows)

    def _resumed_trace(self) -> Trace | None:
        paths = sorted(Path(self.output_dir).glob(PATTERN), key=_modified)
        for path in reversed(paths):
            try:
                return read_trace(path)
            except SFTGuideError as error:
                say(f"{error}; the steps in it are passed over")
        return None

    def _samples_before(self, resumed: Trace | None) -> int:
        step = self.trainer.state.global_step
        if resumed is not None:
            self.past = tuple(o for o in resumed.observations if o.step <= step)
        if self.past:
            return self.past[-1].samples_seen
        return self._epoch_times_size() if step else 0

    def _run_row(
        self, fields: dict[str, Any], config: dict[str, Any] | None
    ) -> dict[str, Any]:
        args = self.trainer.args
        return {
            "id": self.run_id,
            "name": self.settings.name or Path(self.output_dir).name,
            "study": self.settings.study,
            "key": self.key,
            "key_fields": fields,
            "comparable": all(o.measured for o in self.past),
            "host": host_name(self.trainer),
            "device": device_name(args.device),
            "config": json_safe(config if config is not None else args.to_dict()),
            "output_dir": self.output_dir,
            "max_steps": self.trainer.state.max_steps,
            "started_at": time.time(),
            **this_process(),
        }


def _ratio(one: float, two: float) -> float:
    if not (math.isfinite(one) and math.isfinite(two)):
        return 1.0 if math.isfinite(one) == math.isfinite(two) else math.inf
    return one / two if two else (1.0 if one == 0 else math.inf)


def harmless(method: Callable[..., Any]) -> Callable[..., Any]:
    """A callback's method whose own faults are told once and never end a run."""

    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "_asleep", False):
            return None
        try:
            return method(self, *args, **kwargs)
        except SFTGuideError as error:
            self._asleep = True
            say(f"{error}; training goes on without {type(self).__name__}")
        except Exception as fault:
            self._asleep = True
            say(
                f"{type(self).__name__} sleeps after a fault of its own ({fault!r}); "
                "training goes on"
            )
        return None

    guarded.__name__ = method.__name__
    guarded.__doc__ = method.__doc__
    return guarded


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
