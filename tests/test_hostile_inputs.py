"""Inputs that nobody should write end in a clear line: configs, traces, data, names."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from runs import run_row, write_trace

from axolotl_sftguide import cli
from axolotl_sftguide.cli import main
from axolotl_sftguide.cli.completion import _offering
from axolotl_sftguide.config.mix_settings import SourceSettings
from axolotl_sftguide.config.settings import load_settings
from axolotl_sftguide.config.yaml_file import read_config
from axolotl_sftguide.errors import MixError, SettingsError, SweepError, TraceError
from axolotl_sftguide.mixing import scan
from axolotl_sftguide.report import show
from axolotl_sftguide.runs.checkpoints import NOTE, read_note
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.lm_eval_results import read_lm_eval_results
from axolotl_sftguide.runs.marker import Termination, mark, read_marker
from axolotl_sftguide.runs.traces import read_trace
from axolotl_sftguide.runs.trainer_states import read_trainer_state
from axolotl_sftguide.sweep import output_folder_of

ESCAPE = "\x1b[5;41mred\x1b[0m\x1b]0;title\x07"


def laughs(*, merged: bool = False) -> str:
    names = "abcdefghijk"
    lines = ["a: &a {x: 1}" if merged else "a: &a [lol, lol]"]
    for one, next_one in pairwise(names):
        many = f"[{', '.join([f'*{one}'] * 9)}]"
        lines.append(
            f"{next_one}: &{next_one} " + (f"{{<<: {many}}}" if merged else many)
        )
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (laughs(), "more than 200,000 values"),
        (laughs(merged=True), "more than 200,000 values"),
        ("datasets: &a [*a]", "datasets.0 to what contains it"),
        ("sftguide: &a {mix: *a}", "sftguide.mix to what contains it"),
        (f"datasets: {'[' * 150}{']' * 150}", "more than 100 levels"),
        (
            f"learning_rate: {'9' * 400}",
            "learning_rate is a number of about 400",
        ),
        (f"seed: 0x{'f' * 9000}", "seed is a number of about 10,837 digits"),
        (f"seed: {'9' * 5000}", "is not valid YAML"),
        ("x: !!binary é", "is not valid YAML"),
        ("a: {b: [!!binary gIGC]}", "a.b.0 is binary data"),
        ('a: {b: "x\\ud800"}', "a.b has half a character"),
        ("x: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        ("? [a, b]\n: 1", "is not valid YAML"),
        ("x: !!omap y", "is not valid YAML"),
    ],
)
def test_a_config_that_no_program_can_use_is_refused(
    text: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.yml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=says) as found:
        read_config(path)
    assert len(str(found.value)) < 600


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty; it must be a mapping of keys to values"),
        (b"# nothing yet\n", "is empty; it must be a mapping of keys to values"),
        (b"only words\n", "must be a mapping of keys to values"),
        (
            "seed: 1\n# pour le modèle\n".encode("cp1252"),
            "is not UTF-8 text (byte 0xe8 on line 2); save it as UTF-8",
        ),
        ("seed: 1\n".encode("utf-16"), "is not UTF-8 text (byte 0xff on line 1)"),
        (
            b"sftguide:\n\tstudy: x\n",
            "is not valid YAML (line 2: a tab; indent with spaces)",
        ),
        (
            b"datasets: [1, 2\nseed: 3\n",
            "is not valid YAML (line 2: while parsing a flow sequence: expected ',' or "
            "']', but got ':')",
        ),
    ],
)
def test_a_file_that_is_no_config_is_refused_with_its_line_and_the_way_out(
    content: bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.yml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=f": {re.escape(says)}"):
        read_config(path)


def test_an_alias_that_is_used_twice_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text("a: &a {x: 1}\nb: [*a, *a]\nc: {<<: *a, y: 2}\n")
    assert read_config(path) == {
        "a": {"x": 1},
        "b": [{"x": 1}, {"x": 1}],
        "c": {"x": 1, "y": 2},
    }


def test_a_setting_with_a_large_value_is_named_in_a_short_line() -> None:
    deep: Any = 1
    for _ in range(2000):
        deep = [deep]
    for value in (deep, "x" * 10**6, ["y"] * 10**5):
        with pytest.raises(SettingsError) as found:
            load_settings({"score": {"max_new_tokens": value, "data_path": "q"}})
        assert len(str(found.value)) < 400


def test_of_thousands_of_problems_the_first_ones_are_printed() -> None:
    with pytest.raises(SettingsError) as found:
        load_settings({f"key{i}": i for i in range(3000)})
    assert len(found.value.problems) == 3000
    assert str(found.value).splitlines()[-1] == "... and 2,950 more"


def test_keys_that_occur_twice_are_compared_whatever_their_depth(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.yml"
    deep = "{a: " * 90 + "1" + "}" * 90
    path.write_text(f"base_model: m\nx: {deep}\nx: {deep}\ny: {deep}\ny: 2\n")
    done = CliRunner().invoke(main, ["check", str(path)])
    assert "y is set on line 4 and again on line 5" in done.output
    assert "x is set on line 2" not in done.output


def corrupted(folder: Path, change: Any) -> Path:
    """A trace in which one record has another content."""
    path = write_trace(folder)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    change(records)
    path.write_text("\n".join(map(json.dumps, records)) + "\n")
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda records: records[0]["run"].update(max_steps=2**70),
        lambda records: records[0]["run"].update(config=[1]),
        lambda records: records[0]["run"].update(id="../../x"),
        lambda records: records[0]["run"].update(started_at=1e300),
        lambda records: records[3].update(step=-1),
        lambda records: records[3].update(loss=10**400),
        lambda records: records[3].update(samples_seen="many"),
        lambda records: records[-1].update(status="well"),
        lambda records: records[-2].update(value={}),
        lambda records: records.insert(4, {"event": "evaluation", "metrics": [1]}),
        lambda records: records.insert(4, {"event": "decision", "step": "4"}),
        lambda records: records.insert(4, {"event": ["x"]}),
    ],
)
def test_a_trace_with_a_wrong_value_is_refused(change: Any, tmp_path: Path) -> None:
    path = corrupted(tmp_path, change)
    with pytest.raises(TraceError) as found:
        read_trace(path)
    assert len(str(found.value)) < 600


def test_a_file_of_deep_brackets_is_no_traceback(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    for read in (read_lm_eval_results, read_trainer_state, read_trace):
        with pytest.raises(TraceError):
            read(deep)  # type: ignore[operator]


def test_a_note_that_leads_out_of_the_folder_is_no_note(tmp_path: Path) -> None:
    for run_id, step in (("../../x", 8), ("r1", "8"), (None, 8), ("r1", -8)):
        note = {"run_id": run_id, "step": step, "samples_seen": 64}
        (tmp_path / NOTE).write_text(json.dumps(note))
        assert read_note(tmp_path) is None
    note = {"run_id": "20261126-090000-ab12", "step": 8, "samples_seen": 64}
    (tmp_path / NOTE).write_text(json.dumps(note))
    assert read_note(tmp_path) is not None


@pytest.mark.parametrize(
    ("run_id", "is_read"), [("20261126-090000-ab12", True), ("../../x", False)]
)
def test_a_marker_that_leads_out_of_the_folder_is_no_marker(
    run_id: str, is_read: bool, tmp_path: Path
) -> None:
    mark(tmp_path, Termination(run_id, "divergence", "", 8, 64, 6))
    assert (read_marker(tmp_path) is not None) is is_read


def test_a_name_of_megabytes_is_cut_where_it_is_recorded(tmp_path: Path) -> None:
    history = RunHistory(str(tmp_path / "h.db"))
    history.begin(run_row(name="x" * 10**7))
    (run,) = history.runs()
    history.close()
    assert 100_000 <= len(run.name) < 101_000


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..", ".", "", "a\0b"])
def test_a_study_is_no_path_out_of_the_outputs(name: str) -> None:
    with pytest.raises(SweepError, match="give --output-dir"):
        output_folder_of(name)


def test_a_card_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "other.jsonl").write_text('{"prompt": "q", "completion": "a"}\n')
    (data / "README.md").write_text(
        "---\nconfigs: [{config_name: x, data_files: ../other.jsonl}]\n---\n"
    )
    with pytest.raises(MixError, match="outside the folder"):
        list(scan(SourceSettings(path="data"), tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"num_hidden_layers": 10**9},
        {"hidden_size": 10**400},
        {"num_attention_heads": 0},
        {"vocab_size": float("inf")},
        {"model_type": {"a": 1}},
        {"model_type": 5},
        {"num_hidden_layers": 10**400},
        {"hidden_size": float("nan")},
    ],
)
def test_a_model_with_impossible_sizes_is_not_planned(
    change: dict[str, Any], tmp_path: Path
) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    model = {"model_type": "llama", "num_attention_heads": 4, "vocab_size": 100}
    content = {**sizes, **model, **change}
    (tmp_path / "config.json").write_text(json.dumps(content))
    config = tmp_path / "c.yml"
    config.write_text(json.dumps({"base_model": str(tmp_path), "adapter": "lora"}))
    for command in ("check", "plan"):
        done = CliRunner().invoke(main, [command, str(config)])
        assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.exit_code == 2


@pytest.mark.parametrize(
    "change",
    [
        {"max_position_embeddings": 10**400, "rope_scaling": {"factor": 8.0}},
        {"max_position_embeddings": 4096, "rope_scaling": {"factor": float("inf")}},
    ],
)
def test_positions_that_no_model_has_are_not_compared(
    change: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(change))
    config = tmp_path / "c.yml"
    content = {"base_model": str(tmp_path), "sequence_len": 4096}
    config.write_text(json.dumps(content))
    done = CliRunner().invoke(main, ["check", str(config)])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "was made for" not in done.output


def test_the_name_of_a_model_is_cut_in_an_error(tmp_path: Path) -> None:
    config = tmp_path / "c.yml"
    config.write_text(json.dumps({"base_model": "x" * 10**6}))
    done = CliRunner().invoke(main, ["plan", str(config)])
    assert "run `hf download MODEL config.json`" in done.stderr
    assert len(done.output) < 2000


def test_a_batch_below_zero_has_a_finding_of_its_own_alone(tmp_path: Path) -> None:
    config = tmp_path / "c.yml"
    content = {
        "base_model": "m",
        "adam_beta2": 0.95,
        "sftguide": {"effective_batch_size": -(10**30)},
    }
    config.write_text(json.dumps(content))
    done = CliRunner().invoke(main, ["check", str(config), "--all"])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "sftguide.effective_batch_size" in done.output
    assert "adam_beta2: 0.95 suits" not in done.output


@pytest.mark.parametrize("path", ["x" * 5000, "~nobody-here/x", "a\0b", "\ud800"])
def test_a_path_that_is_none_is_a_clear_error(path: str, tmp_path: Path) -> None:
    with pytest.raises(MixError):
        list(scan(SourceSettings(path=path), tmp_path))
    config = tmp_path / "c.yml"
    config.write_text(json.dumps({"base_model": path, "datasets": [{"path": path}]}))
    for command in ("check", "plan"):
        done = CliRunner().invoke(main, [command, str(config)])
        assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_damaged_arrow_file_does_not_end_the_process(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"prompt": ["question"] * 4, "completion": ["answer"] * 4})
    path = tmp_path / "a.arrow"
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)
    offsets = b"".join((8 * i).to_bytes(4, "little") for i in range(5))
    content = path.read_bytes()
    assert content.count(offsets) == 1
    wild = b"".join((2**30 * i % 2**31).to_bytes(4, "little") for i in range(5))
    path.write_bytes(content.replace(offsets, wild))
    code = (
        "import sys; from pathlib import Path\n"
        "from axolotl_sftguide.mixing import SourceSettings, scan\n"
        "for row in scan(SourceSettings(path=sys.argv[1]), Path()): print(row.fault)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the file is damaged" in done.stdout


@pytest.fixture
def shown_with_escapes(tmp_path: Path) -> str:
    """A history with one run whose every name has an escape, markup and surrogates."""
    hostile = f"{ESCAPE}[/bold][red]\ud800\u202e</svg><script>"
    storage = str(tmp_path / "h.db")
    row = run_row(
        name=hostile,
        study=hostile,
        config={hostile: hostile, "learning_rate": 1.0},
        key_fields={"base_model": hostile},
        device=hostile,
        output_dir=str(tmp_path),
    )
    history = RunHistory(storage)
    history.begin(row)
    history.begin({**row, "id": "r2", "config": {hostile: "other"}})
    history.end("r1", "failed", hostile)
    history.close()
    return storage


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "list"],
        ["runs", "list", "--csv"],
        ["runs", "show", "r1", "--key", "--config"],
        ["runs", "compare", "r1", "r2"],
        ["runs", "tag", "r1"],
        ["runs", "rename", "r1", f"x{ESCAPE}"],
        ["runs", "show", "no such"],
        ["runs", "list", "--study", f"no{ESCAPE}"],
        ["runs", "delete", "r2", "--yes"],
        ["next", "r1"],
    ],
)
def test_no_escape_of_a_name_reaches_the_terminal(
    words: list[str], shown_with_escapes: str
) -> None:
    arguments = [*words, "--storage", shown_with_escapes]
    done = CliRunner().invoke(main, arguments, color=True)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    text = done.stdout_bytes.decode() + done.stderr_bytes.decode()
    assert text.strip()
    for control in ("\x1b[5", "\x1b]", "\x07", "\u202e", "\ud800"):
        assert control not in text


def test_commands_print_with_the_functions_that_escape_and_mask_alone() -> None:
    folder = Path(cli.__file__).parent
    direct = {
        path.name
        for path in folder.glob("*.py")
        if re.search(r"\bclick\.s?echo\(|(?<![\w.])print\(", path.read_text())
    }
    assert direct == {"common.py"}


def test_no_escape_of_a_name_is_in_a_warning(shown_with_escapes: str) -> None:
    connection = sqlite3.connect(shown_with_escapes)
    connection.execute("update runs set id = ? || id, loss = 'junk'", (f"{ESCAPE}id",))
    connection.commit()
    connection.close()
    arguments = ["runs", "list", "--storage", shown_with_escapes]
    done = CliRunner().invoke(main, arguments, color=True)
    assert "cannot be read" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("words", [["runs", "show", "x\udcff"], ["check", "x\ud800"]])
def test_an_argument_that_is_not_utf_8_is_one_line(
    words: list[str], shown_with_escapes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFTGUIDE_STORAGE", shown_with_escapes)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_name_is_markup_in_a_notebook(shown_with_escapes: str) -> None:
    figure = show("r1", storage=shown_with_escapes)
    found = figure._repr_mimebundle_()
    assert "<script" not in found["image/svg+xml"]
    assert "\x1b" not in found["text/plain"]


def test_a_shell_is_offered_no_name_that_it_would_run() -> None:
    offered = _offering(lambda _: ["plain", "$(touch x)", "a b", "`id`", "x;y"])
    found = offered(None, "")  # type: ignore[arg-type]
    assert [item.value for item in found] == ["plain"]


def test_a_name_cannot_add_a_command_for_github(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text('base_model: m\n"x\\n::error::y": 1\n')
    done = CliRunner().invoke(main, ["check", str(path), "--format", "github"])
    assert "x%0A::error::y is not an Axolotl key" in done.output
    assert not [li for li in done.output.splitlines() if li.startswith("::error::")]


def test_children_import_nothing_from_the_working_folder(tmp_path: Path) -> None:
    for name in ("json", "orjson", "logging", "yaml", "re"):
        (tmp_path / f"{name}.py").write_text("open('sprung', 'w')\n")
    from axolotl_sftguide.hosts import axolotl_validation, known_keys
    from axolotl_sftguide.mixing import _workers

    for code in (axolotl_validation._VALIDATE, known_keys._PRINT_KEYS, _workers._LOOP):
        first = code.strip().splitlines()
        assert first[0] == "import sys"
        path_set = next(i for i, line in enumerate(first) if "sys.path" in line)
        assert not [li for li in first[1:path_set] if li.startswith(("import", "from"))]
    start = axolotl_validation._VALIDATE.partition("import torch")[0]
    assert "import json" in start
    subprocess.run([sys.executable, "-c", start], cwd=tmp_path, check=True)
    assert not (tmp_path / "sprung").exists()
