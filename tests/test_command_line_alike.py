"""What all commands share: -q, -v, --json, NO_COLOR, completion and 80 columns."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from runs import run_row, write_trace

from axolotl_sftguide.cli import main
from axolotl_sftguide.cli.mix import verify_mix
from axolotl_sftguide.runs.history import Decision, RunHistory, Score

SLOW = {"quickstart", "sweep"}
"""Commands that train; tests under Axolotl run them."""

ELSEWHERE = {"mix verify", "runs upgrade"}


def leaves(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """All commands without those that only group others."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    else:
        yield " ".join(path), command
    if path == ("mix",):
        yield "mix verify", verify_mix


COMMANDS = dict(leaves())

MIX = """\
phases:
  - name: one
    datasets: [{path: rows.jsonl}]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config, a mix, a trace, and a history with a stopped run."""
    monkeypatch.chdir(tmp_path)
    row = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": row}) + "\n")
    (tmp_path / "mix.yml").write_text(MIX)
    (tmp_path / "config.yml").write_text(
        "base_model: Qwen/Qwen2.5-0.5B\nlearning_rate: 2e-5\nmicro_batch_size: 2\n"
        "sequence_len: 512\ndatasets: [{path: rows.jsonl, type: chat_template}]\n"
    )
    history = RunHistory()
    for i, name in enumerate(("a1", "b2")):
        history.begin(
            run_row(
                name,
                name=f"a-run-with-quite-a-long-name-{i}",
                output_dir=str(tmp_path),
                config={"learning_rate": 10.0**-i, "lora_r": 8 * i},
            )
        )
        history.progress(name, step=60, samples_seen=480, loss=1.5, grad_norm=0.3)
        history.add_score(name, Score("heldout_exact_match", 0.5 + i / 10, "max"))
        history.end(name, "finished")
    history.begin(run_row("c3", name="stopped", output_dir=str(tmp_path)))
    reason = "the loss was above its limit of 1.62 for 24 steps in a row " * 3
    history.add_decision("c3", Decision("divergence", "stop", reason, 38, 304))
    history.end("c3", "terminated", f"divergence: {reason}")
    write_trace(tmp_path / "out", "t4", 20)
    return tmp_path


WORDS: dict[str, list[str]] = {
    "recipes list": [],
    "recipes show": ["quickstart-cpu"],
    "recipes copy": ["quickstart-cpu", "copied"],
    "mix": ["mix.yml"],
    "new": "--model Qwen/Qwen3-8B-Base --data rows.jsonl --gpu-memory 24GiB "
    "-o new.yml".split(),
    "check": ["config.yml"],
    "explain": ["unknown-key"],
    "evidence": ["two-epochs"],
    "plan": ["config.yml", "--gpu-memory", "24GiB"],
    "runs list": [],
    "runs show": ["c3"],
    "runs watch": ["a1"],
    "runs compare": ["a1", "b2"],
    "runs best": ["--metric", "heldout_exact_match"],
    "runs rename": ["a1", "renamed"],
    "runs delete": ["a1", "--yes"],
    "runs import": ["out"],
    "runs score": ["a1", "accuracy=0.5", "--goal", "max"],
    "runs export": ["--study", "s", "--to", "optuna.db"],
    "runs tag": ["a1", "kept"],
    "next": ["a1"],
    "report": ["a1", "b2"],
    "backtest": ["--study", "s"],
}


def call(command: str, *words: str) -> Result:
    return CliRunner().invoke(main, [*command.split(), *words])


def test_each_command_has_q_v_and_json() -> None:
    lacking = [
        (name, option)
        for name, command in COMMANDS.items()
        for option in ("-q", "--quiet", "-v", "--verbose", "--json")
        if not any(option in p.opts for p in command.params)
    ]
    assert lacking == []
    assert len(COMMANDS) > 20


def test_each_command_that_does_not_train_is_tested_here() -> None:
    assert set(COMMANDS) - SLOW - ELSEWHERE - set(WORDS) == set()


@pytest.mark.parametrize("command", [c for c in WORDS if c != "backtest"])
def test_with_json_the_answer_is_json_and_nothing_else(
    command: str, project: Path
) -> None:
    found = call(command, *WORDS[command], "--json")
    assert found.exit_code == 0, found.output
    if command == "runs watch":
        assert [json.loads(line) for line in found.stdout.splitlines()]
    else:
        assert json.loads(found.stdout) is not None


