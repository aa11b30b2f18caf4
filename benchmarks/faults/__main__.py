"""Injects faults, and prints a table of tries, tracebacks, losses and wrong numbers.

python benchmarks/faults                    # all campaigns, about two hours
python benchmarks/faults --share 0.1        # a tenth of the tries
python benchmarks/faults --only inputs      # the campaigns of one area
python benchmarks/faults --match traces     # those whose names contain a word
python benchmarks/faults --out FOLDER       # and each area's rows in a faults_AREA.json
python benchmarks/faults --page             # writes the tables of docs/faults.md only
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

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
    parser.add_argument("--match", default="", help="a part of a campaign's name")
    parser.add_argument("--out", type=Path, help="folder for faults_AREA.json")
    parser.add_argument("--page", action="store_true", help="write the tables only")
    options = parser.parse_args()
    if options.page:
        for area in AREAS:
            write_table(area)
        return 0
    clean = True
    for area in options.only:
        rows = _known(options.out, area) if options.match else {}
        for campaign in AREAS[area]:
            if options.match not in _name(campaign):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                started = time.monotonic()
                outcome = campaign(Path(scratch), options.seed, options.share)
            outcome = replace(outcome, seconds=round(time.monotonic() - started, 1))
            clean = clean and outcome.clean
            rows[outcome.what] = asdict(outcome)
            print(row(outcome), flush=True)
            for example in outcome.examples:
                print(f"    {example}", flush=True)
            if options.out:
                found = {"campaigns": list(rows.values())}
                record(options.out / f"faults_{area}.json", found)
    return 0 if clean else 1


def _name(campaign: Any) -> str:
    """What a campaign of inputs tries, or the name of the function of another."""
    return str(getattr(campaign, "what", "") or campaign.__name__)


def _known(out: Path | None, area: str) -> dict[str, Any]:
    """The rows that are in the file, by what they try; those that match are run."""
    path = out / f"faults_{area}.json" if out else None
    if path is None or not path.exists():
        return {}
    return {row["what"]: row for row in json.loads(path.read_text())["campaigns"]}


def row(outcome: Outcome) -> str:
    """One line of the table."""
    counts = outcome.skipped or (
        f"{outcome.tries} tries, {outcome.tracebacks} tracebacks,"
        f" {outcome.losses} losses, {outcome.wrong} wrong"
    )
    return f"{outcome.area}: {outcome.what}: {counts} ({outcome.seconds:.0f} s)"


ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("tries", "tracebacks", "losses", "wrong")


def write_table(area: str) -> None:
    """Write the rows in `benchmarks/results` into the page."""
    path = ROOT / "benchmarks" / "results" / f"faults_{area}.json"
    found = json.loads(path.read_text())
    rows = [
        f"| {each['what']} | " + " | ".join(f"{each[c]:,}" for c in COLUMNS) + " |"
        for each in found["campaigns"]
    ]
    total = sum(each["tries"] for each in found["campaigns"])
    head = ["| campaign | " + " | ".join(COLUMNS) + " |", "|---" * 5 + "|"]
    about = found["about"]
    end = f"{total:,} tries, {about['date']}, {about['machine']}."
    page = ROOT / "docs" / "faults.md"
    text = page.read_text()
    before, _, rest = text.partition(f"<!-- faults: {area} -->\n")
    after = rest.partition("<!-- end of faults -->\n")[2]
    made = "\n".join([f"<!-- faults: {area} -->", *head, *rows, "", end, ""])
    page.write_text(f"{before}{made}<!-- end of faults -->\n{after}")


if __name__ == "__main__":
    sys.exit(main())
