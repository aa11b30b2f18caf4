"""Whether the process of a run is alive, also after the clock was set."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from runs import write_trace

from axolotl_sftguide.monitor.resume import find_earlier
from axolotl_sftguide.runs.checkpoints import Note, read_note, write_note
from axolotl_sftguide.runs.history import is_alive, this_process
from axolotl_sftguide.runs.marker import MARKER, Termination, mark, read_marker

STARTED = "process_started_at"


@pytest.mark.parametrize("jump", [-1e6, -60.0, -3.0, 0.0, 3.0, 60.0, 1e6])
def test_a_process_is_alive_though_the_clock_was_set_since_it_started(
    jump: float,
) -> None:
    me = this_process()
    recorded = {**me, STARTED: me[STARTED] - jump}
    assert is_alive(**recorded, heartbeat_at=time.time())


def test_another_process_with_its_id_is_not_taken_for_it() -> None:
    me = this_process()
    recorded = {**me, STARTED: me[STARTED] - 1000}
    assert not is_alive(**recorded, heartbeat_at=me[STARTED] - 10)
    assert not is_alive(**recorded, heartbeat_at=time.time() - 5000)


def test_a_run_that_another_program_trains_is_not_continued(tmp_path: Path) -> None:
    """Two programs that append to one trace would mix their steps."""
    parent = {**this_process(), "process_id": 1}
    parent[STARTED] = time.time()  # pid 1 began long before the trace was written
    write_trace(tmp_path, "r1", 20, end=None, **parent)
    checkpoint = tmp_path / "checkpoint-10"
    checkpoint.mkdir()
    write_note(checkpoint, Note("r1", 10, 80))
    found = find_earlier(str(tmp_path), 10, str(checkpoint))
    assert found is not None
    assert (found.run_id, found.samples_seen) == (None, 80)
    write_trace(tmp_path / "ended", "r1", 20, **parent)
    (tmp_path / "ended" / "sftguide-trace-r1.jsonl").replace(
        tmp_path / "sftguide-trace-r1.jsonl"
    )
    found = find_earlier(str(tmp_path), 10, str(checkpoint))
    assert found is not None
    assert found.run_id == "r1"


def test_a_marker_or_note_that_cannot_be_written_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Termination("r1", "non_finite", "NaN", 20, 160, 11)
    mark(tmp_path, stop)
    write_note(tmp_path, Note("r1", 10, 80))

    def full(self: Path, text: str, **_: str) -> int:
        self.write_bytes(text[:10].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        mark(tmp_path, Termination("r2", "divergence", "high", 30, 240, 21))
    with pytest.raises(OSError, match="No space"):
        write_note(tmp_path, Note("r2", 20, 160))
    assert read_marker(tmp_path) == stop
    assert read_note(tmp_path) == Note("r1", 10, 80)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sftguide-run.json", MARKER]