@pytest.mark.parametrize("command", [c for c in WORDS if c != "backtest"])
def test_quiet_leaves_the_answer_and_takes_the_messages(
    command: str, project: Path
) -> None:
    words = [*WORDS[command], *(["--force"] if command == "recipes copy" else [])]
    found = call(command, *words, "-q")
    assert found.exit_code == 0, found.output
    assert found.stdout.strip()
    assert found.stderr == ""
    # Nothing is quiet about an error.
    assert "No such option" in call(command, *words, "-q", "--nonsense").stderr


def test_messages_go_to_stderr(project: Path) -> None:
    found = call("runs list")
    assert "storage: sqlite" in found.stderr
    assert "storage" not in found.stdout


def test_verbose_shows_where_an_error_comes_from(project: Path) -> None:
    plain, detailed = call("runs show", "nobody"), call("runs show", "nobody", "-v")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in detailed.stderr
    assert plain.stderr.strip() in detailed.stderr
    assert (plain.exit_code, detailed.exit_code) == (2, 2)


@pytest.mark.parametrize("command", [c for c in WORDS if c != "recipes show"])
def test_what_a_command_prints_fits_80_columns(
    command: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = call(command, *WORDS[command])
    assert wide(found.stdout) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_80_columns(command: str) -> None:
    said = call(command, "--help").output
    assert "--json" in said
    assert [line for line in said.splitlines() if len(line) > 80] == []


def wide(text: str) -> list[str]:
    """Lines that are too long, but for those of one word, such as a path."""
    return [
        line
        for line in text.splitlines()
        if len(line) > 80 and " " in line.strip() and not re.search(r"\S{40}", line)
    ]


def test_no_color_is_obeyed_on_a_terminal(project: Path) -> None:
    from terminal import Terminal

    def colours(*words: str, **environment: str) -> set[str]:
        terminal = Terminal(*words, **environment)
        assert terminal.end() == 0
        return {c for line in range(24) for c in terminal.colours(line)}

    assert colours("runs", "show", "a1") > {"default"}
    assert colours("runs", "show", "a1", NO_COLOR="1") == {"default"}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ru", "runs"),
        ("runs wa", "watch"),
        ("runs watch --st", "--study"),
        ("runs show a", "a1"),
        ("recipes show quickstart-cpu-", "quickstart-cpu-qlora"),
        ("explain unknown-k", "unknown-key"),
        ("runs list --study ", "s"),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_words_are_completed(
    words: str, offered: str, shell: str, project: Path
) -> None:
    *before, last = f"sftguide {words}".split(" ")
    environment = {
        "_SFTGUIDE_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join([*before, last] if shell == "bash" else before),
        "COMP_CWORD": str(len(before)) if shell != "fish" else last,
    }
    if shell == "zsh":
        environment["COMP_WORDS"] = " ".join([*before, last])
    runner = CliRunner(env=environment)
    found = runner.invoke(main, [], prog_name="sftguide")
    assert offered in re.split(r"[\n,\t]", found.stdout), found.output


LINES = {
    "bash": (
        "bash -c",
        "COMP_WORDS=(sftguide rec); COMP_CWORD=1\n"
        "_sftguide_completion sftguide rec sftguide\n"
        'echo "${COMPREPLY[@]}"',
        "recipes",
    ),
    "zsh": (
        "zsh -f -c",
        "print $_comps[sftguide]",
        "_sftguide_completion",
    ),
    "fish": ("fish --no-config -c", 'complete -C "sftguide rec"', "recipes\tList"),
}
"""How a shell is called, what it is asked, and what it answers."""


@pytest.mark.parametrize("shell", LINES)
def test_a_shell_completes_words_with_the_line_of_the_docs(
    shell: str, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    page = Path(__file__).parents[1] / "docs" / "command-line.md"
    found = re.search(rf"^\| {shell}[ (].*\| `([^`]+)` \|$", page.read_text(), re.M)
    assert found is not None
    line = found.group(1).replace("\\|", "|")
    if shell == "zsh":
        line = f"autoload -Uz compinit; compinit -u -D; {line}"
    program = tmp_path / "bin" / "sftguide"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nfrom axolotl_sftguide.cli import main\nmain()\n"
    )
    program.chmod(0o755)
    command, question, answer = LINES[shell]
    done = subprocess.run(
        [*command.split(), f"{line}\n{question}"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
    )
    assert done.stdout.strip() == answer, done.stderr
