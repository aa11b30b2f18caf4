"""Secrets in configs, names, the environment and errors: none is shown or kept."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import string
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from campaign import Campaign, Wrong
from command import sftguide

_LETTERS = string.ascii_letters + string.digits


def _random(rng: Random, length: int, letters: str = _LETTERS) -> str:
    return "".join(rng.choices(letters, k=length))


def _token(rng: Random) -> str:
    """A token of a kind whose form is public."""
    upper = string.ascii_uppercase + string.digits
    low = string.digits + "abcdef"
    kinds = [
        lambda: "hf_" + _random(rng, 34, string.ascii_letters),
        lambda: "sk-" + _random(rng, 48),
        lambda: "sk-proj-" + _random(rng, 60, _LETTERS + "_-") + "a1",
        lambda: "sk-ant-api03-" + _random(rng, 80, _LETTERS + "_-") + "a1",
        lambda: "ghp_" + _random(rng, 36),
        lambda: "gho_" + _random(rng, 36),
        lambda: "github_pat_" + _random(rng, 22) + "_" + _random(rng, 59),
        lambda: "glpat-" + _random(rng, 20),
        lambda: "AKIA" + _random(rng, 16, upper),
        lambda: "AIza" + _random(rng, 35),
        lambda: "ya29." + _random(rng, 60),
        lambda: "xoxb-" + _random(rng, 11, string.digits) + "-" + _random(rng, 24),
        lambda: "npm_" + _random(rng, 36),
        lambda: "pypi-AgEIcHlwaS5vcmc" + _random(rng, 60),
        lambda: "wandb_v1_" + _random(rng, 60),
        lambda: "nvapi-" + _random(rng, 60),
        lambda: "gsk_" + _random(rng, 52),
        lambda: f"eyJ{_random(rng, 20)}.eyJ{_random(rng, 40)}.{_random(rng, 43)}",
        lambda: "AGE-SECRET-KEY-1" + _random(rng, 58, upper),
        lambda: _random(rng, 40, low),  # of W&B, which only its place tells
    ]
    return rng.choice(kinds)()


def _placed(rng: Random, secret: str) -> str:
    """A text with a secret where errors and settings have one."""
    known = not (len(secret) == 40 and set(secret) <= set(string.hexdigits.lower()))
    anywhere = [
        f"401 Client Error for {secret}, see the docs",
        f"Invalid token ({secret})",
        f"{secret}",
        f"'{secret}' was refused",
        f"https://hub.example/{secret}/resolve",
        f"git clone https://{secret}@github.com/a/b",
    ]
    named = [
        f"https://user:{secret}@host.example:443/path",
        f"postgresql+psycopg://ada:{secret}@db/x?sslmode=require",
        f"GET https://x.example/a?token={secret}&b=1",
        f"https://x.example/a?b=1&api_key={secret}",
        f"https://s3.example/x?X-Amz-Signature={secret}",
        f"Authorization: Bearer {secret}",
        f"headers={{'authorization': 'Bearer {secret}'}}",
        f"HF_TOKEN={secret} axolotl train x.yml",
        f"wandb login failed: WANDB_API_KEY={secret}",
        f'{{"api_key": "{secret}"}}',
        f"api_key='{secret}', project='x'",
        f"password: {secret}",
        f"--hub-token {secret}",
        f"--api-key={secret}",
        f"Failed to login with secret_key={secret}.",
    ]
    return rng.choice(anywhere + named if known else named)


def _mask_text(_: Any, rng: Random) -> None:
    """One text with a secret, and one without, which must stay as it is."""
    from axolotl_sftguide.safe_text import masked

    secret = _token(rng)
    text = _placed(rng, secret)
    _require_none(masked(text), secret, "masked text")
    if masked(masked(text)) != masked(text):
        raise Wrong("masking a masked text changes it again")
    harmless = rng.choice(_HARMLESS)
    if masked(harmless) != harmless:
        raise Wrong(f"no secret, and masked: {harmless!r}")


_HARMLESS = (
    "loss 2.5 left its recent level of 1.2 at step 40 and did not come back",
    "the key 'eos_token': '</s>' is not a token of the model",
    "special_tokens: {pad_token: <|end_of_text|>}",
    "max_new_tokens: 16, tokens: 5120, num_tokens=1234567",
    "train_tokens_per_second: 1234.5",
    "a token: the smallest part of a text",
    "unexpected token: '}' at line 3",
    "token=None, hub_token=False, use_auth_token: true",
    "sk-learn, hf_transfer, hf_hub_download, ghp, AKIA, pypi-server",
    "meta-llama/Llama-3.2-3B-Instruct at b14afda60f1bbebe55d5d2fa1e4df5042f97f8be",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "outputs/run-20261126-090000-ab12/sftguide-trace-20261126-090000-ab12.jsonl",
    "postgresql://ada@db/x", "git@github.com:a/b.git", "ssh://git@github.com/a/b",
    "https://huggingface.co/docs/trl?x=1#token", "sqlite:////home/a/runs.db",
    "KeyError: 'token'", "password authentication failed for user \"ada\"",
    "secret sharing is a method", "mail ada@example.org or see http://a.b:8080/x",
    "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 79.15 GiB total capacity)",
    "key_fields: base_model, data; key 3f2a9c", "lr_scheduler: constant_with_warmup",
    "chat_template: \"{{ bos_token }}{% for m in messages %}\"",
    "access denied: the model is gated", "author: a, authority: b, tokenizer: c",
)  # fmt: skip


def _require_none(text: str, secret: str, where: str) -> None:
    parts = [secret, secret[8:]] if len(secret) > 24 else [secret]
    if any(part in text for part in parts):
        raise Wrong(f"{where} has a secret of the kind {secret[:6]}...")


# A whole run: what is kept of it, and what is shown


def _enter_folder(folder: Path) -> Path:
    os.umask(0)  # so that what is private is so by intent
    return folder


def _run(folder: Path, rng: Random) -> None:
    """Record a run with secrets, show it in every way, and search what was written."""
    os.chdir(folder)
    shutil.rmtree("one", ignore_errors=True)
    Path("one").mkdir()
    os.chdir("one")
    secrets = [_token(rng) for _ in range(4)]
    in_environment = _random(rng, 24)
    before = dict(os.environ)
    name = rng.choice(["HF_TOKEN", "WANDB_API_KEY", "MY_SERVICE_PASSWORD", "DB_SECRET"])
    os.environ[name] = in_environment
    # As a host's error quotes a variable, without its name.
    secrets.append(in_environment)
    try:
        shown = _recorded_and_shown(rng, secrets)
    finally:
        os.environ.clear()
        os.environ.update(before)
    for secret in secrets:
        for where, text in shown.items():
            _require_none(text, secret, where)
        for path in Path().rglob("*"):
            if path.is_file():
                _require_none(path.read_bytes().decode("latin-1"), secret, path.name)
    _require_private()


def _recorded_and_shown(rng: Random, secrets: list[str]) -> dict[str, str]:
    from axolotl_sftguide.console import show_log
    from axolotl_sftguide.monitor.recorder import RunRecorder
    from axolotl_sftguide.runs.history import Decision, Score
    from axolotl_sftguide.runs.redaction import json_safe
    from axolotl_sftguide.signals import Observation

    texts = [_placed(rng, secret) for secret in secrets[:4]] + [f"with {secrets[4]}!"]
    rng.shuffle(texts)
    told, logger = io_of_log(), logging.getLogger("axolotl_sftguide.faults")
    show_log()
    row = {
        "id": "20261126-090000-ab12", "name": rng.choice([texts[0], "n"]), "study": "s",
        "key": "k", "key_fields": json_safe({"base_model": texts[1]}),
        "comparable": True,
        "host": "trl", "device": "cpu", "output_dir": str(Path.cwd()), "max_steps": 4,
        "config": json_safe(_config(rng, texts, secrets)), "started_at": time.time(),
        "hostname": "h", "process_id": 1, "process_started_at": 1.0,
    }  # fmt: skip
    recorder = RunRecorder(row, storage="runs.db", trace=True, warn=logger.warning)
    recorder.steps([Observation(i, i, 1.0, 1.0, 1e-4) for i in range(1, 5)])
    recorder.decision(Decision("divergence", "warn", texts[2], 3, 3, {"x": texts[2]}))
    recorder.evaluation(4, {"eval_loss": 1.0})
    recorder.score(
        Score(
            rng.choice(["m", texts[3][:40] if " " in texts[3][:40] else "m"]),
            1.0,
            "max",
        )
    )
    recorder.event("note", why=texts[3], inner={"a": [texts[3]]})
    logger.warning(f"not watched: {texts[4]}")
    recorder.end("failed", f"OSError: {texts[4]}")
    return {"the log": told(), **_commands(texts)}


def io_of_log() -> Any:
    """Read what the package's log prints, from here on."""
    import io

    kept, out = sys.stdout, io.StringIO()
    sys.stdout = out

    def read() -> str:
        sys.stdout = kept
        return out.getvalue()

    return read


