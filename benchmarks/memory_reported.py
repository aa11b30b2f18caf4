"""What `sftguide plan` tells of memory, beside what others have reported.

    python benchmarks/memory_reported.py

Where `fitcheck` (fitcheck-llm on PyPI) is on the path, its figure stands beside ours.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from axolotl_sftguide.memory import KNOWN, plan_memory

UNSLOTH = "https://unsloth.ai/docs/basics/unsloth-benchmarks (HF + FA2, a fitted line)"
LITGPT = "https://github.com/Lightning-AI/litgpt, config_hub (A10G)"
LLAMA, MISTRAL = "meta-llama/Llama-3.1-8B", "mistralai/Mistral-7B-v0.1"

# Model, tokens, micro batch, rank, 4 bits, checkpointing, reported GB, source.
REPORTED: list[tuple[str, int, int, int, bool, bool, float, str]] = [
    (LLAMA, 932, 1, 32, True, True, 12.0, UNSLOTH),
    (LLAMA, 2551, 1, 32, True, True, 16.0, UNSLOTH),
    (LLAMA, 5789, 1, 32, True, True, 24.0, UNSLOTH),
    (LLAMA, 12264, 1, 32, True, True, 40.0, UNSLOTH),
    (LLAMA, 512, 2, 32, True, False, 17.41, LITGPT),
    (MISTRAL, 512, 2, 32, True, False, 14.29, LITGPT),
    ("meta-llama/Llama-2-7b-hf", 512, 2, 32, True, False, 13.68, LITGPT),
    ("google/gemma-2-9b", 512, 1, 4, True, False, 20.92, LITGPT),
    (LLAMA, 512, 1, 32, False, False, 19.73, LITGPT),
]


def told(
    model: str, tokens: int, micro: int, rank: int, bits: bool, again: bool
) -> float:
    """Ours, in GB."""
    config = {
        "adapter": "qlora" if bits else "lora",
        "load_in_4bit": bits,
        "lora_r": rank,
        "lora_target_linear": True,
        "bf16": True,
        "gradient_checkpointing": again,
        "optimizer": "paged_adamw_8bit" if again else "adamw_torch",
        "sequence_len": tokens,
        "micro_batch_size": micro,
    }
    return plan_memory(config, KNOWN[model]).peak_bytes / 1e9


def fitcheck(
    folder: Path,
    model: str,
    tokens: int,
    micro: int,
    rank: int,
    bits: bool,
    again: bool,
) -> float | None:
    """Theirs, in GB; None where it is not here or refuses."""
    if shutil.which("fitcheck") is None:
        return None
    words = ["fitcheck", model, "--json", "--flash-attn", "--lora-targets", "full"]
    words += ["--lora-r", str(rank), "--seq-len", str(tokens)]
    words += ["--batch-size", str(micro), "--precision", "bf16"]
    words += ["--quant", "nf4", "--double-quant"] if bits else []
    words += ["--grad-checkpoint", "--optimizer", "adam8bit"] if again else []
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HOME": str(folder), "HF_HUB_OFFLINE": "1"},
    )
    try:
        return float(json.loads(done.stdout)["memory_mib"]["total"]) * 2**20 / 1e9
    except (ValueError, KeyError):
        return None


def make_cache(folder: Path) -> None:
    """The hub's cache as a download would leave it, of configurations alone."""
    for name, config in KNOWN.items():
        root = folder / "hub" / f"models--{name.replace('/', '--')}"
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text("0" * 40)
        snapshot = root / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        kind = config["model_type"].capitalize()
        whole = {
            **config,
            "architectures": [f"{kind}ForCausalLM"],
            "torch_dtype": "bfloat16",
        }
        (snapshot / "config.json").write_text(json.dumps(whole))


def main() -> None:
    """The table."""
    with tempfile.TemporaryDirectory() as name:
        make_cache(Path(name))
        print(
            "model                      tokens     reported    told          fitcheck"
        )
        for model, tokens, micro, rank, bits, again, reported, source in REPORTED:
            ours = told(model, tokens, micro, rank, bits, again)
            theirs = fitcheck(Path(name), model, tokens, micro, rank, bits, again)
            other = (
                "-" if theirs is None else f"{theirs:6.2f} {theirs / reported - 1:+.0%}"
            )
            kind = "4 bits" if bits else "bf16"
            print(
                f"{model.rpartition('/')[2]:<20} {kind:<6} {tokens:>6} x {micro} "
                f"{reported:8.2f} {ours:8.2f} {ours / reported - 1:+.0%}   {other:<14} "
                f"{source}"
            )


if __name__ == "__main__":
    main()
