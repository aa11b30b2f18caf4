"""Notebooks show a run as a figure, in a real kernel and in a browser."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, program
from runs import run_row, steps, write_trace

import axolotl_sftguide as sftguide
from axolotl_sftguide.errors import StorageError
from axolotl_sftguide.runs.history import Decision, RunHistory
from axolotl_sftguide.runs.traces import read_trace
from axolotl_sftguide.signals import Point

SVG = "{http://www.w3.org/2000/svg}"


def parsed(figure: Any) -> ET.Element:
    return ET.fromstring(figure.svg)


def paths(figure: Any) -> list[ET.Element]:
    return [p for p in parsed(figure).iter(f"{SVG}path") if "L" in p.get("d", "")]


def test_the_figure_shows_the_run_its_verdicts_and_earlier_runs(tmp_path: Path) -> None:
    history = RunHistory()
    history.begin(run_row("old", started_at=1e9))
    history.add_points("old", [Point(80 * i, 2.0 / i, 0.6) for i in range(1, 9)])
    alone = sftguide.show("old")
    name = 'a "<b>" & </svg>\x00'
    trace = read_trace(write_trace(tmp_path, "new", 60, name=name, end="failed"))
    history.import_trace(trace)
    history.add_decision("new", Decision("divergence", "warn", "loss <9>", 50, 400))
    figure = sftguide.show()  # the latest
    said = " ".join(t for t in parsed(figure).itertext())
    assert 'a "<b>" & </svg>' in said
    assert "failed, step 60 of 100" in said
    assert "grey: 1 earlier run" in said
    assert len(paths(figure)) > len(paths(alone))
    assert repr(figure).startswith('a "<b>"')
    assert "loss 0.03333" in repr(figure)
    assert set(figure._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}
    assert "<script" not in figure.svg


def test_the_figure_of_many_steps_stays_small_and_keeps_what_is_not_finite(
    tmp_path: Path,
) -> None:
    from dataclasses import replace

    from axolotl_sftguide.runs.traces import TraceWriter, trace_path

    writer = TraceWriter(trace_path(tmp_path, "long"))
    writer.begin(run_row("long", output_dir=str(tmp_path), max_steps=4_000))
    many = steps(4_000)
    many[3_000] = replace(many[3_000], loss=float("nan"))
    writer.steps(many)
    RunHistory().import_trace(read_trace(writer.path))
    figure = sftguide.show("long")
    assert len(figure.svg) < 60_000
    marks = [t for t in parsed(figure).iter(f"{SVG}text") if t.text == "x"]
    assert len(marks) == 1


def test_a_run_or_a_history_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no runs yet: .* does not exist"):
        sftguide.show()
    assert not list(tmp_path.glob("*.db"))
    RunHistory()
    with pytest.raises(StorageError, match="no runs in study 'mine'"):
        sftguide.show(study="mine")


CELLS = [
    """
import sys; sys.path.insert(0, {support!r})
from pathlib import Path
from hosts import make_sft_trainer
import axolotl_sftguide as sftguide
trainer, _ = make_sft_trainer(Path({base!r}), Path({data!r}), Path({folder!r}))
watched = sftguide.watch(trainer, study="notebook", figure=True)
watched
""",
    "trainer.train();",
    "watched",
    "sftguide.show('latest', interactive=True)",
]


@pytest.mark.slow
def test_a_kernel_trains_and_shows_the_run(
    base: Path, data: Path, tmp_path: Path
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    support = str(Path(__file__).parent / "support")
    places = {"base": str(base), "data": str(data), "folder": str(tmp_path)}
    cells = [
        nbformat.v4.new_code_cell(c.strip().format(support=support, **places))
        for c in CELLS
    ]
    book = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    before, after, report = (shown(book.cells[i]) for i in (0, 2, 3))
    drawn = [o.data for o in book.cells[1].outputs if o.output_type == "display_data"]
    (live,) = [data for data in drawn if "image/svg+xml" in data]
    assert "finished, step 12 of 12" in ET.fromstring(live["image/svg+xml"])[0].text
    assert before["text/plain"] == "a watched trainer; its training has not begun"
    assert "finished, step 12 of 12" in ET.fromstring(after["image/svg+xml"])[0].text
    assert "text/html" not in after
    assert "<iframe" in report["text/html"]
    look_at(book, tmp_path)


def shown(cell: Any) -> Any:
    (found,) = [o.data for o in cell.outputs if o.output_type == "execute_result"]
    return found


def look_at(book: Any, folder: Path) -> None:
    """The notebook as a page: the figure is seen, and the report in its frame runs."""
    nbconvert = pytest.importorskip("nbconvert")
    if program() is None:
        pytest.skip("Chromium is not installed here")
    page = folder / "notebook.html"
    page.write_text(nbconvert.HTMLExporter().from_notebook_node(book)[0])
    with chromium() as tab:
        tab.goto(page.as_uri())
        figure = tab.locator("img[src^='data:image/svg'], svg[role=img]").first
        assert figure.bounding_box()["width"] > 600
        # Browsers draw no frame that is out of sight.
        tab.locator("iframe").scroll_into_view_if_needed()
        frame = tab.frame_locator("iframe")
        frame.locator(".uplot canvas").first.wait_for(timeout=20_000)
        tab.screenshot(path=folder / "notebook.png")
