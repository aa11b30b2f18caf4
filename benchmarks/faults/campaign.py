"""A campaign: many independent tries in child processes with limits.

A child has a limit on memory and a clock for each try, so that a try which hangs, needs
gigabytes or kills its process costs one try and not the campaign. Each try draws from a
generator of its own, so that one of them can be run again:

python benchmarks/faults/campaign.py records "traces" --at 1234
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from outcome import Outcome

AREA = "inputs"
WORKERS = 2
"""Children at a time."""
HANGS_AFTER_S = 10.0
"""Seconds of a processor; a try that takes more has failed."""
SILENT_AFTER_S = 90.0
"""A child that reports nothing for so long is killed: a call did not return."""
MEMORY_BYTES = 3 << 30
"""What a child may need beyond what it has when its tries begin."""
EXAMPLES = 12


class Wrong(Exception):
    """A try whose result is false: a number, a verdict, or what was written."""


class Hang(BaseException):
    """A try took too long."""


@dataclass(frozen=True)
class Campaign:
    """Tries of one kind.

    Args:
        module: The module that lists it in its `CAMPAIGNS`.
        what: What is tried, as the table says it.
        tries: How many, at a share of 1.
        prepare: Called once for each child, with a folder that is the working folder.
        attempt: One try. It raises what the program raised, or `Wrong`.
    """

    module: str
    what: str
    tries: int
    prepare: Callable[[Path], Any]
    attempt: Callable[[Any, Random], None]

    def __call__(self, scratch: Path, seed: int, share: float) -> Outcome:
        """Run the tries in children, and count what went wrong."""
        total = max(1, round(self.tries * share))
        found = _Found()
        workers = min(WORKERS, total)
        threads = [
            threading.Thread(
                target=self._in_children, args=(scratch, seed, k, workers, total, found)
            )
            for k in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Outcome(
            AREA,
            self.what,
            total,
            tracebacks=found.counts["traceback"],
            wrong=found.counts["wrong"],
            examples=tuple(found.examples()),
        )

    def _in_children(
        self,
        scratch: Path,
        seed: int,
        first: int,
        step: int,
        total: int,
        found: _Found,
    ) -> None:
        deaths = 0
        while first < total and deaths < 50:
            last = None
            for event in self._child(scratch, seed, first, step, total):
                if "at" in event:
                    last = event["at"]
                elif "done" in event:
                    return
                else:
                    found.add(event["kind"], event["text"], event["try"])
            deaths += 1
            where = "before its first try" if last is None else f"in try {last}"
            found.add("traceback", f"a child died {where}", last or first)
            first = (first if last is None else last) + step

    def _child(
        self, scratch: Path, seed: int, first: int, step: int, total: int
    ) -> Iterator[dict[str, Any]]:
        folder = tempfile.mkdtemp(dir=scratch)
        command = [sys.executable, __file__, self.module, self.what]
        command += ["--stream", str(first), str(step), str(total)]
        command += ["--seed", str(seed), "--folder", folder]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        alarm = threading.Timer(SILENT_AFTER_S, child.kill)
        try:
            alarm.start()
            for line in child.stdout:
                alarm.cancel()
                yield json.loads(line)
                alarm = threading.Timer(SILENT_AFTER_S, child.kill)
                alarm.daemon = True
                alarm.start()
        finally:
            alarm.cancel()
            child.kill()
            child.wait()


@dataclass
class _Found:
    """What went wrong so far, by kind and by where."""

    counts: Counter[str] = field(default_factory=Counter)
    _texts: Counter[str] = field(default_factory=Counter)
    _first: dict[str, int] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def add(self, kind: str, text: str, at: int) -> None:
        with self._lock:
            self.counts[kind] += 1
            self._texts[text] += 1
            self._first.setdefault(text, at)

    def examples(self) -> Iterator[str]:
        for text, times in self._texts.most_common(EXAMPLES):
            yield f"{times} x {text} (first in try {self._first[text]})"


def serve(campaign: Campaign, options: argparse.Namespace) -> None:
    """The child: its tries, with one JSON line before each and one for each fault."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    if options.at is None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
    folder = Path(options.folder)
    os.chdir(folder)
    prepared = campaign.prepare(folder)
    _limit_memory()
    signal.signal(signal.SIGPROF, _on_alarm)
    tries = [options.at] if options.at is not None else range(*_range(options.stream))
    for at in tries:
        print(json.dumps({"at": at}), file=out)
        error = _try(campaign, prepared, Random(f"{options.seed}:{campaign.what}:{at}"))
        if error is not None:
            if options.at is not None:
                traceback.print_exception(error)
            kind = "wrong" if isinstance(error, Wrong) else "traceback"
            said = {"kind": kind, "text": described(error), "try": at}
            print(json.dumps(said), file=out)
    print(json.dumps({"done": True}), file=out)
    out.flush()
    os._exit(0)  # what the tries have left behind must not be waited for


def _range(stream: list[int]) -> tuple[int, int, int]:
    first, step, total = stream
    return first, total, step


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _on_alarm(*_: object) -> None:
    raise Hang


def _try(campaign: Campaign, prepared: Any, rng: Random) -> BaseException | None:
    from axolotl_sftguide.errors import SFTGuideError

    signal.setitimer(signal.ITIMER_PROF, HANGS_AFTER_S)
    try:
        campaign.attempt(prepared, rng)
    except SFTGuideError as error:
        return _bad_message(error)
    except (Exception, Hang) as error:
        return error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


LONGEST_MESSAGE = 20_000
"""Characters; a longer one cannot be read any more."""


def _bad_message(error: Exception) -> Exception | None:
    """The fault of a clear error's text, if it has one."""
    try:
        text = str(error)
    except Exception as unprintable:
        return unprintable
    if len(text) > LONGEST_MESSAGE:
        return Wrong(f"the message of {type(error).__name__} is too long to read")
    return None


def described(error: BaseException) -> str:
    """The kind of an error and the package's last line in its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "axolotl_sftguide" in f.filename]
    if isinstance(error, Wrong):
        return str(error)[:300]
    name = type(error).__name__
    if not own:
        return f"{name}: {str(error)[:120]!r}"
    last = own[-1]
    place = last.filename.rpartition("axolotl_sftguide/")[2]
    return f"{name} at {place}:{last.lineno} in {last.name}: {str(error)[:80]!r}"


def main() -> None:
    """Run the tries of one campaign in this process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("module")
    parser.add_argument("what")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at", type=int, help="only this try, with its traceback")
    parser.add_argument("--stream", type=int, nargs=3, help="first, step and end")
    parser.add_argument("--folder", help="the working folder of the tries")
    options = parser.parse_args()
    options.folder = options.folder or tempfile.mkdtemp()
    module = importlib.import_module(options.module)
    named = {campaign.what: campaign for campaign in module.CAMPAIGNS}
    serve(named[options.what], options)


if __name__ == "__main__":
    # As the module that the campaigns import: `Wrong` is one class then.
    importlib.import_module("campaign").main()
