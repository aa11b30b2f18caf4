"""Size of a report and the time until it can be read in a browser.

    python benchmarks/report.py [--runs 3 30 500] [--steps 2000] [--keep FOLDER]
        [--out FILE.json]

Makes studies of runs with traces (tests/support/made_studies.py), writes a report on
each, and opens it in Chromium: the time until its first chart is drawn, the processor
time of the page until then (which other work on the machine hardly changes), the time
until a selected run is drawn in all charts in view, and the memory of its scripts. Of
three tries the quickest is shown. Needs playwright and a Chromium of the system, which
CHROMIUM names if it is not found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import record

SUPPORT = Path(__file__).parent.parent / "tests" / "support"
sys.path.insert(0, str(SUPPORT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[3, 30, 500])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--keep", type=Path, help="folder that keeps the pages")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    rows = {}
    print("runs  steps  to write  size MB  first chart  its CPU  select  scripts MB")
    for runs in chosen.runs:
        with tempfile.TemporaryDirectory() as folder:
            page = (chosen.keep or Path(folder)) / f"report-{runs}.html"
            wrote = write(Path(folder), page, runs, chosen.steps)
            size = page.stat().st_size / 1e6
            drawn, processor, chose, memory = map(
                min, zip(*map(opened, [page] * 3), strict=True)
            )
        print(
            f"{runs:4}  {chosen.steps:5}  {wrote:6.1f} s  {size:7.2f}  {drawn:9.2f} s"
            f"  {processor:5.2f} s  {chose:4.2f} s  {memory:10.0f}",
            flush=True,
        )
        rows[f"{runs} runs"] = {
            "page_mb": size,
            "first_chart_seconds": drawn,
            "first_chart_processor_seconds": processor,
            "selection_seconds": chose,
            "write_seconds": wrote,
            "scripts_mb": memory,
        }
    if chosen.out:
        record(chosen.out, {"steps": chosen.steps, "runs": rows})


def write(folder: Path, page: Path, runs: int, steps: int) -> float:
    """Make a study and its report; the seconds that the report took."""
    from made_studies import make_study

    from axolotl_sftguide.report import page_of, view_of

    history = make_study(str(folder / "runs.db"), folder, runs, steps)
    began = time.perf_counter()
    text = page_of(view_of(history, history.runs()))
    took = time.perf_counter() - began
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return took


def opened(page: Path) -> tuple[float, float, float, float]:
    """Seconds to the first chart, of processor time, of a selection; and MB."""
    from browser import chromium

    with chromium() as tab:
        before = processor_seconds(tab)
        began = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.wait_for_selector(".uplot canvas")
        drawn = time.perf_counter() - began
        processor = processor_seconds(tab) - before
        tab.wait_for_load_state("load")
        tab.evaluate("new Promise((f) => requestAnimationFrame(() => setTimeout(f)))")
        began = time.perf_counter()
        tab.click("button.run >> nth=0")
        tab.evaluate("new Promise((f) => requestAnimationFrame(() => setTimeout(f)))")
        chose = time.perf_counter() - began
        memory = tab.evaluate("performance.memory.usedJSHeapSize") / 1e6
    return drawn, processor, chose, memory


def processor_seconds(tab: Any) -> float:
    """What the tab's process has used of the processor so far."""
    session = tab.context.browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    return sum(one["cpuTime"] for one in found if one["type"] == "renderer")


if __name__ == "__main__":
    main()
