"""The run history: an index over runs, rebuilt from their traces where it is lost."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import platformdirs
import psutil
import sqlalchemy as sa

from .errors import StorageError, TraceError
from .traces import Trace

Status = Literal["running", "finished", "terminated", "failed"]
Goal = Literal["max", "min"]
_Mode = Literal["DEFERRED", "IMMEDIATE"]

SCHEMA_VERSION = 1
"""The version of the tables that this package writes."""

STORAGE_VARIABLE = "SFTGUIDE_STORAGE"
"""The environment variable that names the storage where no setting does."""

SILENT_AFTER_S = 900.0
"""A run on another host counts as dead after this long without a heartbeat."""


class _Figure(sa.types.UserDefinedType[float]):
    """A number that may be NaN, which SQLite keeps only as text."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "DOUBLE PRECISION"

    def bind_processor(self, dialect: sa.Dialect) -> Any:
        if dialect.name != "sqlite":
            return None
        return lambda value: "NaN" if value is not None and value != value else value

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        return lambda value: None if value is None else float(value)


_metadata = sa.MetaData()
_meta = sa.Table(
    "sftguide_meta", _metadata, sa.Column("schema_version", sa.Integer, nullable=False)
)
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("study", sa.String, nullable=False, index=True),
    sa.Column("key", sa.String, nullable=False, index=True),
    sa.Column("key_fields", sa.JSON, nullable=False),
    sa.Column("comparable", sa.Boolean, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("reason", sa.String),
    sa.Column("output_dir", sa.String, nullable=False),
    sa.Column("trace_path", sa.String),
    sa.Column("hostname", sa.String, nullable=False),
    sa.Column("process_id", sa.Integer, nullable=False),
    sa.Column("process_started_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("heartbeat_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("max_steps", sa.Integer, nullable=False),
    sa.Column("samples_seen", sa.BigInteger, nullable=False),
    sa.Column("loss", _Figure),
    sa.Column("grad_norm", _Figure),
)
_scores = sa.Table(
    "scores",
    _metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("metric", sa.String, primary_key=True),
    sa.Column("value", _Figure, nullable=False),
    sa.Column("goal", sa.String, nullable=False),
    sa.Column("base_value", _Figure),
    sa.Column("recorded_at", sa.Float, nullable=False),
)
_decisions = sa.Table(
    "decisions",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False, index=True),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("samples_seen", sa.BigInteger, nullable=False),
    sa.Column("figures", sa.JSON, nullable=False),
    sa.Column("reference", sa.String),
)
_RUN_COLUMNS = frozenset(column.name for column in _runs.columns)
_NEEDED = frozenset(
    "id name study key key_fields comparable host config output_dir hostname "
    "process_id process_started_at started_at max_steps".split()
)


@dataclass(frozen=True)
class Score:
    """A run's result on one metric."""

    metric: str
    value: float
    goal: Goal
    base_value: float | None = None
    """The same metric of the model before the first step."""


@dataclass(frozen=True)
class Decision:
    """What a rule decided, and why."""

    rule: str
    action: str
    """`warn` or `stop`."""
    reason: str
    step: int
    samples_seen: int
    figures: dict[str, Any] = field(default_factory=dict)
    reference: str | None = None


