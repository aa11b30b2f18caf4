"""The tables, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

SCHEMA_VERSION = 6
"""The schema version that this package reads and writes."""


class Broken:
    """Stands for a stored value that is not of its column's type."""


BROKEN = Broken()


class Figure(sa.types.UserDefinedType[float]):
    """A number that may be NaN, which SQLite can store only as text."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "DOUBLE PRECISION"

    def bind_processor(self, dialect: sa.Dialect) -> Any:
        if dialect.name != "sqlite":
            return None
        return lambda value: "NaN" if value is not None and value != value else value

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        def process(value: Any) -> Any:
            try:
                return None if value is None else float(value)
            except (TypeError, ValueError):
                return BROKEN

        return process


class Json(sa.types.TypeDecorator[Any]):
    """A JSON value; text that is none is read as `BROKEN`, and hides no other row."""

    impl = sa.JSON
    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        read = super().result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            try:
                return value if read is None else read(value)
            except (TypeError, ValueError):
                return BROKEN

        return process


metadata = sa.MetaData()
meta = sa.Table(
    "sftguide_meta", metadata, sa.Column("schema_version", sa.Integer, nullable=False)
)
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("study", sa.String, nullable=False, index=True),
    sa.Column("key", sa.String, nullable=False, index=True),
    sa.Column("key_fields", Json, nullable=False),
    sa.Column("comparable", sa.Boolean, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("config", Json, nullable=False),
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
    sa.Column("loss", Figure),
    sa.Column("grad_norm", Figure),
    sa.Column("device", sa.String),  # since version 4
    sa.Column("step_s", sa.Float),  # since version 4
)
scores = sa.Table(
    "scores",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("metric", sa.String, primary_key=True),
    sa.Column("value", Figure, nullable=False),
    sa.Column("goal", sa.String, nullable=False),
    sa.Column("base_value", Figure),
    sa.Column("recorded_at", sa.Float, nullable=False),
    sa.Column("origin", sa.String),  # since version 5; of older scores unknown
    sa.Column("examples", sa.BigInteger),  # since version 6
)
decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False, index=True),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("samples_seen", sa.BigInteger, nullable=False),
    sa.Column("figures", Json, nullable=False),
    sa.Column("reference", sa.String),
    sa.Column("signals", Json(none_as_null=True)),  # since version 6
)
points = sa.Table(
    "points",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("samples_seen", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("loss", Figure, nullable=False),
    sa.Column("grad_norm", Figure, nullable=False),
    sa.Column("grad_noise", Figure),  # since version 3
    sqlite_with_rowid=False,
)
"""A run's curve: means over `POINT_STEPS` finite steps each (since version 2)."""

tags = sa.Table(
    "tags",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("tag", sa.String, primary_key=True),
)
"""Words that a user gave to runs (since version 6)."""

TABLES_ADDED_IN = {2: (points,), 6: (tags,)}
"""The tables that each later version added."""

COLUMNS_ADDED_IN = {
    3: (points.c.grad_noise,),
    4: (runs.c.device, runs.c.step_s),
    5: (scores.c.origin,),
    6: (scores.c.examples, decisions.c.signals),
}
"""The columns that each later version added to existing tables."""
