"""A damaged row or page hides no other run, and the traces restore it."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from runs import write_trace

from axolotl_sftguide.cli import main
from axolotl_sftguide.errors import StorageError
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import read_trace
from axolotl_sftguide.signals.comparability import Candidate

RUNS = 8
PAGE = 4096


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a history and the traces of its runs."""
    folder = tmp_path_factory.mktemp("whole")
    history = RunHistory(str(folder / "runs.db"))
    for number in range(RUNS):
        path = write_trace(
            folder / f"out-{number}",
            f"r{number}",
            40,
            started_at=1.7e9 + number,
            config={"padding": 5000 * "x", "learning_rate": 10.0**-number},
        )
        history.import_trace(read_trace(path))
    history.close()
    return folder


@pytest.fixture
def storage(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made / "runs.db", tmp_path / "runs.db"))


def change(storage: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(storage)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("config", '{"cut": '),
        ("key_fields", "[1]"),
        ("loss", "junk"),
        ("step", "junk"),
        ("started_at", b"\xff"),
        ("name", b"\xff\xfe"),
        ("id", b"\xff\xfe"),
    ],
)
def test_a_broken_value_hides_its_own_run_alone(
    made: Path, storage: Path, column: str, value: Any
) -> None:
    before = RunHistory(str(storage)).runs()
    change(storage, f"update runs set {column} = ? where id = 'r3'", value)
    code, said = call("runs", "list", "--storage", str(storage))
    assert code == 0
    assert [f"r{i} " in said for i in range(RUNS)] == [i != 3 for i in range(RUNS)]
    assert said.count("cannot be read") == 1
    assert "sftguide runs import" in said
    code, _ = call("runs", "import", str(made), "--storage", str(storage))
    assert code == 0
    after = RunHistory(str(storage)).runs()
    kept = [(r.id, r.step, r.loss, r.config, r.scores, r.started_at) for r in after]
    assert kept == [
        (r.id, r.step, r.loss, r.config, r.scores, r.started_at) for r in before
    ]


def test_text_that_is_not_utf_8_hides_its_own_run_alone(storage: Path) -> None:
    change(
        storage, "update runs set name = cast(x'ff41' as text) where id = 'r3'"
    )  # as a page that was overwritten has it
    assert [r.id for r in RunHistory(str(storage)).runs()] == [
        f"r{i}" for i in range(RUNS) if i != 3
    ]


@pytest.mark.parametrize("table", ["scores", "decisions"])
def test_a_broken_score_or_decision_leaves_the_run(storage: Path, table: str) -> None:
    RunHistory(str(storage)).import_trace(
        read_trace(write_trace(storage.parent / "more", "more", 5))
    )
    column = {"scores": "value", "decisions": "figures"}[table]
    if table == "decisions":
        from axolotl_sftguide.runs.history import Decision

        RunHistory(str(storage)).add_decision("r3", Decision("d", "warn", "", 1, 8))
    change(storage, f"update {table} set {column} = 'junk' where run_id = 'r3'")
    runs = {run.id: run for run in RunHistory(str(storage)).runs()}
    assert len(runs) == RUNS + 1
    assert (runs["r3"].scores == ()) == (table == "scores")
    assert runs["r3"].decisions == ()


def test_a_training_is_compared_with_the_runs_that_can_be_read(
    storage: Path,
) -> None:
    change(storage, "update runs set key_fields = 'junk' where id = 'r3'")
    change(storage, "update points set loss = 'junk' where run_id = 'r4'")
    history = RunHistory(str(storage))
    peers = history.peers(Candidate(study="s", key="k", fields={}))
    assert {peer.id for peer in peers} == {f"r{i}" for i in range(RUNS) if i != 3}
    assert list(next(history.at([200], ["r1", "r4"]))) == ["r1"]
    whole_curves = list(history.at(100 * [200], ["r1", "r4"]))
    assert [list(found) for found in whole_curves] == 100 * [["r1"]]


def test_a_page_in_the_place_of_another_leaves_no_run_out_silently(
    storage: Path,
) -> None:
    """SQLite reads some such files without an error."""
    words = ["runs", "list", "--storage", str(storage)]
    whole = storage.read_bytes()
    silent = 0
    for page in range(1, len(whole) // PAGE - 1):
        begin, end = page * PAGE, (page + 1) * PAGE
        storage.write_bytes(whole[:begin] + whole[end : end + PAGE] + whole[end:])
        done = CliRunner().invoke(main, words)
        all_listed = all(f"\nr{i} " in done.stdout for i in range(RUNS))
        assert all_listed or "sftguide runs import" in done.stderr
        silent += done.exit_code == 0 and "left out" not in done.stderr
    assert silent > 0


def test_a_lost_page_hides_only_the_rows_on_it(
    storage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The configs are longer than a page: most pages hold a part of one."""
    whole = storage.read_bytes()
    known = {run.id: run for run in RunHistory(str(storage)).runs()}
    listed, refused = [], []
    for page in range(1, len(whole) // PAGE):
        storage.write_bytes(
            whole[: page * PAGE] + bytes(PAGE) + whole[(page + 1) * PAGE :]
        )
        caplog.clear()
        try:
            found = RunHistory(str(storage)).runs()
        except StorageError as error:
            refused.append(str(error))
            continue
        listed.append(len(found))
        if len(found) < RUNS:
            assert "sftguide runs import" in caplog.text
        for run in found:
            assert run.config == known[run.id].config
            assert run.loss == known[run.id].loss
    assert listed.count(RUNS - 1) >= RUNS  # the rest of each config is on such a page
    assert len(listed) > 5 * len(refused)
    assert all("sftguide runs import" in error for error in refused)


@pytest.mark.parametrize(
    "statement",
    [
        "update sftguide_meta set schema_version = 'six'",
        "delete from sftguide_meta",
        "drop table runs",
    ],
)
def test_a_file_that_is_no_history_any_more_is_one_line(
    storage: Path, statement: str
) -> None:
    change(storage, statement)
    code, said = call("runs", "list", "--storage", str(storage))
    assert code == 2
    assert len(said.splitlines()) == 1
    assert "Move it away" in said
    assert "sftguide runs import" in said


def test_a_warning_is_given_once_for_what_stays_broken(
    storage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(storage, "update runs set config = 'junk' where id = 'r3'")
    history = RunHistory(str(storage))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            history.runs()
    assert len(caplog.records) == 1


def test_an_edit_stands_where_the_trace_may_not_be_written(
    storage: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history = RunHistory(str(storage))
    folder = tmp_path / "away"
    path = write_trace(folder, "r9")
    run = history.import_trace(read_trace(path))
    content = path.read_bytes()

    def refuse(self: Any, path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "axolotl_sftguide.runs.history._history.TraceWriter.__init__", refuse
        )
        history.tag(run, ["kept"])
    assert history.get("r9").tags == ("kept",)
    assert path.read_bytes() == content
    assert "Permission denied" in caplog.text


def test_a_history_in_a_folder_that_may_only_be_read_is_listed(
    storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a colleague's: in WAL mode SQLite would make files beside it to read it."""
    monkeypatch.setattr("os.access", lambda *_: False)
    history = RunHistory(str(storage))
    assert len(history.runs()) == RUNS
    assert [p.name for p in storage.parent.iterdir() if "-wal" in p.name] == []
    with pytest.raises(StorageError, match="readonly"):
        history.progress("r1", step=5)
