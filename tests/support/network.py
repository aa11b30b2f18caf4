"""Machines of our own: network namespaces, each with its own address and host name.

Needs root and iproute2. The server's namespace has a bridge, and a cable (a veth pair)
to each machine; this machine's own network is not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from postgres import Server

SUBNET = "10.213.77"


def obstacle() -> str | None:
    """Why no namespaces can be made here; None if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "unshare") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed (iproute2, util-linux)"
    probe = f"sg{os.getpid()}-probe"
    for words in (["netns", "add", probe], ["netns", "del", probe]):
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode:
            return f"ip {' '.join(words)}: {done.stderr.strip()}"
    return None


class Network:
    """A server and some machines, each in a namespace of its own.

    Args:
        folder: The folder of the server's database.
        machines: How many machines.
    """

    def __init__(self, folder: Path, machines: int) -> None:
        self._spaces: list[str] = []
        self._name = f"sg{os.getpid()}"
        try:
            server = self._space("server")
            self._ip("-n", server, "link", "add", "bridge", "type", "bridge")
            self._ip("-n", server, "addr", "add", f"{SUBNET}.1/24", "dev", "bridge")
            self._ip("-n", server, "link", "set", "bridge", "up")
            for i in range(machines):
                self._connect(server, self._space(f"m{i}"), i)
            enter = ["ip", "netns", "exec", server]
            self.server = Server(folder, f"{SUBNET}.1", f"{SUBNET}.0/24", enter)
        except BaseException:
            self.close()
            raise

    def on(self, machine: int, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command on a machine, which has a host name of its own."""
        named = f'hostname machine{machine} && exec "$@"'
        enter = ["ip", "netns", "exec", f"{self._name}-m{machine}", "unshare", "--uts"]
        words = [*enter, "sh", "-c", named, "sh", *command]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, **options)

    def url(self, database: str) -> str:
        """The URL of a new database of the server, for the machines."""
        name = database.partition("/?")[0].rpartition("@/")[2].partition("?")[0]
        return f"postgresql+psycopg://tests@{SUBNET}.1/{name}"

    def cut(self, machine: int) -> None:
        """Disconnect a machine from the network without closing its connections."""
        self._ip("-n", self._spaces[0], "link", "set", f"cable{machine}", "down")

    def reconnect(self, machine: int) -> None:
        """Connect it again."""
        self._ip("-n", self._spaces[0], "link", "set", f"cable{machine}", "up")

    def close(self) -> None:
        """Stop the server and remove all namespaces."""
        if hasattr(self, "server"):
            self.server.stop()
        while self._spaces:
            self._ip("netns", "del", self._spaces.pop())

    def _space(self, name: str) -> str:
        space = f"{self._name}-{name}"
        self._ip("netns", "add", space)
        self._spaces.append(space)
        self._ip("-n", space, "link", "set", "lo", "up")
        return space

    def _connect(self, server: str, machine: str, i: int) -> None:
        ends = ["link", "add", f"cable{i}", "type", "veth", "peer", "name", "eth0"]
        self._ip("-n", server, *ends, "netns", machine)
        self._ip("-n", server, "link", "set", f"cable{i}", "master", "bridge", "up")
        self._ip("-n", machine, "addr", "add", f"{SUBNET}.{10 + i}/24", "dev", "eth0")
        self._ip("-n", machine, "link", "set", "eth0", "up")

    @staticmethod
    def _ip(*words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
