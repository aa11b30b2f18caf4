"""A real PostgreSQL server of our own, for as long as the tests run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian keeps them off the path."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


class Server:
    """Listens on a socket in its own folder, and nowhere else unless told.

    Args:
        folder: The folder of its database.
        address: An IP address to listen on too.
        clients: The network of its clients there, such as `10.0.0.0/24`.
        enter: The command in front of its own, such as `ip netns exec NAME`.
    """

    def __init__(
        self,
        folder: Path,
        address: str = "",
        clients: str = "",
        enter: Sequence[str] = (),
    ) -> None:
        bin_ = programs()
        assert bin_ is not None
        self._bin = bin_
        self._folder = folder
        self._databases = 0
        self._address, self._enter = address, list(enter)
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(folder / "data"), "-U", "tests", "-A", "trust")
        if clients:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {clients} trust\n")
        self.start()

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses={self._address} -c fsync=off"
        log = str(self._folder / "log")
        self._control("start", "-w", "-l", log, "-o", options)

    def stop(self) -> None:
        self._control("stop", "-w", "-m", "immediate")

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._databases += 1
        name = f"runs{self._databases}"
        self._run("createdb", "-h", str(self._folder), "-U", "tests", name)
        return f"postgresql+psycopg://tests@/{name}?host={self._folder}"

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), *words)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._bin / program), *words]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--clear-groups", *command]
        command = [*self._enter, *command]
        errors = self._folder / f"{program}.errors"
        # A pipe would stay open in the server that `pg_ctl start` leaves behind.
        with errors.open("wb") as stderr:
            status = subprocess.run(
                command,
                timeout=120,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            ).returncode
        assert status == 0, (
            f"{' '.join(command)} exited with status {status}: {_tail(errors)}\n"
            f"The server's log ends with: {_tail(self._folder / 'log')}"
        )


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-2000:] if path.exists() else "(no file)"
