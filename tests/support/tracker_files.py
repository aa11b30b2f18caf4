"""What experiment trackers have stored of a run, read without a server."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Stored:
    """What a person finds in one tracker."""

    facts: dict[str, Any] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)
    series: set[str] = field(default_factory=set)


def environment(folder: Path) -> dict[str, str]:
    """Trackers that write into a folder and reach for no network."""
    return {
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_SILENT": "true",
        "TENSORBOARD_LOGGING_DIR": str(folder / "tensorboard"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "TRACKIO_DIR": str(folder / "trackio"),
    }


def usable(name: str) -> bool:
    """Whether a tracker is installed, in a version that transformers supports."""
    if find_spec(name) is None:
        return False
    if name == "trackio":
        import trackio

        # transformers 5.16.1 passes an argument that trackio 0.19.0 does not have.
        return "bucket_id" in signature(trackio.init).parameters
    return True


def of_tensorboard(folder: Path) -> Stored:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    tags = found.Tags()
    stored = Stored(series=set(tags["scalars"]))
    for tag in tags["tensors"]:
        texts = [e.tensor_proto.string_val[0].decode() for e in found.Tensors(tag)]
        if tag.startswith("sftguide/run"):
            lines = [line[2:] for text in texts for line in text.splitlines()]
            pairs = [line.split(": ", 1) for line in lines]
            stored.facts |= {f"sftguide/{name}": value for name, value in pairs}
        elif tag.startswith("sftguide/verdict"):
            stored.alerts += texts
    return stored


def of_wandb(folder: Path) -> Stored:
    from wandb.proto import wandb_internal_pb2

    stored = Stored()
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    for data in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "alert":
            stored.alerts.append(f"{record.alert.title}\n{record.alert.text}")
        elif kind == "summary":
            for item in record.summary.update:
                name = item.key or "/".join(item.nested_key)
                stored.facts[name] = json.loads(item.value_json)
        elif kind == "history":
            items = record.history.item
            stored.series |= {i.key or "/".join(i.nested_key) for i in items}
    return stored


def _records(data: bytes) -> Iterator[bytes]:
    """The records of W&B's file: LevelDB's log format after a header of 7 bytes."""
    block, at, part = 32_768, 7, b""
    while at + 7 <= len(data):
        left = block - at % block
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if not kind:
            break
        piece = data[at + 7 : at + 7 + length]
        at += 7 + length
        part = piece if kind in (1, 2) else part + piece
        if kind in (1, 4):
            yield part


def of_mlflow(folder: Path) -> Stored:
    import mlflow

    client = mlflow.MlflowClient(environment(folder)["MLFLOW_TRACKING_URI"])
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    return Stored(facts=dict(run.data.tags), series=set(run.data.metrics))


def of_trackio(folder: Path) -> Stored:
    (path,) = (folder / "trackio").glob("*.db")
    with sqlite3.connect(path) as database:
        configs = database.execute("SELECT config FROM configs").fetchall()
        alerts = database.execute("SELECT title, text FROM alerts").fetchall()
        logs = database.execute("SELECT metrics FROM metrics").fetchall()
    return Stored(
        json.loads(configs[0][0]),
        ["\n".join(alert) for alert in alerts],
        {name for (log,) in logs for name in json.loads(log)},
    )


def of_aim(folder: Path) -> Stored:
    from aim import Repo, Run

    repo = Repo(str(folder / "aim"))
    repo._recreate_index()  # what `aim up` does
    (run_hash,) = repo.list_all_runs()
    run = Run(run_hash, repo=repo, read_only=True)
    facts = {f"sftguide/{k}": v for k, v in run["sftguide"].items()}
    records = run.get_log_records()
    messages = [r.message for r in records.values.sparse_list()[1]] if records else []
    series = {name for name, _, _ in run.iter_metrics_info()}
    return Stored({**facts, "tags": run.tags}, messages, series)


READERS = {
    "tensorboard": of_tensorboard,
    "wandb": of_wandb,
    "mlflow": of_mlflow,
    "trackio": of_trackio,
    "aim": of_aim,
}


def stored_by(name: str, folder: Path) -> Stored:
    """What one tracker has stored; skips the test where it cannot be used."""
    if not usable(name):
        pytest.skip(f"{name} is not installed here, or too old for transformers")
    return READERS[name](folder)
