"""Campaign: `axolotl train` itself is killed, and resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import checks
import yaml
from children import tracebacks
from outcome import Outcome
from tally import Tally
from tiny import make_base, rows, write_rows

from axolotl_sftguide.runs.checkpoints import last_whole_checkpoint

STEPS = 60


def _config(scratch: Path, out: Path) -> dict[str, Any]:
    data = {"path": str(scratch / "rows.jsonl"), "ds_type": "json"}
    return {
        "base_model": str(scratch / "base"),
        "plugins": ["axolotl_sftguide.SFTGuidePlugin"],
        "datasets": [{**data, "type": "chat_template"}],
        "dataset_prepared_path": str(scratch / "prepared"),
        "output_dir": str(out),
        "sequence_len": 64,
        "micro_batch_size": 2,
        "max_steps": STEPS,
        "learning_rate": 0.003,
        "optimizer": "adamw_torch",
        "lr_scheduler": "constant",
        "bf16": False,
        "fp16": False,
        "attn_implementation": "sdpa",
        "seed": 42,
        "save_steps": 10,
        "save_total_limit": 2,
        "logging_steps": 2,
        "val_set_size": 0,
        "dataset_num_proc": 1,
        "dataloader_num_workers": 0,
        "lora_qkv_kernel": False,
        "lora_o_kernel": False,
        "lora_mlp_kernel": False,
    }


def _begin(scratch: Path, out: Path) -> subprocess.Popen[bytes]:
    config = _config(scratch, out)
    checkpoint = last_whole_checkpoint(out)
    if checkpoint is not None:
        config["resume_from_checkpoint"] = str(checkpoint)
    path = out.with_suffix(".yml")
    path.write_text(yaml.safe_dump(config))
    axolotl = str(Path(sys.executable).with_name("axolotl"))
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [axolotl, "train", str(path), "--launcher", "python"],
            env={**os.environ, "SFTGUIDE_STORAGE": str(out.with_suffix(".db"))},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def killed_axolotl(scratch: Path, seed: int, share: float) -> Outcome:
    """Kills of `axolotl train` in mid run; it is resumed from its last checkpoint."""
    tally = Tally("axolotl train: kill -9, SIGTERM and Ctrl-C in mid run, resumed")
    make_base(scratch / "base")
    write_rows(scratch / "rows.jsonl", rows())
    out = scratch / "undisturbed"
    assert _begin(scratch, out).wait(300) == 0, out.with_suffix(".log").read_text()
    (trace,) = checks.read_all(tally, out, "undisturbed")
    expected = trace.observations
    for number in range(max(1, round(3 * share))):
        draw = random.Random(f"{seed} axolotl {number}")
        out, where = scratch / f"try-{number}", f"axolotl {number}"
        storage = out.with_suffix(".db")
        process = _begin(scratch, out)
        at = draw.randint(2, STEPS - 10)
        deadline = time.monotonic() + 200
        while _last_step(out) < at and process.poll() is None:
            assert time.monotonic() < deadline, out.with_suffix(".log").read_text()
            time.sleep(0.02)
        how = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[number % 3]
        os.killpg(process.pid, how)
        process.wait(120)
        tally.tries += 1
        for trace in checks.read_all(tally, out, where):
            checks.as_before(tally, trace, expected, where, at_least=at)
        if _begin(scratch, out).wait(300):
            text = out.with_suffix(".log").read_text()
            tally.mistake(f"{where}: the resume failed: {text[-300:]}")
            continue
        traces = checks.read_all(tally, out, where)
        for trace in traces:
            checks.as_before(tally, trace, expected, where)
        checks.in_history(tally, storage, traces[-1], "finished", where)
        text = out.with_suffix(".log").read_text(errors="replace")
        for found in tracebacks(text):
            if not found.startswith("KeyboardInterrupt"):
                tally.traceback(f"{where}: {found}")
    return tally.outcome()


def _last_step(out: Path) -> int:
    """The last whole step in the newest trace."""
    paths = sorted(out.glob("sftguide-trace-*.jsonl"))
    return paths[-1].read_text().count('"samples_seen"') if paths else 0


CAMPAIGNS = (killed_axolotl,)