@dataclass(frozen=True)
class Run:
    """One run as the history knows it. Times are seconds since 1970, UTC."""

    id: str
    name: str
    study: str
    key: str
    key_fields: dict[str, Any]
    comparable: bool
    host: str
    config: dict[str, Any]
    status: Status
    reason: str | None
    output_dir: str
    trace_path: str | None
    hostname: str
    process_id: int
    process_started_at: float
    started_at: float
    heartbeat_at: float
    ended_at: float | None
    step: int
    max_steps: int
    samples_seen: int
    loss: float | None
    grad_norm: float | None
    scores: tuple[Score, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def shown_status(self) -> str:
        """The status, with `dead` for a run that says it runs and does not.

        On this host the process is looked up by its id and start time; elsewhere a
        run is dead after `SILENT_AFTER_S` without a heartbeat.
        """
        return "dead" if self.status == "running" and not self._alive else self.status

    @property
    def _alive(self) -> bool:
        if self.hostname != socket.gethostname():
            return time.time() - self.heartbeat_at < SILENT_AFTER_S
        try:
            process = psutil.Process(self.process_id)
            started, state = process.create_time(), process.status()
        except psutil.Error:
            return False
        # A killed child that its parent has not asked after is a zombie.
        same = abs(started - self.process_started_at) < 2.0
        return same and state != psutil.STATUS_ZOMBIE

    @property
    def steps_saved(self) -> int:
        """Optimizer steps that were not taken because the run was stopped."""
        stopped = self.status == "terminated"
        return max(0, self.max_steps - self.step) if stopped else 0

    def score(self, metric: str | None = None) -> Score | None:
        """The score on a metric, or the first one recorded."""
        found = [s for s in self.scores if metric is None or s.metric == metric]
        return found[0] if found else None


def default_storage() -> str:
    """The SQLite file that serves Axolotl, TRL and the command line alike."""
    folder = platformdirs.user_data_path("sftguide", appauthor=False)
    return f"sqlite:///{folder / 'runs.db'}"


def resolve_storage(storage: str | None = None) -> str:
    """The storage URL: the argument, else `SFTGUIDE_STORAGE`, else the default.

    A path without a scheme is taken as an SQLite file.
    """
    chosen = storage or os.environ.get(STORAGE_VARIABLE) or default_storage()
    if "://" not in chosen:
        return f"sqlite:///{Path(chosen).expanduser()}"
    return chosen


def this_process() -> dict[str, Any]:
    """What tells this process from all others: host name, id and start time."""
    process = psutil.Process()
    return {
        "hostname": socket.gethostname(),
        "process_id": process.pid,
        "process_started_at": process.create_time(),
    }


class RunHistory:
    """Runs, their scores and the decisions on them, in one database.

    Args:
        storage: URL or path; see `resolve_storage`.

    Raises:
        StorageError: Where it cannot be opened, or is of a newer version.
    """

    def __init__(self, storage: str | None = None) -> None:
        self.url = resolve_storage(storage)
        """Where it lies; a password in it is left out."""
        try:
            url = sa.make_url(self.url)
            self.url = url.render_as_string(hide_password=True)
            self._engine = sa.create_engine(url, connect_args=self._open_args(url))
            self._prepare(url)
        except (sa.exc.ArgumentError, ImportError) as error:
            raise StorageError(
                f"run history {self.url}: not a usable storage URL ({error}); write "
                "for example sqlite:///outputs/sftguide.db"
            ) from None
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"run history {self.url}: cannot be opened ({_cause(error)}); set "
                f"`sftguide.storage` or {STORAGE_VARIABLE} to a place you can write to"
            ) from None

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def begin(self, run: Mapping[str, Any]) -> None:
        """Enter a run, or enter it again after a resume."""
        with self._transaction() as connection:
            self._begin(connection, run)

    def progress(self, run_id: str, **values: Any) -> None:
        """Note a run's last step, samples seen, loss and gradient norm.

        Raises:
            StorageError: Where the run is not in the history.
        """
        with self._transaction() as connection:
            self._update(connection, run_id, heartbeat_at=time.time(), **values)

    def end(
        self,
        run_id: str,
        status: Status,
        reason: str | None = None,
        *,
        at: float | None = None,
    ) -> None:
        """Note how a run ended, and when; by default now.

        Raises:
            StorageError: Where the run is not in the history.
        """
        ended_at = time.time() if at is None else at
        with self._transaction() as connection:
            self._update(
                connection, run_id, status=status, reason=reason, ended_at=ended_at
            )

    def add_score(self, run_id: str, score: Score) -> None:
        """Record a score; the same metric again replaces it.

        Raises:
            StorageError: Where the run is not in the history.
        """
        with self._transaction() as connection:
            self._add_score(connection, run_id, score)

    def add_decision(self, run_id: str, decision: Decision) -> None:
        """Record what a rule decided.

        Raises:
            StorageError: Where the run is not in the history.
        """
        with self._transaction() as connection:
            self._add_decision(connection, run_id, decision)

    def runs(self, *, study: str | None = None, key: str | None = None) -> list[Run]:
        """The runs of a study and key, oldest first."""
        query = sa.select(_runs).order_by(_runs.c.started_at, _runs.c.id)
        if study is not None:
            query = query.where(_runs.c.study == study)
        if key is not None:
            query = query.where(_runs.c.key == key)
        with self._transaction("DEFERRED") as connection:
            rows = connection.execute(query).mappings().all()
            query = sa.select(_scores).order_by(_scores.c.recorded_at)
            scores = connection.execute(query).mappings().all()
            query = sa.select(_decisions).order_by(_decisions.c.id)
            decisions = connection.execute(query).mappings().all()
        return [_run(row, scores, decisions) for row in rows]

    def get(self, run_id: str) -> Run:
        """One run, by its id, the start of its id, or its name; `latest` for the last.

        Raises:
            StorageError: Where no run or more than one fits.
        """
        runs = self.runs()
        if run_id == "latest" and runs:
            return runs[-1]
        found = [r for r in runs if r.id == run_id] or [
            r for r in runs if r.id.startswith(run_id) or r.name == run_id
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise StorageError(
                f"run history {self.url}: holds no run {run_id!r}; "
                "`sftguide runs list` shows them all"
            )
        raise StorageError(
            f"run history {self.url}: {run_id!r} fits {len(found)} runs "
            f"({', '.join(r.id for r in found[:5])}); give the whole id"
        )

    def reference(self, study: str, key: str, which: str = "best") -> Run | None:
        """The run to compare with: finished, scored, comparable, same study and key.

        Args:
            study: The study of the run in question.
            key: Its comparability key.
            which: A run id, or `best` for the best score on the metric that most of
                the candidates share.
        """
        candidates = [
            run
            for run in self.runs(study=study, key=key)
            if run.status == "finished" and run.comparable and run.scores
        ]
        if which != "best":
            return next((r for r in candidates if which in (r.id, r.name)), None)
        scored = [
            (run, score)
            for run in candidates
            for score in run.scores
            if not math.isnan(score.value)
        ]
        metrics = [score.metric for _, score in scored]
        if not metrics:
            return None
        metric = max(sorted(set(metrics)), key=metrics.count)
        return max(
            ((run, score) for run, score in scored if score.metric == metric),
            key=lambda pair: pair[1].value * (1 if pair[1].goal == "max" else -1),
        )[0]

    def import_trace(self, trace: Trace) -> Run:
        """Enter a run, its progress, decisions, scores and end from its trace.

        Raises:
            TraceError: Where the trace does not say all that a run needs; nothing
                is changed then.
        """
        try:
            with self._transaction() as connection:
                run_id = self._enter(connection, trace)
        except (KeyError, TypeError) as error:
            raise TraceError(
                f"{trace.path}: does not say all of its run ({error}); nothing was "
                "entered"
            ) from None
        return self.get(run_id)

    def _enter(self, connection: sa.Connection, trace: Trace) -> str:
        run_id = str(trace.run["id"])
        for table in (_scores, _decisions):
            connection.execute(sa.delete(table).where(table.c.run_id == run_id))
        connection.execute(sa.delete(_runs).where(_runs.c.id == run_id))
        row = {**trace.run, "trace_path": str(trace.path.resolve())}
        missing = sorted(_NEEDED - row.keys())
        if missing:
            raise KeyError(", ".join(missing))
        self._begin(connection, row)
        written_at = trace.path.stat().st_mtime
        self._update(connection, run_id, heartbeat_at=written_at, **_progress(trace))
        for event in trace.events:
            if event["event"] == "decision":
                self._add_decision(connection, run_id, Decision(**_of(Decision, event)))
            elif event["event"] == "score":
                self._add_score(connection, run_id, Score(**_of(Score, event)))
        end = trace.end
        if end is not None:
            self._update(
                connection,
                run_id,
                status=end["status"],
                reason=end.get("reason"),
                ended_at=end["at"],
            )
        return run_id

    def _begin(self, connection: sa.Connection, run: Mapping[str, Any]) -> None:
        row = {k: v for k, v in run.items() if k in _RUN_COLUMNS}
        again = {"status": "running", "reason": None, "ended_at": None}
        if self._holds(connection, row["id"]):
            row = {"heartbeat_at": time.time(), **row, **again}
            del row["started_at"]
            self._update(connection, row.pop("id"), **row)
        else:
            new = {"heartbeat_at": row["started_at"], "step": 0, "samples_seen": 0}
            connection.execute(sa.insert(_runs).values({**new, **again, **row}))

    def _add_score(self, connection: sa.Connection, run_id: str, score: Score) -> None:
        self._require(connection, run_id)
        row = {"run_id": run_id, **vars(score), "recorded_at": time.time()}
        same = (_scores.c.run_id == run_id, _scores.c.metric == score.metric)
        connection.execute(sa.delete(_scores).where(*same))
        connection.execute(sa.insert(_scores).values(row))

    def _add_decision(
        self, connection: sa.Connection, run_id: str, decision: Decision
    ) -> None:
        self._require(connection, run_id)
        row = {"run_id": run_id, **vars(decision)}
        connection.execute(sa.insert(_decisions).values(row))

    def _update(self, connection: sa.Connection, run_id: str, **values: Any) -> None:
        self._require(connection, run_id)
        update = sa.update(_runs).where(_runs.c.id == run_id).values(values)
        connection.execute(update)

    def _require(self, connection: sa.Connection, run_id: str) -> None:
        if not self._holds(connection, run_id):
            raise StorageError(f"run history {self.url}: holds no run {run_id!r}")

    @staticmethod
    def _holds(connection: sa.Connection, run_id: str) -> bool:
        query = sa.select(_runs.c.id).where(_runs.c.id == run_id)
        return connection.execute(query).first() is not None

    @staticmethod
    def _open_args(url: sa.URL) -> dict[str, Any]:
        # Training waits at most this long for another writer. No isolation level:
        # `_lock` begins by itself, before the first reading.
        sqlite = url.get_backend_name() == "sqlite"
        return {"timeout": 2.0, "isolation_level": None} if sqlite else {}

    def _prepare(self, url: sa.URL) -> None:
        if self._sqlite and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        if not sa.inspect(self._engine).has_table(_meta.name):
            self._create()
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(_meta.c.schema_version)).scalar_one()
        if found > SCHEMA_VERSION:
            raise StorageError(
                f"run history {self.url}: is of version {found}, this "
                f"axolotl-sftguide knows version {SCHEMA_VERSION}; upgrade it, or "
                f"name another with `sftguide.storage` or {STORAGE_VARIABLE}"
            )

    def _create(self) -> None:
        with self._lock("IMMEDIATE") as connection:
            _metadata.create_all(connection)
            # Another process may have been faster.
            if connection.execute(sa.select(_meta)).first() is None:
                row = {"schema_version": SCHEMA_VERSION}
                connection.execute(sa.insert(_meta).values(row))
        if self._sqlite:
            # Readers do not wait for a writer then; where one holds the file just
            # now, they do.
            with (
                suppress(sa.exc.OperationalError),
                self._engine.connect() as connection,
            ):
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    @property
    def _sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def _lock(self, mode: _Mode) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            if self._sqlite:
                connection.exec_driver_sql(f"BEGIN {mode}")
            yield connection

    @contextmanager
    def _transaction(self, mode: _Mode = "IMMEDIATE") -> Iterator[sa.Connection]:
        try:
            with self._lock(mode) as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(
                f"run history {self.url}: {_cause(error)}; what is missing can be "
                "entered later with `sftguide runs import OUTPUT_DIR`"
            ) from None


