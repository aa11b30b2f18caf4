"""Injects faults, and prints a table of tries, tracebacks, losses and wrong numbers.

python benchmarks/faults                    # all campaigns, some hours
python benchmarks/faults --share 0.1        # a tenth of the tries
python benchmarks/faults --only inputs      # the campaigns of one area
python benchmarks/faults --out FOLDER       # and each area's rows in a faults_AREA.json
"""

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import inputs
import processes
from outcome import Outcome
from record import record

AREAS = {"inputs": inputs.CAMPAIGNS, "processes": processes.CAMPAIGNS}


def main() -> int:
    """Run the campaigns; 1 if any found a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the tries")
    parser.add_argument("--only", nargs="*", choices=AREAS, default=list(AREAS))
    parser.add_argument("--out", type=Path, help="folder for faults_AREA.json")
    options = parser.parse_args()
    clean = True
    for area in options.only:
        rows = []
        for campaign in AREAS[area]:
            with tempfile.TemporaryDirectory() as scratch:
                started = time.monotonic()
                outcome = campaign(Path(scratch), options.seed, options.share)
            outcome = replace(outcome, seconds=round(time.monotonic() - started, 1))
            clean = clean and outcome.clean
            rows.append(asdict(outcome))
            print(row(outcome), flush=True)
            for example in outcome.examples:
                print(f"    {example}", flush=True)
            if options.out:
                record(options.out / f"faults_{area}.json", {"campaigns": rows})
    return 0 if clean else 1


def row(outcome: Outcome) -> str:
    """One line of the table."""
    counts = outcome.skipped or (
        f"{outcome.tries} tries, {outcome.tracebacks} tracebacks,"
        f" {outcome.losses} losses, {outcome.wrong} wrong"
    )
    return f"{outcome.area}: {outcome.what}: {counts} ({outcome.seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(main())
