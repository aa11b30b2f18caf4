"""The page of `sftguide report` in Chromium: opened, clicked, filtered, printed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, program
from made_studies import HOSTILE, make_study
from runs import run_row, steps, write_trace

from axolotl_sftguide.report import page_of, view_of
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, trace_path
from axolotl_sftguide.runs.trainer_states import read_trainer_state

pytest.importorskip("playwright")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason="Chromium is not installed"),
]


def page_on(folder: Path, runs: int, steps: int, **made: Any) -> Path:
    """The page on a made-up study."""
    history = make_study(str(folder / "runs.db"), folder, runs, steps, **made)
    page = folder / "report.html"
    page.write_text(page_of(view_of(history, history.runs())), encoding="utf-8")
    return page


@contextmanager
def opened(
    page: Path, *, wait_for: str = ".uplot canvas", **context: Any
) -> Iterator[Any]:
    """A tab with the page, that must neither complain nor ask for anything."""
    wrong: list[str] = []
    with chromium(**context) as tab:
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda r: r.url == page.as_uri() or wrong.append(r.url))
        tab.goto(page.as_uri())
        tab.wait_for_selector(wait_for)
        settle(tab)
        yield tab
        assert wrong == []


def rows(tab: Any) -> list[str]:
    """The names of the runs in the table, from top to bottom."""
    found: list[str] = tab.locator("table.runs button.run").all_text_contents()
    return found


def settle(tab: Any) -> None:
    """Wait until charts that a change concerns are drawn again."""
    tab.evaluate("new Promise((f) => requestAnimationFrame(() => setTimeout(f)))")


def ink(tab: Any, section: str) -> str:
    """What a section's first chart looks like now."""
    settle(tab)
    found: str = tab.evaluate(
        f"document.querySelector('#{section} canvas').toDataURL()"
    )
    return found


def pixels(tab: Any, canvas: str, colour: str) -> int:
    """How many pixels of a chart have nearly a colour."""
    found: int = tab.locator(canvas).evaluate(
        """(canvas, colour) => {
          const rgba = (source) => source.getImageData(0, 0, source.canvas.width,
            source.canvas.height).data;
          const one = document.createElement("canvas").getContext("2d");
          one.canvas.width = one.canvas.height = 1;
          one.fillStyle = colour.trim();
          one.fillRect(0, 0, 1, 1);
          const wanted = rgba(one);
          const all = rgba(canvas.getContext("2d"));
          let amount = 0;
          for (let i = 0; i < all.length; i += 4)
            amount += [0, 1, 2].every((k) => Math.abs(all[i + k] - wanted[k]) < 24)
              && all[i + 3] > 128;
          return amount;
        }""",
        colour,
    )
    return found


def test_a_page_is_read_filtered_and_searched_by_mouse_and_keyboard(
    tmp_path: Path,
) -> None:
    page = page_on(tmp_path, 10, 160)
    with opened(page) as tab:
        assert tab.locator("h1").text_content() == "Study made-up"
        sections = tab.locator("section").evaluate_all("all => all.map(s => s.id)")
        assert sections == (
            "glance curves sources map parallel prediction noise panels".split()
        )
        assert len(rows(tab)) == 10

        # The best score first, runs without one last; below a run, its whole reason.
        best = tab.locator("tr:has(.star) button.run").text_content()
        assert rows(tab)[0] == best
        assert "run-007" in rows(tab)[-3:]
        told = tab.locator("tr:has(button.run:text('run-007')) + tr.below")
        assert "Stopped by divergence at step" in told.inner_text()
        assert "above the limit" in told.inner_text()
        assert tab.locator("th:has-text('samples seen')").count() == 1

        # Filter: table, sentence and charts follow.
        before = ink(tab, "curves")
        tab.fill("#filter", "learning rate 0.02")
        assert rows(tab) == ["run-007"]
        assert "1 of 10 runs shown" in tab.locator(".filter output").text_content()
        assert ink(tab, "curves") != before
        tab.fill("#filter", "no such run")
        assert "No run matches" in tab.locator("#curves .plot").first.text_content()
        tab.click("text=Clear filter")
        assert len(rows(tab)) == 10
        tab.uncheck("input[value=terminated]")
        assert "run-007" not in rows(tab)
        tab.check("input[value=terminated]")

        # Sort by score the other way round: runs without one are still last.
        tab.click("th button:text('accuracy')")
        scored = [name for name in rows(tab) if name != "run-007"]
        assert scored[-1] == best
        assert rows(tab)[-1] == "run-007"

        # Select a run, and open its panel by the keyboard alone.
        tab.focus("button.run:text('run-004')")
        tab.keyboard.press("Enter")
        assert tab.locator("tr[data-selected] button.run").text_content() == "run-004"
        tab.focus(".selection button:text('Open its panel')")
        tab.keyboard.press("Enter")
        panel = tab.locator(".panel[open]")
        panel.locator("canvas").first.wait_for()
        text = panel.text_content()
        batch = "micro_batch_size 4 x gradient_accumulation_steps 2"
        assert f"8 samples per optimizer step = {batch}" in text
        assert "noise scale" in text
        assert panel.locator("canvas").count() >= 3

        # Read a chart with the arrow keys.
        plot = tab.locator("#curves .plot").first
        plot.focus()
        for _ in range(3):
            tab.keyboard.press("Shift+ArrowRight")
        assert "samples seen" in plot.get_attribute("aria-valuetext")
        assert "run-004" in tab.locator("#curves .readout").first.text_content()

        # A range on an axis of the parallel coordinates filters too.
        tab.locator("#parallel").scroll_into_view_if_needed()
        handle = tab.locator("[data-handle='0-highest']")
        handle.focus()
        tab.keyboard.press("ArrowDown")
        assert "run-007" not in rows(tab)
        tab.keyboard.press("Escape")
        assert len(rows(tab)) == 10

        # Each chart has a table, which is filled when it is opened.
        tab.click("summary:text('Verdicts as a table')")
        assert "divergence" in tab.locator("#curves details[open] table").text_content()


