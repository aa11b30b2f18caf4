"""The peak of one training step's tensors, counted on a CPU with the host's kernels.

    python counted_step.py < LINES            kernels, interpreted
    python counted_step.py chunked CASES.json the chunked loss, compiled

Each line, and the file, is `[{"model": config.json, "asked": keys of Axolotl}, ...]`.
The answer is a line with one number of bytes for each: without weights and their
gradients, the forward pass under autocast and the backward pass outside of it, as in a
trainer. Triton's kernels are interpreted, and Axolotl's and Liger's own code allocates
around them. They replace classes of transformers, so that each line is counted in a
fork, and all cases of a line must ask for the same kernels.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peak_memory import PeakMemory

from axolotl_sftguide.config.axolotl_keys import LORA_KERNELS

SECONDS = 900

LIGER = {
    "rope": "liger_rope",
    "rms_norm": "liger_rms_norm",
    "swiglu": "liger_glu_activation",
    "fused_linear_cross_entropy": "liger_fused_linear_cross_entropy",
}


def counted(config: dict[str, Any], asked: dict[str, Any]) -> int:
    """Bytes of the tensors of a step at their most."""
    if any(asked.get(key) for key in LIGER.values()):
        _use_liger(config, asked)
    model = _made(config, asked)
    weights = list(model.parameters())
    for weight in weights:
        if weight.requires_grad:
            weight.grad = torch.zeros_like(weight)
    ids = torch.randint(0, config["vocab_size"], (1, asked["sequence_len"]))
    # The interpreter leaves cycles behind that hold tensors.
    gc.collect()
    gc.freeze()
    memory = PeakMemory(collect="TRITON_INTERPRET" in os.environ)
    gradients = [w.grad for w in weights if w.grad is not None]
    memory.known([*weights, *model.buffers(), *gradients, ids])
    autocast = torch.autocast("cpu", torch.bfloat16)
    with memory:
        with autocast if asked.get("bf16") else contextlib.nullcontext():
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
    return memory.peak


def _made(config: dict[str, Any], asked: dict[str, Any]) -> Any:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    made = AutoConfig.for_model(**config, use_cache=False)
    kernels = {key: bool(asked.get(key)) for key in LORA_KERNELS}
    if any(kernels.values()):
        from axolotl.monkeypatch import lora_kernels
        from axolotl.utils.dict import DictDefault

        with tempfile.TemporaryDirectory() as folder:
            made.save_pretrained(folder)
            cfg = DictDefault(kernels, base_model=folder, trust_remote_code=False)
            lora_kernels.patch_self_attn_lora(cfg)
    model: Any = AutoModelForCausalLM.from_config(made, attn_implementation="sdpa")
    model = model.to(torch.bfloat16 if asked.get("bf16") else torch.float32).train()
    if asked.get("gradient_checkpointing"):
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if asked.get("adapter"):
        adapter = LoraConfig(
            r=asked["lora_r"], target_modules="all-linear", task_type="CAUSAL_LM"
        )
        model = get_peft_model(model, adapter)
        model.enable_input_require_grads()
    if any(kernels.values()):
        lora_kernels.apply_lora_kernel_patches(model, cfg)
    return model


def _use_liger(config: dict[str, Any], asked: dict[str, Any]) -> None:
    from liger_kernel.transformers import monkey_patch

    chosen = {name: bool(asked.get(key)) for name, key in LIGER.items()}
    apply = monkey_patch.MODEL_TYPE_TO_APPLY_LIGER_FN[config["model_type"]]
    apply(**chosen, cross_entropy=False)


def _interpret() -> None:
    """Let kernels for a GPU run here: what they lack on a CPU, and nothing else."""
    global tl  # which functions for Triton must find in their module
    import triton
    import triton.language as tl
    from liger_kernel.ops import rms_norm

    @triton.jit
    def rsqrt(x: Any) -> Any:  # the interpreter has none of CUDA's own library
        return 1.0 / tl.sqrt(x)

    rms_norm.rsqrt = rsqrt
    empty = torch.empty

    def empty_here(*sizes: Any, device: Any = None, **words: Any) -> Any:
        on_cuda = str(device).startswith("cuda")  # Axolotl's kernels write it out
        return empty(*sizes, device="cpu" if on_cuda else device, **words)

    torch.empty = empty_here


def counted_chunked(config: dict[str, Any], asked: dict[str, Any]) -> int:
    """The same with Axolotl's chunked loss, which is compiled: by torch's profiler."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from axolotl.monkeypatch.loss.chunked import patch_chunked_ce_loss_fn
    from torch.profiler import ProfilerActivity, profile

    patch_chunked_ce_loss_fn()
    AcceleratorState._reset_state(reset_partial_state=True)
    precision = "bf16" if asked.get("bf16") else "no"
    model = Accelerator(cpu=True, mixed_precision=precision).prepare_model(
        _made(config, asked)
    )
    ids = torch.randint(0, config["vocab_size"], (1, asked["sequence_len"]))

    def step() -> None:
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()

    step()  # which compiles, and makes the gradients
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        step()
    now = peak = 0
    for event in found.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def _count(
    count: Callable[[dict[str, Any], dict[str, Any]], int], cases: list[dict[str, Any]]
) -> None:
    print(json.dumps([count(case["model"], case["asked"]) for case in cases]))


def _answer_each_line() -> None:
    """In a fork each, which costs less than to import the hosts again."""
    os.environ["TRITON_INTERPRET"] = "1"  # before anything imports Triton
    _interpret()
    import axolotl.monkeypatch.lora_kernels  # noqa: F401
    import peft  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            signal.alarm(SECONDS)  # a line that takes longer fails
            try:
                _count(counted, json.loads(line))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        if os.waitpid(child, 0)[1]:
            print("null", flush=True)


if __name__ == "__main__":
    if "chunked" in sys.argv:
        _count(counted_chunked, json.loads(Path(sys.argv[-1]).read_text()))
    else:
        _answer_each_line()
