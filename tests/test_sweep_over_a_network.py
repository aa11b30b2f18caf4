"""Workers of one sweep on machines of their own, which share one PostgreSQL server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from network import SUBNET, Network, obstacle
from postgres import programs

PROJECT = Path(__file__).parent.parent
MACHINES = 3

BEGIN = """
import socket, sys, time
from pathlib import Path
from axolotl_sftguide.runs import postgresql
from axolotl_sftguide.sweep import Objective, Range, SearchSpace, SweepStudy
from axolotl_sftguide.sweep._lock import alone

postgresql.QUIET_S, postgresql.GONE_S, postgresql._ASKED_EVERY_S = 2, 4, 1
space = SearchSpace({"rate": Range(low=1e-4, high=1e-1, log=True)}, {})
study = SweepStudy(
    sys.argv[1], "s", space=space, recipe={"seed": 1}, objective=Objective("m", "max"),
    output_dir=Path(sys.argv[2]) / socket.gethostname(), sampler="random",
)
print("ready", socket.gethostname(), flush=True)
sys.stdin.readline()
"""
WORK = """
study.plan(18)
while (trial := study.claim()) is not None:
    print(trial.number, flush=True)
    time.sleep(0.05)
    study.finish(trial, trial.values["rate"])
"""
HOLD = """
with alone(sys.argv[1]):
    print("holds", flush=True)
    time.sleep(600)
"""
WAIT = """
with alone(sys.argv[1]):
    print("got it", flush=True)
"""


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    why = obstacle() or ("PostgreSQL is not installed" if programs() is None else None)
    if why is not None:
        pytest.skip(why)
    with TemporaryDirectory(prefix="sftguide-network-") as folder:
        made = Network(Path(folder), MACHINES)
        yield made
        made.close()


class Machines:
    """Starts the workers of a study on machines of the network."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network, self._folder = network, folder
        self.database = network.server.new_database()
        self._started: list[subprocess.Popen[str]] = []

    def start(self, machine: int, code: str) -> subprocess.Popen[str]:
        """A worker that has opened the study; it goes on when it is told."""
        words = [sys.executable, "-c", BEGIN + code, self.network.url(self.database)]
        env = {**os.environ, "PYTHONPATH": str(PROJECT)}
        started = self.network.on(machine, *words, str(self._folder), env=env)
        self._started.append(started)
        assert read(started) == f"ready machine{machine}"
        return started

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def machines(network: Network, tmp_path: Path) -> Iterator[Machines]:
    made = Machines(network, tmp_path)
    yield made
    made.close()


def read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def clients(database: str) -> set[str]:
    """The addresses from which a database has connections."""
    engine = sa.create_engine(database)
    query = (
        "SELECT host(client_addr) FROM pg_stat_activity WHERE client_addr IS NOT NULL"
    )
    with engine.connect() as connection:
        found = set(connection.exec_driver_sql(query).scalars())
    engine.dispose()
    return found


def test_machines_share_the_trials_of_a_sweep_and_one_may_lose_its_network(
    machines: Machines,
) -> None:
    workers = [machines.start(i, WORK) for i in range(MACHINES)]
    seen = clients(machines.database)
    assert seen == {f"{SUBNET}.{10 + i}" for i in range(MACHINES)}
    for worker in workers:
        go_on(worker)
    claimed = [[read(worker)] for worker in workers]
    machines.network.cut(0)  # for less time than it takes to count as gone
    time.sleep(1)
    machines.network.reconnect(0)
    for own, worker in zip(claimed, workers, strict=True):
        own += worker.communicate(timeout=120)[0].split()
    assert [worker.returncode for worker in workers] == [0] * MACHINES
    numbers: list[Any] = sorted(int(n) for own in claimed for n in own)
    assert numbers == list(range(18))


def test_a_machine_that_is_cut_off_does_not_keep_the_others_waiting(
    machines: Machines,
) -> None:
    """Without a limit, its server would keep its lock for two hours."""
    holder, other = machines.start(0, HOLD), machines.start(1, WAIT)
    go_on(holder)
    assert read(holder) == "holds"
    machines.network.cut(0)
    cut_at = time.monotonic()
    go_on(other)
    assert read(other) == "got it"
    assert 1 < time.monotonic() - cut_at < 30
    machines.network.reconnect(0)
