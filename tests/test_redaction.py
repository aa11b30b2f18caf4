"""Secrets do not get into traces and histories; what is none stays."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
from runs import run_row, write_trace

from axolotl_sftguide.console import say
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.redaction import json_safe
from axolotl_sftguide.runs.traces import TraceWriter, read_trace
from axolotl_sftguide.safe_text import masked, printable
from axolotl_sftguide.sweep.axolotl_process import error_line

HF = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"
PLAIN = "correct-horse-battery"
"""A secret that only its place tells."""


@pytest.mark.parametrize(
    "key",
    "hub_token wandb_api_key api-key HF_TOKEN password db_password secret "
    "aws_secret_access_key aws_access_key_id private_key credentials".split(),
)
def test_are_left_out_of_the_recorded_config(key: str) -> None:
    assert json_safe({"nested": [{key: "abc"}]}) == {"nested": [{key: "***"}]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eos_token", "</s>"),
        ("special_tokens", {"pad_token": "<pad>"}),
        ("tokens", ["<|user|>"]),
        ("max_new_tokens", 16),
        ("hub_token", None),
        ("key", "messages"),
        ("output_key", "text"),
        ("train_on_eos_token", True),
    ],
)
def test_what_is_none_stays(key: str, value: Any) -> None:
    assert json_safe({key: value}) == {key: value}


def test_a_password_in_a_url_is_hidden() -> None:
    url = "postgresql://ada:hunter2@host/db"
    assert json_safe([url]) == ["postgresql://ada:***@host/db"]


def test_what_json_cannot_hold_becomes_text() -> None:
    value = {"path": Path("/a"), "nan": math.nan, "set": {"b", "a"}, 3: (1, 2)}
    safe = {"path": "/a", "nan": "nan", "set": ["a", "b"], "3": [1, 2]}
    assert json_safe(value) == safe


@pytest.mark.parametrize(
    "text",
    [
        f"401 Client Error: token {HF} is invalid",
        f"git clone https://{HF}@huggingface.co/a/b",
        f"https://ada:{PLAIN}@host:443/x",
        f"https://ada:a@{PLAIN}@host/x",
        f"GET https://x.example/a?token={PLAIN}&b=1",
        f"https://s3.example/x?X-Amz-Signature={PLAIN}",
        f"Authorization: Bearer {PLAIN}-4711",
        f"WANDB_API_KEY={PLAIN} axolotl train x.yml",
        f'{{"api_key": "{PLAIN}"}}',
        f"password: {PLAIN}",
        f"--hub-token {PLAIN}",
        "ghp_" + "a1B2" * 9,
        "AKIA" + "ABCD1234" * 2,
        "sk-" + "a1B2c3D4" * 6,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJlLXBhcnQ",
        f"-----BEGIN PRIVATE KEY-----\n{PLAIN}\n-----END PRIVATE KEY-----",
    ],
)
def test_a_secret_in_a_text_is_masked(text: str) -> None:
    found = masked(text)
    assert "***" in found
    for secret in (HF, PLAIN, "a1B2a1B2", "ABCD1234", "a1B2c3D4", "eyJzdWIi"):
        assert secret not in found
    assert masked(found) == found


@pytest.mark.parametrize(
    "text",
    [
        "a token: the smallest part of a text",
        "unexpected token: '}' at line 3",
        "special_tokens: {pad_token: <|end_of_text|>}, eos_token='</s>'",
        "max_new_tokens: 16, num_tokens=1234567, token=None",
        "password authentication failed for user ada",
        "meta-llama/Llama-3.2-3B at b14afda60f1bbebe55d5d2fa1e4df5042f97f8be",
        "sk-learn, hf_transfer and ghp are names",
        "postgresql://ada@db/x, git@github.com:a/b.git, http://host:8080/x?y=1#token",
        "outputs/a/sftguide-trace-20261126-090000-ab12.jsonl",
    ],
)
def test_a_text_without_a_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_the_values_of_secret_variables_are_masked_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_SERVICE_PASSWORD", PLAIN)
    monkeypatch.setenv("OTHER_TOKEN", "short")
    assert masked(f"refused <{PLAIN}> and short") == "refused <***> and short"


def test_paths_in_variables_are_no_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("PWD", "OLDPWD", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.setenv(name, str(tmp_path))
    assert masked(f"{tmp_path}/out") == f"{tmp_path}/out"


def test_the_error_that_a_log_of_axolotl_ends_with_is_masked(tmp_path: Path) -> None:
    log = tmp_path / "axolotl.log"
    log.write_text(f"loading\nOSError: no access with token=hf_{'a' * 34} to x\n")
    assert error_line(log) == "OSError: no access with token=*** to x"


def test_a_long_text_is_masked_in_moments() -> None:
    started = time.process_time()
    for word in ("x", "x.", "eyJ-", "sk-", "token ", "?a", "--a", "://", "\x1b"):
        printable(masked(word * (10**5 // len(word))))
    assert time.process_time() - started < 5


def test_no_secret_is_in_a_trace_a_history_or_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"https://ada:{PLAIN}@host"
    path = write_trace(tmp_path, name=f"run {HF}", config={"x": [url], "hub_token": HF})
    writer = TraceWriter(path)
    writer.event("note", why=f"failed: {url}", loss=math.nan)
    writer.close()
    history = RunHistory(str(tmp_path / "h.db"))
    run = history.import_trace(read_trace(path))
    history.begin(run_row("r2", study=url, key_fields={"base_model": HF}))
    history.add_decision("r2", Decision("rule", "warn", url, 1, 8, {"x": HF}))
    history.add_score("r2", Score(HF, 1.0, "max"))
    history.rename(run, HF)
    history.tag(run, [HF])
    history.end("r2", "failed", f"OSError: {url}")
    history.close()
    say(f"warning: {url} {HF}")
    written = b"".join(p.read_bytes() for p in tmp_path.iterdir()).decode("latin-1")
    for text in (written, capsys.readouterr().out):
        assert "***" in text
        assert HF not in text
        assert PLAIN not in text
    assert '"loss": "NaN"' in path.read_text()


def test_what_is_recorded_is_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SFTGUIDE_STORAGE", raising=False)
    folder = tmp_path / "data" / "sftguide"
    folder.mkdir(parents=True, mode=0o755)  # as earlier versions made it
    before = os.umask(0)
    try:
        trace = write_trace(tmp_path / "out")
        history = RunHistory()
        history.begin(run_row())
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    history.close()
    assert found == {"runs.db": 0o600, "runs.db-wal": 0o600, "runs.db-shm": 0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert trace.stat().st_mode & 0o777 == 0o600
