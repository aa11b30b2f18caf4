"""Peak memory and tokens per second of adapters on a CUDA device under a 24 GB cap.

    python benchmarks/gpu_qlora.py [--minutes 9] [--out FOLDER] [--smoke]

Random weights of 7B and 8B architectures at 2,048, 4,096 and 8,192 tokens: our recipes'
settings and those of Axolotl's stock QLoRA example in turn, and LoRA on weights of 16
bits, in one process, with the figure of `sftguide plan` beside each peak. Written as
JSON and printed as a table. What it measures is the device at hand under a cap, not
another card. Missing packages (liger-kernel) are told and done without. `--smoke` runs
one small model on the CPU, to see that the suite itself works; it measures no memory.
Where Axolotl is installed, its kernels for adapters are on in both, as it turns them on
by itself on a card.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from record import record

from axolotl_sftguide.config.axolotl_keys import LORA_KERNELS
from axolotl_sftguide.planning import KNOWN, plan_memory

MODELS = ("mistralai/Mistral-7B-v0.1", "Qwen/Qwen3-8B-Base")
TOKENS = (2048, 4096, 8192)
CAP_BYTES = 24 * 10**9
STEPS = 4

OURS = {
    "lora_r": 64,
    "lora_alpha": 32,
    "optimizer": "paged_adamw_8bit",
    "plugins": ["axolotl.integrations.liger.LigerPlugin"],
    "liger_rms_norm": True,
    "liger_glu_activation": True,
    "liger_fused_linear_cross_entropy": True,
}
STOCK = {"lora_r": 32, "lora_alpha": 16, "optimizer": "adamw_bnb_8bit"}
COMMON = {
    "adapter": "qlora",
    "load_in_4bit": True,
    "lora_target_linear": True,
    "gradient_checkpointing": True,
    "micro_batch_size": 1,
}
LORA = {"adapter": "lora", "load_in_4bit": False}
SMOKE = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
}


def has(package: str) -> bool:
    """Whether a package is installed."""
    return importlib.util.find_spec(package) is not None


def make_model(shape: dict[str, Any], config: dict[str, Any], device: str) -> Any:
    """A model with random weights in 4 bits, and adapters on it."""
    import bitsandbytes as bnb
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    half = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(**shape, use_cache=False),
            attn_implementation="sdpa",
            dtype=half,
        )
    for name, module in list(model.named_modules()):
        quantised = config["load_in_4bit"] and "lm_head" not in name
        if isinstance(module, torch.nn.Linear) and quantised:
            weight = torch.randn(
                module.out_features, module.in_features, dtype=half, device=device
            )
            layer = bnb.nn.Linear4bit(
                module.in_features,
                module.out_features,
                bias=module.bias is not None,
                compute_dtype=half,
                compress_statistics=True,
                quant_type="nf4",
                device="meta",
            )
            layer.weight = bnb.nn.Params4bit(
                weight * 0.02,
                requires_grad=False,
                compress_statistics=True,
                quant_type="nf4",
            ).to(device)
            if module.bias is not None:
                layer.bias = torch.nn.Parameter(
                    torch.zeros(module.out_features, dtype=half, device=device)
                )
            model.set_submodule(name, layer)
            del weight
    for name, parameter in list(model.named_parameters()):
        if parameter.is_meta:
            made = torch.randn(parameter.shape, dtype=half, device=device) * 0.02
            owner, _, last = name.rpartition(".")
            setattr(model.get_submodule(owner), last, torch.nn.Parameter(made))
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config, device=device)
    model.requires_grad_(False)
    if config["gradient_checkpointing"]:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    lora = LoraConfig(
        r=config["lora_r"],
        lora_alpha=config["lora_alpha"],
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    if not config[LORA_KERNELS[0]]:
        return get_peft_model(model.train(), lora).to(device)
    from axolotl.monkeypatch import lora_kernels
    from axolotl.utils.dict import DictDefault

    with tempfile.TemporaryDirectory() as folder:
        model.config.save_pretrained(folder)
        chosen = DictDefault(config, base_model=folder, trust_remote_code=False)
        lora_kernels.patch_self_attn_lora(chosen)
    model = get_peft_model(model.train(), lora).to(device)
    return lora_kernels.apply_lora_kernel_patches(model, chosen)


def use_liger(config: dict[str, Any]) -> str:
    """The loss that is measured; Liger patches the classes, so it comes last."""
    if not config.get("liger_fused_linear_cross_entropy"):
        return "plain"
    if not has("liger_kernel"):
        return "plain (no liger-kernel here)"
    from liger_kernel.transformers import apply_liger_kernel_to_mistral as mistral
    from liger_kernel.transformers import apply_liger_kernel_to_qwen3 as qwen3

    for apply in (mistral, qwen3):
        apply(fused_linear_cross_entropy=True)
    return "liger"


def measure(
    name: str, shape: dict[str, Any], config: dict[str, Any], device: str
) -> Any:
    """One setting: peak, tokens per second, and what was planned."""
    import bitsandbytes as bnb

    tokens, cuda = config["sequence_len"], device == "cuda"
    kernels = cuda and has("axolotl")
    config = {**config, **dict.fromkeys(LORA_KERNELS, kernels), "bf16": cuda}
    planned = plan_memory(config, shape)
    row = {
        "model": name,
        "tokens": tokens,
        "settings": config,
        "planned_gb": planned.peak_bytes / 1e9,
        "loss": use_liger(config),
    }
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    model = None
    try:
        model = make_model(shape, config, device)
        weights = [p for p in model.parameters() if p.requires_grad]
        kind = bnb.optim.PagedAdamW8bit if "paged" in config["optimizer"] else None
        optimizer = (kind or bnb.optim.AdamW8bit)(weights, lr=1e-4)
        ids = torch.randint(0, shape["vocab_size"], (1, tokens), device=device)
        taken = []
        for _ in range(STEPS):
            started = time.perf_counter()
            with torch.autocast(device, torch.bfloat16, enabled=cuda):
                loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if cuda:
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - started)
        row["tokens_per_second"] = tokens / min(taken[1:])
        row["loss_value"] = loss.item()
        if cuda:
            row["peak_allocated_gb"] = torch.cuda.max_memory_allocated() / 1e9
            row["peak_reserved_gb"] = torch.cuda.max_memory_reserved() / 1e9
    except torch.OutOfMemoryError:
        row["out_of_memory"] = True
    except Exception as error:  # the other settings are still measured
        row["failed"] = f"{type(error).__name__}: {error}"[:300]
    model = optimizer = weights = loss = None
    gc.collect()
    return row


def main() -> None:
    """All settings, the stock ones first: Liger stays where it has been applied."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    for package in ("bitsandbytes", "peft", "transformers"):
        if not has(package):
            raise SystemExit(f"{package} is not installed here: nothing measured")
    if asked.smoke:
        runs = [("smoke", SMOKE, {**COMMON, **STOCK, "sequence_len": 64})]
        device, where = "cpu", "cpu, no memory measured"
    elif not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: nothing measured (--smoke for the CPU)")
    else:
        device = "cuda"
        card = torch.cuda.get_device_properties(0)
        torch.cuda.set_per_process_memory_fraction(
            min(1.0, CAP_BYTES / card.total_memory)
        )
        where = f"{card.name} under a cap of {CAP_BYTES / 1e9:g} GB"
        runs = [
            (name, KNOWN[name], {**COMMON, **own, "sequence_len": tokens})
            for own in (STOCK, OURS)
            for name in MODELS
            for tokens in TOKENS
        ]
        runs += [
            (name, KNOWN[name], {**COMMON, **OURS, **LORA, "sequence_len": tokens})
            for name in MODELS
            for tokens in TOKENS[:2]
        ]
    until = time.monotonic() + 60 * asked.minutes
    rows = []
    for name, shape, config in runs:
        if time.monotonic() > until:
            print("the time is up; what is left was not measured")
            break
        row = measure(name, shape, config, device)
        rows.append(row)
        peak = row.get("peak_reserved_gb")
        told = "out of memory" if row.get("out_of_memory") else "not measured"
        told = told if peak is None else f"{peak:.2f} GB"
        told = row.get("failed", told)
        print(
            f"{name:<28} {config['adapter']:<5} {row['tokens']:>5} {row['loss']:<6} "
            f"r {config['lora_r']:<3} "
            f"peak {told:<14} planned {row['planned_gb']:.2f} GB  "
            f"{row.get('tokens_per_second', 0):,.0f} tokens/s",
            flush=True,
        )
    setting = {"where": where, "torch": torch.__version__, "rows": rows}
    record(asked.out / "gpu_qlora.json", setting)


if __name__ == "__main__":
    main()
