"""Memory planned by `sftguide plan`, beside what others have reported.

    python benchmarks/memory_reported.py [--out FILE.json]

With `fitcheck` (fitcheck-llm on PyPI) on the path, its figure is printed too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from record import record

from axolotl_sftguide.config.axolotl_keys import LORA_KERNELS
from axolotl_sftguide.planning import KNOWN, Trainer, plan_memory


def shape(
    hidden: int, inner: int, layers: int, heads: int, words: int
) -> dict[str, Any]:
    """A `config.json` with plain attention."""
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": words,
    }


UNSLOTH = "https://unsloth.ai/docs/basics/unsloth-benchmarks (HF + FA2, a fitted line)"
LITGPT = "https://github.com/Lightning-AI/litgpt, config_hub (A10G)"
LLAMA, MISTRAL = "meta-llama/Llama-3.1-8B", "mistralai/Mistral-7B-v0.1"

QWEN = "https://github.com/QwenLM/Qwen, README (A100, torch 2.0, FA2)"
FUSED = "https://unsloth.ai/docs/basics/unsloth-benchmarks (theirs, a fitted line)"
TORCHTUNE = "https://github.com/pytorch/torchtune/issues/856 (RTX 4090)"

# Models that the package does not know; Qwen's first ones have a Llama's shapes.
OTHERS = {
    "Qwen/Qwen-1_8B": shape(2048, 5504, 24, 16, 151936),
    "Qwen/Qwen-7B": shape(4096, 11008, 32, 32, 151936),
    "Qwen/Qwen-14B": shape(5120, 13696, 40, 40, 152064),
    "google/gemma-7b": {
        **shape(3072, 24576, 28, 16, 256000),
        "model_type": "gemma",
        "head_dim": 256,
        "tie_word_embeddings": True,
    },
}
MODELS = {**KNOWN, **OTHERS}


class Reported(NamedTuple):
    """A reported figure, and the training that it is for."""

    model: str
    tokens: int
    gb: float
    source: str
    micro: int = 1
    rank: int = 32
    bits: bool = True
    checkpointing: bool = True
    """With gradient checkpointing."""
    fused: bool = False
    """With kernels for adapters and a fused loss."""
    targets: tuple[str, ...] = ()
    """Layers with adapters; empty for all linear layers."""
    embeddings: bool = False
    """With the embedding and the output layer trained in full."""


LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
QUERY_VALUE = ("q_proj", "v_proj")

REPORTED = [
    *(
        Reported(
            f"Qwen/Qwen-{size}",
            tokens,
            gb,
            QWEN,
            rank=64,
            bits=method == "Q-LoRA",
            embeddings=method == "LoRA (emb)",
        )
        for size, method, figures in (
            ("1_8B", "Q-LoRA", (5.8, 6.0, 6.6, 7.8, 10.2, 15.8)),
            ("1_8B", "LoRA", (6.7, 7.4, 8.4, 11.0, 16.2, 21.8)),
            ("1_8B", "LoRA (emb)", (13.7, 14.0, 14.0, 15.1, 19.7, 27.7)),
            ("7B", "Q-LoRA", (11.5, 11.5, 12.3, 13.9, 16.9, 23.5)),
            ("7B", "LoRA", (20.1, 20.4, 21.5, 23.8, 29.7, 36.6)),
            ("7B", "LoRA (emb)", (33.7, 34.1, 35.2, 35.1, 39.2, 48.5)),
            ("14B", "Q-LoRA", (18.7, 18.4, 18.9, 19.9, 23.0, 27.9)),
            ("14B", "LoRA", (34.6, 35.1, 35.3, 37.4, 42.5, 55.2)),
            ("14B", "LoRA (emb)", (51.2, 51.1, 51.5, 54.1, 56.8, 67.7)),
        )
        for tokens, gb in zip(LENGTHS, figures, strict=True)
    ),
    *(
        Reported(
            model,
            512,
            gb,
            LITGPT,
            micro=micro,
            rank=rank,
            bits=bits,
            checkpointing=False,
            targets=targets,
        )
        for model, gb, micro, rank, bits, targets in (
            ("google/gemma-2b", 12.62, 2, 8, False, ()),
            ("google/gemma-2b", 11.58, 2, 16, True, ()),
            ("google/gemma-2-2b", 14.31, 2, 8, False, ()),
            ("google/gemma-2-2b", 13.52, 2, 16, True, ()),
            ("meta-llama/Llama-2-7b-hf", 19.77, 2, 32, False, QUERY_VALUE),
            (MISTRAL, 20.66, 2, 32, False, QUERY_VALUE),
            ("microsoft/Phi-3-mini-4k-instruct", 19.75, 4, 8, False, ()),
            ("microsoft/Phi-3-mini-4k-instruct", 19.13, 4, 8, True, ()),
            ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 13.50, 8, 32, False, ()),
            ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 16.24, 8, 32, True, ()),
        )
    ),
    *(
        Reported(LLAMA, tokens, gb, UNSLOTH)
        for tokens, gb in ((932, 12.0), (2551, 16.0), (5789, 24.0), (12264, 40.0))
    ),
    *(
        Reported(LLAMA, tokens, gb, FUSED, fused=True)
        for tokens, gb in ((2972, 8.0), (78475, 24.0))
    ),
    Reported(LLAMA, 512, 17.41, LITGPT, micro=2, checkpointing=False),
    Reported(MISTRAL, 512, 14.29, LITGPT, micro=2, checkpointing=False),
    Reported(
        "meta-llama/Llama-2-7b-hf", 512, 13.68, LITGPT, micro=2, checkpointing=False
    ),
    Reported("google/gemma-7b", 512, 17.18, LITGPT, checkpointing=False),
    Reported("google/gemma-2-9b", 512, 20.92, LITGPT, rank=4, checkpointing=False),
    Reported(
        LLAMA,
        512,
        19.73,
        LITGPT,
        bits=False,
        checkpointing=False,
        targets=QUERY_VALUE,
    ),
    Reported(LLAMA, 4096, 24.0, TORCHTUNE, rank=8, bits=False),
]


def planned(row: Reported) -> float:
    """Planned memory in GB."""
    kernels = dict.fromkeys(LORA_KERNELS, row.fused)
    config = {
        **kernels,
        "plugins": ["axolotl.integrations.liger.LigerPlugin"],
        "adapter": "qlora" if row.bits else "lora",
        "load_in_4bit": row.bits,
        "lora_r": row.rank,
        "lora_target_linear": not row.targets,
        "lora_target_modules": list(row.targets) or None,
        "lora_modules_to_save": ["embed_tokens", "lm_head"] if row.embeddings else None,
        "bf16": True,
        "gradient_checkpointing": row.checkpointing,
        "liger_rms_norm": row.fused,
        "liger_fused_linear_cross_entropy": row.fused,
        "optimizer": "paged_adamw_8bit" if row.checkpointing else "adamw_torch",
        "sequence_len": row.tokens,
        "micro_batch_size": row.micro,
    }
    trainer: Trainer = "unsloth" if row.fused else "axolotl"
    plan = plan_memory(config, MODELS[row.model], trainer=trainer)
    return plan.peak_bytes / 1e9


def fitcheck(folder: Path, row: Reported) -> float | None:
    """Fitcheck's estimate in GB; None without it, or if it refuses."""
    unlike = row.embeddings or row.targets or row.fused  # it has no option for these
    if shutil.which("fitcheck") is None or unlike:
        return None
    words = ["fitcheck", row.model, "--json", "--flash-attn", "--lora-targets", "full"]
    words += ["--lora-r", str(row.rank), "--seq-len", str(row.tokens)]
    words += ["--batch-size", str(row.micro), "--precision", "bf16"]
    words += ["--quant", "nf4", "--double-quant"] if row.bits else []
    words += (
        ["--grad-checkpoint", "--optimizer", "adam8bit"] if row.checkpointing else []
    )
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
    """Write a Hub cache that holds only the models' configurations."""
    for name, config in MODELS.items():
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