@pytest.mark.slow
def test_names_that_are_markup_stay_text(tmp_path: Path) -> None:
    page = page_on(tmp_path, 12, 120, hostile=True)
    with opened(page) as tab:
        assert tab.title().startswith("Study made-up")
        assert HOSTILE in tab.locator("h1").text_content()
        assert HOSTILE in tab.locator("table.runs").text_content()
        for panel in tab.locator(".panel > summary").all():
            panel.click()
        for table in tab.locator(".table > summary").all():
            table.click()
        tab.locator("#map .plot").focus()
        tab.keyboard.press("ArrowRight")
        assert HOSTILE in tab.locator("#map .readout").text_content()
        assert tab.locator("img").count() == 0
        assert tab.locator("b:text-is('x')").count() == 0


@pytest.mark.slow
def test_charts_follow_the_theme(tmp_path: Path) -> None:
    page = page_on(tmp_path, 3, 60)
    with opened(page, color_scheme="dark") as tab:
        paper = "getComputedStyle(document.body).backgroundColor"
        dark, drawn = tab.evaluate(paper), ink(tab, "curves")
        tab.select_option("#theme", "light")
        assert tab.evaluate(paper) == "rgb(255, 255, 255)" != dark
        assert ink(tab, "curves") != drawn
        tab.select_option("#theme", "auto")
        assert tab.evaluate(paper) == dark


@pytest.mark.slow
def test_dragging_zooms_both_charts_and_a_button_undoes_it(tmp_path: Path) -> None:
    page = page_on(tmp_path, 3, 300)
    with opened(page) as tab:
        tab.locator("#curves .plot").first.scroll_into_view_if_needed()
        before = ink(tab, "curves")
        box = tab.locator("#curves .u-over").first.bounding_box()
        y = box["y"] + box["height"] / 2
        tab.mouse.move(box["x"] + 100, y)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 300, y, steps=4)
        tab.mouse.up()
        assert ink(tab, "curves") != before
        resets = tab.locator("#curves .reset:visible")
        assert resets.count() == 2
        tab.mouse.move(5, 5)
        resets.first.click()
        tab.mouse.move(5, 5)
        assert resets.count() == 0


@pytest.mark.slow
def test_each_run_of_a_dozen_has_a_look_of_its_own(tmp_path: Path) -> None:
    page = page_on(tmp_path, 12, 60, judged=False)
    with opened(page) as tab:
        looks = tab.locator(".runs .dot").evaluate_all(
            "all => all.map(d => d.className + getComputedStyle(d).color)"
        )
        assert len(set(looks)) == 12


@pytest.mark.slow
def test_predictions_say_which_runs_they_leave_out_and_show_stopped_ones(
    tmp_path: Path,
) -> None:
    make_study(str(tmp_path / "runs.db"), tmp_path, 10, 160)
    history = RunHistory(str(tmp_path / "runs.db"))
    stopped = next(run for run in history.runs() if run.status == "terminated")
    figures = {"predicted": 0.4, "low": 0.3, "high": 0.5, "share": 0.4, "runs": 6}
    decision = Decision("prediction", "stop", "why", 20, 160, figures)
    history.add_decision(stopped.id, decision)
    history.add_score(stopped.id, Score("accuracy", 0.41, "max"))
    page = tmp_path / "report.html"
    view = view_of(history, history.runs())
    page.write_text(page_of(view), encoding="utf-8")
    predicted = sum("prediction" in run for run in view["runs"])
    with opened(page) as tab:
        text = tab.inner_text("#prediction")
        assert f"{predicted} of 9 finished runs with a score are here" in text
        assert "A run that the rule prediction stopped" in text
        tab.click("summary:text('Predictions as a table')")
        row = tab.locator("#prediction tr", has_text=stopped.name).inner_text()
        assert row.split() == [
            *(stopped.name, "0.4", "0.3", "0.5", "0.41", "6", "runs", "stopped"),
        ]


