"""Versions of the hosts: installs each combination, and runs the tests of that host.

python benchmarks/host_versions.py              # all, one at a time, in .venv-hosts/
python benchmarks/host_versions.py trl-oldest   # some
python benchmarks/host_versions.py --page       # write the table into docs/hosts.md
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record import about

PROJECT = Path(__file__).parent.parent
RESULTS = PROJECT / "benchmarks" / "results" / "host_versions.json"
PAGE = PROJECT / "docs" / "hosts.md"
PART = re.compile(r"(<!-- matrix: .*? -->\n).*?(<!-- end of matrix -->)", re.DOTALL)

SHOWN = ("axolotl", "unsloth", "trl", "transformers", "torch", "accelerate", "peft")
"""The packages whose versions are recorded."""

TESTS = {
    "trl": {
        "test_watching_changes_nothing": (),
        "test_every_step_is_seen": ("norms_agree", "mean_loss", "under_packing"),
        "test_stopping": ("by_default", "last_good_checkpoint", "order_of_the"),
        "test_ends_of_a_run": ("resumed_run_continues",),
        "test_resume_finds_its_run": ("killed_and_resumed", "stop_that_was"),
        "test_evaluation_patience": ("run_stops_at_the",),
        "test_loss_by_source": ("each_source_has", "other_trainings"),
        "test_noise_scale_of_a_run": ("two_ranks_by_four",),
        "test_only_what_was_measured": ("overflows_that",),
        "test_other_trainers": ("pair_of_answers", "watching_grpo"),
        "test_two_ranks": ("stop_ends_both",),
    },
    "axolotl": {
        "test_watching_changes_nothing": (),
        "test_every_step_is_seen": ("norms_agree", "mean_loss", "under_packing"),
        "test_plugin": ("banner", "recorded_and_marked", "resume_from", "block"),
        "test_steps": (),
        "test_effective_batch": ("hold_them_exactly", "on_average"),
        "test_exact_accumulation": ("it_is_exact", "two_ranks"),
        "test_evaluation_patience": ("run_stops_at_the", "goes_on_from"),
        "test_loss_by_source": ("chunked_loss", "each_source_has"),
        "test_mix": ("in_their_order",),
        "test_longest_first": ("they_do",),
        "test_parked_run": (),
    },
    "unsloth": {"test_watching": ()},
}
"""Of each module, the tests with one of these words in their name; all without words.

Bit-identical weights, every step, stops, resumes, evaluations, sources, two ranks.
"""


@dataclass(frozen=True)
class Combination:
    """A host with the versions that are asked for; pip chooses all others."""

    name: str
    host: str
    pins: tuple[str, ...]
    python: str = "3.11"


COMBINATIONS = (
    Combination("trl-oldest", "trl", ("trl==1.9.0", "transformers==5.12.1")),
    Combination("unsloth-newest", "unsloth", ("unsloth",)),
)
"""Beside `make test` and `make test-trl`, which have fixed versions of their own."""


def main() -> int:
    """Run the combinations; 1 if a test failed with a released version."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="combinations; by default all")
    parser.add_argument("--folder", type=Path, default=PROJECT / ".venv-hosts")
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    parser.add_argument("--workers", default="2", help="processes of pytest")
    parser.add_argument("--page", action="store_true", help="only write docs/hosts.md")
    options = parser.parse_args()
    if options.page:
        write_page()
        return 0
    known = {each.name: each for each in COMBINATIONS}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no combination {', '.join(unknown)}; known: {', '.join(known)}")
    failed = False
    for each in (known[name] for name in options.names or known):
        row = run(each, options)
        print(f"{each.name}: {row.get('left_out') or summary(row)}", flush=True)
        if "left_out" not in row:
            keep(each, row)
            failed = failed or bool(row["failed"])
    return int(failed)


def run(each: Combination, options: argparse.Namespace) -> dict[str, Any]:
    """Install one combination and test it."""
    venv = options.folder / each.name
    python = venv / "bin" / "python"
    if not python.exists():
        base = interpreter(each.python)
        if base is None:
            return {"left_out": f"left out: Python {each.python} is not installed here"}
        print(f"{each.name}: installing ...", flush=True)
        install(each, base, venv)
    try:
        return test(each, python, options)
    finally:
        if not options.keep:
            shutil.rmtree(venv)


