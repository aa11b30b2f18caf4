"""Faults of the hosts, each shown by a script of its own.

    python benchmarks/upstream [NAME ...]    # runs the scripts with the installed hosts
    python benchmarks/upstream --table       # writes README.md from their docstrings

A script needs nothing but the host, and prints what is expected and what is observed.
It exits with 0 where the fault is shown, 2 where the host no longer has it, and 77
where it cannot be shown, as a package or a device is missing.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHOWN, GONE, CANNOT = 0, 2, 77
SAID = {SHOWN: "shown", GONE: "no longer there", CANNOT: "cannot be shown here"}
FIELDS = ("Host", "Versions", "Expected", "Observed", "Cause", "Reported")
HEAD = """# Faults found in the hosts

Each script shows one fault in seconds on a CPU, with a tiny random model, and is
ready to be reported to the host: its docstring has the versions, what is
expected, what is observed and the cause. It imports nothing from here, so that it can
be pasted into a report as it stands. `python benchmarks/upstream` runs them all
with the installed hosts; a script exits with 0 where the fault is shown, 2 where the
host no longer has it, and 77 where it cannot be shown. "Not found" is a search of
public issues and pull requests in November 2026. Nothing has been filed from here.

| script | fault | versions | reported |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Fault:
    """What a script's docstring says."""

    path: Path
    title: str
    fields: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Fault:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        title, _, rest = text.partition("\n\n")
        parts = re.split(rf"^({'|'.join(FIELDS)}): ", rest, flags=re.MULTILINE)[1:]
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return cls(path, title, {name: " ".join(said.split()) for name, said in pairs})

    @property
    def row(self) -> str:
        """Its row in the table of README.md."""
        name, where = self.path.name, _linked(self.fields["Reported"])
        versions = self.fields["Versions"]
        return f"| [{name}]({name}) | {self.title} | {versions} | {where} |\n"


def _linked(text: str) -> str:
    """Addresses of threads as short links."""
    return re.sub(
        r"https://github\.com/([\w-]+)/([\w.-]+)/(?:issues|pull)/(\d+)",
        r"[\1/\2#\3](\g<0>)",
        text,
    )


def faults() -> list[Fault]:
    """All scripts of this folder."""
    paths = sorted(HERE.glob("*.py"))
    return [Fault.read(path) for path in paths if not path.name.startswith("_")]


def table() -> str:
    """The text of README.md."""
    return HEAD + "".join(fault.row for fault in faults())


def run(fault: Fault) -> tuple[int, str]:
    """Run a script; its exit status, and what it said that was observed."""
    done = subprocess.run(
        [sys.executable, str(fault.path)],
        capture_output=True,
        text=True,
        env={**os.environ, "AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"},
    )
    lines = done.stdout.splitlines()
    said = [line for line in lines if line.startswith(("expected:", "observed:"))]
    said = said or lines[-1:] or done.stderr.splitlines()[-1:]
    return done.returncode, "\n".join(f"    {line}" for line in said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of names; all without")
    parser.add_argument("--table", action="store_true", help="write README.md")
    asked = parser.parse_args()
    if asked.table:
        (HERE / "README.md").write_text(table(), encoding="utf-8")
        return
    counts = dict.fromkeys(SAID, 0)
    for fault in faults():
        if asked.names and not any(name in fault.path.name for name in asked.names):
            continue
        status, said = run(fault)
        print(f"{fault.path.stem}: {SAID.get(status, f'failed ({status})')}\n{said}")
        counts[status] = counts.get(status, 0) + 1
    summary = ", ".join(f"{counts[status]} {word}" for status, word in SAID.items())
    print(summary)
    sys.exit(any(n for status, n in counts.items() if status not in SAID))


if __name__ == "__main__":
    main()