@pytest.mark.slow
def test_it_prints_without_controls_and_with_all_charts(tmp_path: Path) -> None:
    page = page_on(tmp_path, 10, 160)
    with opened(page, color_scheme="dark") as tab:
        tab.click(".panel > summary >> nth=4")
        pdf = tab.pdf(print_background=True)
        assert pdf.startswith(b"%PDF")
        tab.emulate_media(media="print")
        assert not tab.is_visible(".filter")
        assert not tab.is_visible("nav")
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        drawn = "all => all.every(p => p.querySelector('canvas, .empty'))"
        assert tab.locator("section .plot").evaluate_all(drawn)
        assert tab.evaluate("document.documentElement.dataset.theme") == "light"
        # The details of the best run and of the stopped one are printed unasked.
        printed = tab.locator(".panel[open] .name").all_text_contents()
        assert "run-007" in printed
        assert tab.locator(".panel[open]:has(.star)").count() == 1
        wide = "document.documentElement.scrollWidth"
        assert tab.evaluate(f"{wide} <= Math.max(innerWidth, 700)")
        assert not tab.locator(".drag").first.is_visible()
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
        assert tab.locator(".panel[open]").count() == 1
        assert tab.evaluate("document.documentElement.dataset.theme") is None


@pytest.mark.slow
def test_everything_that_can_be_focused_has_a_name(tmp_path: Path) -> None:
    page = page_on(tmp_path, 10, 160)
    with opened(page) as tab:
        tab.click(".panel > summary >> nth=4")
        nameless = tab.evaluate(
            """[...document.querySelectorAll("button, a, input, select, [tabindex]")]
            .filter((n) => n.id !== "content" && !n.getAttribute("aria-label") &&
              !n.textContent.trim() && !(n.labels && n.labels.length))
            .map((n) => n.outerHTML)"""
        )
        assert nameless == []
        headings = tab.locator("h1, h2, h3").evaluate_all(
            "all => all.map(h => h.tagName)"
        )
        assert headings[0] == "H1"
        assert headings.count("H1") == 1


def study_of_two(folder: Path) -> RunHistory:
    """A divergence of the norm alone, one of an older version, and a rare source."""
    history = RunHistory(str(folder / "runs.db"))
    for name, signals in (("new", ("grad_norm",)), ("old", ())):
        path = write_trace(folder / name, name, 40, end=None)
        writer = TraceWriter(path)
        seen = (10, 20, 30, 40) if name == "new" else (40,)
        for step in seen:
            loss = {"often": 2.0 / step, **({"rare": 1.5} if step == 40 else {})}
            tokens = dict.fromkeys(loss, 64)
            writer.event("loss_by_source", step=step, loss=loss, tokens=tokens)
        decision = Decision("divergence", "stop", "rose", 30, 240, signals=signals)
        writer.event("decision", **asdict(decision))
        writer.event("end", status="terminated", reason="divergence: rose", at=2e9)
        writer.close()
        history.import_trace(read_trace(path))
    return history


def test_verdicts_are_marked_on_their_signals_and_single_values_can_be_seen(
    tmp_path: Path,
) -> None:
    history = study_of_two(tmp_path)
    page = tmp_path / "report.html"
    page.write_text(page_of(view_of(history, history.runs())), encoding="utf-8")
    with opened(page) as tab:
        stop = tab.evaluate(
            "getComputedStyle(document.documentElement).getPropertyValue('--stop')"
        )
        for run, on_loss in (("name-new", False), ("name-old", True)):
            tab.fill("#filter", run)
            settle(tab)
            assert (pixels(tab, "#curves canvas >> nth=0", stop) > 5) == on_loss
            assert pixels(tab, "#curves canvas >> nth=1", stop) > 5
        tab.click("text=Clear filter")
        told = tab.inner_text("#sources")
        assert "A large dot is the only measurement of a run" in told
        assert "without a chart: rare; the table has the values" in told
        tab.click("summary:text('Loss by source as a table')")
        assert "measured once" in tab.inner_text("#sources table")
        # Only one run is drawn, and only as one dot: is there ink?
        tab.fill("#filter", "name-old")
        tab.locator("#sources canvas").scroll_into_view_if_needed()
        settle(tab)
        own = tab.evaluate(
            "getComputedStyle(document.querySelector('.runs .dot')).color"
        )
        assert pixels(tab, "#sources canvas >> nth=0", own) > 20