def interpreter(version: str) -> str | None:
    """A Python of this version that starts."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}")]
    found += sorted(str(path) for path in pyenv.glob(f"{version}.*/bin/python"))
    for path in filter(None, found):
        # pyenv's own commands are on the path for versions that are not in use.
        if not subprocess.run([path, "-c", ""], capture_output=True).returncode:
            return path
    return None


def install(each: Combination, base: str, venv: Path) -> None:
    """Make the environment of one combination."""
    subprocess.run([base, "-m", "venv", venv], check=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    test_group = ["--group", f"{PROJECT / 'pyproject.toml'}:test"]
    asked = [*each.pins, "--editable", str(PROJECT), *test_group]
    subprocess.run([*pip, *asked, "peft"], check=True)


def test(
    each: Combination, python: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Run the tests of the host, and count."""
    chosen = TESTS[each.host]
    names = " or ".join(
        f"({module} and ({' or '.join(some)}))" if some else module
        for module, some in chosen.items()
    )
    files = [f"tests/under_{each.host}/{module}.py" for module in chosen]
    report = options.folder / f"{each.name}.xml"
    words = ["-q", "-rf", "-n", options.workers, f"--junitxml={report}", "-k", names]
    marked = ["-m", "not slow and not long and not versions"]
    started = time.monotonic()
    with (options.folder / f"{each.name}.log").open("w") as log:
        subprocess.run(
            [python, "-m", "pytest", *words, *marked, *files],
            cwd=PROJECT,
            env={**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    cases = ElementTree.parse(report).getroot().iter("testcase")
    outcomes = [(case, {child.tag for child in case}) for case in cases]
    failed = [
        f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}"
        for case, tags in outcomes
        if tags & {"failure", "error"}
    ]
    skipped = sum("skipped" in tags for _, tags in outcomes)
    return {
        "host": each.host,
        **installed(python, each.host),
        "passed": len(outcomes) - len(failed) - skipped,
        "skipped": skipped,
        "failed": sorted(set(failed)),
        "minutes": round((time.monotonic() - started) / 60, 1),
        "on": time.strftime("%Y-%m-%d"),
    }


def installed(python: Path, host: str) -> dict[str, Any]:
    """The versions of Python and of the hosts in an environment."""
    code = (
        "import json, platform, sys\n"
        "from importlib.metadata import PackageNotFoundError, version\n"
        "found = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = version(name)\n"
        "    except PackageNotFoundError: pass\n"
        "print(json.dumps({'python': platform.python_version(), 'versions': found}))"
    )
    others = {"axolotl", "unsloth"} - {host}
    names = [name for name in SHOWN if name not in others]
    done = subprocess.run(
        [python, "-c", code, *names], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def summary(row: dict[str, Any]) -> str:
    """One line on a row of the results."""
    counts = f"{row['passed']} passed, {row['skipped']} skipped"
    failed = f", {len(row['failed'])} failed: {' '.join(row['failed'])}"
    return counts + (failed if row["failed"] else "")


def keep(each: Combination, row: dict[str, Any]) -> None:
    """Put one row into the results, in the order of the combinations."""
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows[each.name] = {**row, "about": about()}
    order = [known.name for known in COMBINATIONS if known.name in rows]
    text = json.dumps({name: rows[name] for name in order}, indent=1)
    RESULTS.write_text(text + "\n")


def table(rows: dict[str, Any]) -> str:
    """The table of the page."""
    lines = [
        "| combination | Python | versions | passed | failed | on |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        shown = [
            f"{key} {row['versions'][key]}"
            for key in SHOWN[:5]
            if key in row["versions"]
        ]
        lines.append(
            f"| `{name}` | {row['python']} | {', '.join(shown)} | {row['passed']} |"
            f" {len(row['failed'])} | {row['on']} |"
        )
    return "\n".join(lines) + "\n"


def write_page() -> None:
    """Write the table into docs/hosts.md."""
    rows = json.loads(RESULTS.read_text())
    text = PART.sub(lambda part: part[1] + table(rows) + part[2], PAGE.read_text())
    PAGE.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
