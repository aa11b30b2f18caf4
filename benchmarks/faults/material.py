"""Valid traces, states, results, models and specs, which the tries damage."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import mutate

RUN_ID = "20261126-090000-ab12"


def json_text(content: Any, rng: Random, lines: bool = False) -> bytes:
    if rng.random() < 0.6:
        values = mutate.tree(content, rng)
        texts = map(_dumped, values if lines else [values])
        text = "\n".join(texts).encode("utf-8", "surrogatepass")
        return text if rng.random() < 0.8 else mutate.data(text, rng)
    text = (
        "\n".join(map(json.dumps, content)) if lines else json.dumps(content, indent=1)
    )
    if rng.random() < 0.03:
        return mutate.in_another_encoding(text, rng)
    return mutate.data(text.encode(), rng)


def _dumped(value: Any) -> str:
    try:
        return json.dumps(mutate.as_json_can(value), ensure_ascii=False)
    except (RecursionError, ValueError):
        return "{}"


def mix_spec() -> dict[str, Any]:
    return {
        "strategy": "phased",
        "seed": 7,
        "held_out": 0.01,
        "replay": 0.1,
        "near_duplicates": 0.8,
        "exclude": ["eval.jsonl"],
        "exclude_by": "ngrams",
        "on_error": "skip",
        "phases": [
            {
                "name": "one",
                "datasets": [
                    {"path": "a.jsonl", "type": "alpaca", "max_rows": 10},
                    {"path": "b.parquet", "split": "train[:10%]", "repeats": 1.5},
                ],
            },
            {
                "name": "two",
                "datasets": [
                    {
                        "path": "c",
                        "roles": {"assistant": ["gpt"]},
                        "message_property_mappings": {"role": "from"},
                        "where": {"lang": ["en", "de"], "good": True},
                    }
                ],
            },
        ],
    }


MODEL = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0},
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True},
}
TOKENIZER = {
    "eos_token": "</s>",
    "bos_token": {"content": "<s>"},
    "added_tokens_decoder": {"0": {"content": "<unk>", "special": True}},
    "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}",
}


def trace_records() -> list[dict[str, Any]]:
    run = {
        "id": RUN_ID, "name": "n", "study": "s", "key": "k",
        "key_fields": {"base_model": "m", "micro_batch_size": 2, "ranks": 1,
                       "gradient_accumulation_steps": 4, "data": {"rows": 10}},
        "comparable": True, "host": "trl", "device": "cpu",
        "config": {"learning_rate": 1e-4, "logging_steps": 4, "output_dir": "o",
                   "sftguide": {"score": {"metric": "m", "compare_with": {"x": 0.1}}}},
        "output_dir": "/o", "max_steps": 40, "started_at": 1.7e9, "hostname": "h",
        "process_id": 1, "process_started_at": 1.7e9,
    }  # fmt: skip
    records: list[dict[str, Any]] = [{"event": "run", "form": 1, "run": run}]
    for step in range(1, 25):
        records.append(_step(step))
        if step == 12:
            records.append(
                {"event": "evaluation", "step": 12, "metrics": {"eval_loss": 1.5}}
            )
            records.append(_losses("loss_by_source", 12))
            records.append(
                {"event": "decision", "rule": "divergence", "action": "warn",
                 "step": 12, "reason": "why", "samples_seen": 96, "figures": {"x": 1.0},
                 "signals": ["loss"]}
            )  # fmt: skip
        if step == 16:
            records.append({"event": "resume", "step": 14, "at": 1.7e9, "run": {}})
    records += [
        *(_losses("held_out_loss_by_source", step) for step in (8, 16, 24)),
        {"event": "memory", "peak_bytes": 10**9},
        {
            "event": "score",
            "metric": "m",
            "value": 0.5,
            "goal": "max",
            "base_value": 0.1,
        },
        {
            "event": "end",
            "status": "finished",
            "reason": None,
            "at": 1.7e9,
            "step_s": 0.5,
        },
        {"event": "rename", "to": "other", "at": 1.7e9},
        {"event": "tags", "tags": ["a", "b"], "at": 1.7e9},
    ]
    return records


def _step(step: int) -> dict[str, Any]:
    return {
        "step": step, "samples_seen": 8 * step, "loss": 3.0 / step, "grad_norm": 1.0,
        "learning_rate": 1e-4, "measured": True, "samples_counted": True,
        "trained_tokens": 64,
    }  # fmt: skip


def _losses(event: str, step: int) -> dict[str, Any]:
    return {
        "event": event, "step": step, "loss": {"a": 2.0 / step, "b": 1.0},
        "tokens": {"a": 64, "b": 32}, "unknown_tokens": 0,
    }  # fmt: skip


def state_content() -> dict[str, Any]:
    logs: list[dict[str, Any]] = [
        {
            "step": s,
            "loss": 3.0 / s,
            "grad_norm": 1.0,
            "learning_rate": 1e-4,
            "epoch": s / 20,
        }
        for s in range(1, 21)
    ]
    logs.insert(10, {"step": 10, "eval_loss": 2.0, "eval_runtime": 1.0, "epoch": 0.5})
    return {
        "best_metric": 2.0, "best_model_checkpoint": "out/checkpoint-10", "epoch": 1.0,
        "global_step": 20, "max_steps": 20, "is_hyper_param_search": False,
        "log_history": logs, "num_train_epochs": 1,
        "stateful_callbacks": {
            "TrainerControl": {"args": {"should_training_stop": True}}
        },
        "train_batch_size": 2, "trial_name": None,
    }  # fmt: skip


def results_content() -> dict[str, Any]:
    return {
        "results": {
            "gsm8k": {"alias": "gsm8k", "exact_match,strict": 0.5,
                      "exact_match_stderr,strict": 0.01},
            "mmlu": {"acc,none": 0.6, "acc_stderr,none": "N/A"},
        },
        "higher_is_better": {"gsm8k": {"exact_match": True}, "mmlu": {"acc": True}},
        "n-samples": {"gsm8k": {"original": 1319, "effective": 1319}},
        "config": {"model": "hf"},
    }  # fmt: skip


NOTE = {
    "run_id": RUN_ID,
    "step": 8,
    "samples_seen": 64,
    "only_parked": False,
}
MARKER = {
    "run_id": "r", "rule": "divergence", "reason": "why", "step": 9, "samples_seen": 72,
    "bad_since": 5, "last_good_checkpoint": "checkpoint-8", "found_at": 8,
    "parked": True,
}  # fmt: skip