def test_a_screen_reader_meets_names_and_no_ornaments(tmp_path: Path) -> None:
    page = page_on(tmp_path, 4, 60, judged=False)
    with opened(page) as tab:
        tab.click(".panel > summary >> nth=1")
        settle(tab)
        cdp = tab.context.new_cdp_session(tab)
        nodes = cdp.send("Accessibility.getFullAXTree")["nodes"]
        found = [
            (n["role"]["value"], n.get("name", {}).get("value", ""))
            for n in nodes
            if not n["ignored"]
        ]
        wanted = ("button", "link", "slider", "table", "checkbox", "DisclosureTriangle")
        named = [(role, name) for role, name in found if role in wanted]
        assert {role for role, _ in named} == set(wanted)
        assert [pair for pair in named if not pair[1].strip()] == []
        assert [pair for pair in named if set("▸▾▲▼") & set(pair[1])] == []
        assert ("table", "All runs") in named
        charts = [name for role, name in named if role == "slider"]
        assert sum("Arrow keys read values" in name for name in charts) >= 2


@pytest.mark.slow
def test_a_large_study_stays_small_and_shows_all_its_runs(tmp_path: Path) -> None:
    page = page_on(tmp_path, 110, 100, judged=False)
    assert page.stat().st_size < 5_000_000
    with opened(page) as tab:
        tab.locator(".panel").nth(109).wait_for(state="attached")
        assert len(rows(tab)) == 110
        tab.fill("#filter", "finished")
        tab.click("th button:text('accuracy')")
        tab.fill("#filter", "")
        tab.locator(".runs tbody tr").nth(109).wait_for(state="attached")


def unusual(history: RunHistory, folder: Path) -> None:
    """Runs of which little, or nothing finite, is recorded."""
    history.begin(run_row("begun", config={}, key_fields={}, max_steps=0))
    history.begin(run_row("same-name", name="name-begun"))
    path = write_trace(folder, "not-finite", 20)
    path.write_text(re.sub(r'("loss": )[0-9.]+', r'\1"NaN"', path.read_text()))
    history.import_trace(read_trace(path))
    history.import_trace(read_trace(write_trace(folder, "one-step", 1)))
    negative = steps(30, loss=-2.0)
    writer = TraceWriter(trace_path(folder, "negative"))
    writer.begin(run_row("negative", output_dir=str(folder)))
    writer.steps(negative)
    writer.close()
    history.import_trace(read_trace(writer.path))
    history.import_trace(read_trace(write_trace(folder, "parked", 90)))
    for step, action in ((20, "park"), (20, "resume"), (60, "park")):
        decision = Decision("prediction", action, "why", step, 8 * step)
        history.add_decision("parked", decision)
    history.end("parked", "parked")  # type: ignore[arg-type]
    history.begin(run_row("infinite-score"))
    history.end("infinite-score", "finished")
    history.add_score("infinite-score", Score("m", math.inf, "min"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen", ["", "begun", "one-step", "not-finite", "negative", "parked"]
)
def test_pages_on_unusual_runs_open_without_an_error(
    chosen: str, tmp_path: Path
) -> None:
    history = RunHistory(str(tmp_path / "runs.db"))
    unusual(history, tmp_path)
    runs = [run for run in history.runs() if chosen in ("", run.id)]
    page = tmp_path / "report.html"
    page.write_text(page_of(view_of(history, runs)), encoding="utf-8")
    with opened(page, wait_for="table.runs") as tab:
        tab.locator(".panel").evaluate_all("all => all.forEach(p => (p.open = true))")
        tab.locator(".panel-body").nth(len(runs) - 1).wait_for()
        for table in tab.locator(".table > summary").all():
            table.click()
        assert len(rows(tab)) == len(runs)
        if chosen == "parked":
            assert "was parked at step 90 of 100" in tab.inner_text(".glance")
            assert "▶ Resumed by the rule prediction" in tab.inner_text(".verdicts")


@pytest.mark.slow
def test_logs_without_samples_are_drawn_over_steps(tmp_path: Path) -> None:
    state = {
        "global_step": 40,
        "max_steps": 40,
        "log_history": [
            {"step": i, "loss": 3.0 / i, "grad_norm": 1.0, "learning_rate": 1e-4}
            for i in range(1, 41)
        ],
    }
    path = tmp_path / "out" / "trainer_state.json"
    path.parent.mkdir()
    path.write_text(json.dumps(state))
    history = RunHistory(str(tmp_path / "runs.db"))
    history.import_trace(read_trainer_state(path))
    page = tmp_path / "report.html"
    page.write_text(page_of(view_of(history, history.runs())), encoding="utf-8")
    with opened(page) as tab:
        plot = tab.locator("#curves .plot").first
        plot.focus()
        tab.keyboard.press("End")
        assert "optimizer steps" in plot.get_attribute("aria-valuetext")
