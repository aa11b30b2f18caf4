"""A model's `config.json` is fetched alone, and only where the Hub may be asked."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from axolotl_sftguide.cli import main

CONFIG = json.dumps({"model_type": "llama", "hidden_size": 64}).encode()
CODE = """
import json
from axolotl_sftguide.config.model_configs import download_model_config

print(json.dumps(download_model_config("some/model")))
print(json.dumps(download_model_config("no/model")))
"""


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            known = self.path == "/some/model/resolve/main/config.json"
            self.send_response(200 if known else 404)
            if known:
                self.send_header("ETag", '"1"')
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("Content-Length", str(len(CONFIG)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(CONFIG)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def run(endpoint: str, home: Path, offline: str) -> list[object]:
    environment = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": offline,
        "PATH": "",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_only_the_config_is_fetched(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    endpoint, asked = hub
    found = run(endpoint, tmp_path, offline="0")
    assert found == [json.loads(CONFIG), None]
    assert asked
    assert all(path.endswith("/resolve/main/config.json") for path in asked)


def test_offline_the_hub_is_not_asked(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, asked = hub
    assert run(endpoint, tmp_path, offline="1") == [None, None]
    assert asked == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tokenizer-only", "the folder has no config.json; name the folder that"),
        ("cut-off", "its config.json cannot be read, or is no JSON object"),
        ("model/config.json", "is a file; name the folder with the model"),
        ("nowhere", "no config.json"),
    ],
)
def test_a_path_that_is_no_model_is_named_and_not_looked_for_on_the_hub(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("tokenizer-only", "cut-off", "model"):
        Path(folder).mkdir()
    Path("tokenizer-only", "tokenizer.json").write_text("{}")
    Path("cut-off", "config.json").write_text('{"model_type": "lla')
    Path("model", "config.json").write_bytes(CONFIG)
    Path("rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    Path("c.yml").write_text(f"base_model: {name}\n")
    card = ("--gpu-memory", "24GiB")
    for words in (
        ("new", "--model", name, "--data", "rows.jsonl", *card),
        ("plan", "c.yml", *card),
    ):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 2
        assert says in done.output, done.output
        assert ("hf download" in done.output) == (name == "nowhere")
        assert len(done.output.strip().splitlines()) == 1