def by_source(figures: list[tuple[Reported, float, float | None]]) -> None:
    """Print the median and the largest difference for each source."""
    groups: dict[str, list[tuple[float, float | None]]] = {}
    for row, ours, theirs in figures:
        kind = "4 bits" if row.bits else "bf16"
        kind += ", embeddings trained" * row.embeddings
        name = f"{row.source.split(' (')[0]}: {kind}"
        found = None if theirs is None else abs(theirs / row.gb - 1)
        groups.setdefault(name, []).append((abs(ours / row.gb - 1), found))
    for name, pairs in groups.items():
        print(f"{name}: planned {spread([ours for ours, _ in pairs])}")
        both = [(ours, theirs) for ours, theirs in pairs if theirs is not None]
        if both and len(both) < len(pairs):
            alike = spread([ours for ours, _ in both])
            print(f"    where fitcheck has a figure, planned {alike}")
        if both:
            print(f"    fitcheck {spread([theirs for _, theirs in both])}")


def spread(sizes: list[float]) -> str:
    """Number, median and largest of some differences."""
    return f"{len(sizes)} rows, median {median(sizes):.0%}, largest {max(sizes):.0%}"


def main() -> None:
    """Print the table, and the differences by source."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    figures = []
    with tempfile.TemporaryDirectory() as name:
        make_cache(Path(name))
        print(
            "model                      tokens     reported    planned       fitcheck"
        )
        for row in REPORTED:
            ours, theirs = planned(row), fitcheck(Path(name), row)
            figures.append((row, ours, theirs))
            other = (
                "-" if theirs is None else f"{theirs:6.2f} {theirs / row.gb - 1:+.0%}"
            )
            kind = "4 bits" if row.bits else "bf16"
            kind += " emb" * row.embeddings
            print(
                f"{row.model.rpartition('/')[2]:<20} {kind:<8} {row.tokens:>6} x "
                f"{row.micro} {row.gb:8.2f} {ours:8.2f} {ours / row.gb - 1:+.0%}   "
                f"{other:<14} {row.source}"
            )
    by_source(figures)
    if out:
        rows = [
            {**row._asdict(), "planned_gb": ours, "fitcheck_gb": theirs}
            for row, ours, theirs in figures
        ]
        record(out, {"rows": rows})


if __name__ == "__main__":
    main()