def _progress(trace: Trace) -> dict[str, Any]:
    if not trace.observations:
        return {}
    last = trace.observations[-1]
    return {
        "step": last.step,
        "samples_seen": last.samples_seen,
        "loss": last.loss,
        "grad_norm": last.grad_norm,
        "comparable": all(o.measured for o in trace.observations),
    }


def _of(kind: type[Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that an event holds; a later form may hold more."""
    names = kind.__dataclass_fields__
    return {k: _number(v) for k, v in event.items() if k in names}


def _number(value: Any) -> Any:
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def _run(row: Any, scores: Any, decisions: Any) -> Run:
    own_scores = [s for s in scores if s["run_id"] == row["id"]]
    own_decisions = [d for d in decisions if d["run_id"] == row["id"]]
    score_fields = ("metric", "value", "goal", "base_value")
    decision_fields = tuple(Decision.__dataclass_fields__)
    return Run(
        **row,
        scores=tuple(Score(**{k: s[k] for k in score_fields}) for s in own_scores),
        decisions=tuple(
            Decision(**{k: d[k] for k in decision_fields}) for d in own_decisions
        ),
    )


def _cause(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return text.partition("\n")[0] or type(error).__name__


def json_safe(value: Any) -> Any:
    """A copy of a configuration that fits into a JSON column, secrets left out."""
    if isinstance(value, Mapping):
        return {
            str(k): "***" if _is_secret(str(k), v) else json_safe(v)
            for k, v in value.items()
        }
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [json_safe(v) for v in value]
    if isinstance(value, str):
        return _PASSWORD_IN_URL.sub(r"\1***@", value)
    try:
        json.dumps(value, allow_nan=False)
        return value
    except (TypeError, ValueError):
        return str(value)


_PASSWORD_IN_URL = re.compile(r"(\w://[^\s:/@]*:)[^\s/@]+@")
_SECRET = re.compile(
    r"(^|_)(secrets?|passwords?|passwd|credentials?|token)$"
    r"|(^|_)secret_|(^|_)(api|access|private|auth|license|secret|encryption)_?key(_id)?$"
)
_SPECIAL_TOKEN = re.compile(
    r"(^|_)(bos|eos|pad|unk|sep|cls|mask|bot|eot|boi|eoi|image|audio|video)_token$"
)


def _is_secret(key: str, value: Any) -> bool:
    """Whether a key names a secret; a number or a flag is none, nor is `eos_token`."""
    if not value or isinstance(value, (bool, int, float)):
        return False
    key = key.lower().replace("-", "_")
    return bool(_SECRET.search(key)) and not _SPECIAL_TOKEN.search(key)