def _config(rng: Random, texts: list[str], secrets: list[str]) -> dict[str, Any]:
    keys = "hub_token wandb_api_key password aws_secret_access_key auth_token".split()
    return {
        "learning_rate": 1e-4,
        rng.choice(keys): secrets[0],
        "env": {"HF_TOKEN": secrets[1], "x": [texts[1]]},
        "dataset": texts[2],
        "notes": [texts[3], {"deep": {"er": texts[0]}}],
        "trainer": {"callbacks": (texts[4],), "token": {"value": secrets[3]}},
    }


def _commands(texts: list[str]) -> dict[str, str]:
    run, shown = "20261126-090000-ab12", {}
    for words in (
        ["runs", "list"], ["runs", "list", "--json"], ["runs", "list", "--csv"],
        ["runs", "show", run, "--config", "--key"], ["runs", "show", run, "--json"],
        ["runs", "watch", run], ["runs", "tag", run, texts[0].replace(",", "")],
        ["runs", "rename", run, texts[1] or "n"], ["runs", "show", texts[2]],
        ["runs", "export", "--study", "s", "--to", "o.db"], ["report", run],
        ["runs", "import", "."], ["runs", "list", "--study", texts[3]],
    ):  # fmt: skip
        name = " ".join(words[:2])
        shown[name] = shown.get(name, "") + sftguide(*words, "--storage", "runs.db")
    Path("c.yml").write_text(
        json.dumps(
            {
                "base_model": texts[1],
                "hub_tokn": texts[2],
                "learning_rate": texts[3],
                "hub_token": texts[4],
                "sftguide": {"studdy": texts[0]},
            }
        )
    )
    for form in ([], ["--format", "json"], ["--format", "github"], ["-v"]):
        shown["check"] = shown.get("check", "") + sftguide("check", "c.yml", *form)
    shown["plan"] = sftguide("plan", "c.yml")
    Path("c.yml").unlink()  # the user's own file
    return shown


def _require_private() -> None:
    """The history, its journal and the trace are for their owner alone."""
    private = [p for p in Path().rglob("*") if "trace" in p.name or "runs.db" in p.name]
    for path in private:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_file() and mode & 0o077:
            raise Wrong(f"{path.name} has the mode {mode:o}")


def _home(folder: Path, rng: Random) -> None:
    """The default history: its folder and its files are for their owner alone."""
    from axolotl_sftguide.runs.history import RunHistory

    home = folder / f"home{rng.random()}"
    before = dict(os.environ)
    os.environ.update(HOME=str(home), XDG_DATA_HOME=str(home / "data"))
    os.environ.pop("SFTGUIDE_STORAGE", None)
    try:
        history = RunHistory()
        where = home / "data" / "sftguide"
        for path in (where, *where.iterdir()):
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise Wrong(f"{path.name} has the mode {mode:o}")
        history.close()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _campaign(what: str, attempt: Any, tries: int) -> Campaign:
    return Campaign("masking", what, tries, _enter_folder, attempt)


CAMPAIGNS = (
    _campaign("secrets in texts", _mask_text, 10_000),
    _campaign("secrets in a run", _run, 300),
    _campaign("the default history's modes", _home, 20),
)
