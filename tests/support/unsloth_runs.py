"""Trainings of Unsloth's SFTTrainer, watched and not; prints what they left as JSON.

python unsloth_runs.py FOLDER, in a process of its own: Unsloth patches transformers and
TRL, and has to be imported before them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from unsloth import FastLanguageModel  # isort: skip
import torch
from datasets import Dataset
from tiny import make_base, rows
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from axolotl_sftguide import RunHistory, find_traces, read_marker, read_trace, watch


class Spoil(TrainerCallback):
    """Makes all trained weights NaN after the second step."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        if state.global_step == 2:
            for weight in kw["model"].parameters():
                if weight.requires_grad:
                    weight.data.fill_(float("nan"))


def make_trainer(base: Path, folder: Path, *callbacks: Any, **changed: Any) -> Any:
    torch.manual_seed(42)
    model, tokenizer = FastLanguageModel.from_pretrained(
        str(base), max_seq_length=64, dtype=torch.float32, load_in_4bit=False
    )
    model = FastLanguageModel.get_peft_model(
        model, r=4, lora_alpha=8, lora_dropout=0, random_state=1
    )
    settings = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "max_steps": 8,
        "max_length": 64,
        "learning_rate": 0.003,
        "bf16": False,
        "fp16": False,
        "use_cpu": True,
        "optim": "adamw_torch",
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": [],
        "dataset_num_proc": 1,
    }
    text = [
        {
            "text": tokenizer.apply_chat_template(row["messages"], tokenize=False),
            "source": "ab"[i % 2],
        }
        for i, row in enumerate(rows(64))
    ]
    return SFTTrainer(
        model=model,
        processing_class=tokenizer,
        args=SFTConfig(**{**settings, **changed}),
        train_dataset=Dataset.from_list(text),
        callbacks=list(callbacks),
    ), Dataset.from_list(text)


def logs_of(trainer: Any) -> list[list[float]]:
    logs = (log for log in trainer.state.log_history if "loss" in log)
    return [[log["step"], log["loss"], log["grad_norm"]] for log in logs]


def main() -> None:
    folder = Path(sys.argv[1])
    base = make_base(folder / "base")
    trained, logged = [], []
    for name in ("first", "again", "watched"):
        trainer, _ = make_trainer(base, folder / name)
        if name == "watched":
            watch(trainer)
        trainer.train()
        trained.append({k: v.clone() for k, v in trainer.model.state_dict().items()})
        logged.append(logs_of(trainer))
    (path,) = find_traces(folder / "watched")
    seen = [[o.step, o.loss, o.grad_norm] for o in read_trace(path).observations]
    names = ("training_step", "log", "_run_epoch", "prediction_step")
    left = [name for name in names if name in vars(trainer)]

    spoilt, data = make_trainer(base, folder / "spoilt", Spoil(), max_steps=30)
    watch(spoilt, loss_by_source="source", train_dataset=data)
    spoilt.train()
    runs = {run.name: run for run in RunHistory().runs()}
    first_log = next(log for log in spoilt.state.log_history if "loss" in log)
    marker = read_marker(folder / "spoilt")
    found = {
        "bits": [
            all(torch.equal(trained[0][k], other[k]) for k in trained[0])
            for other in trained[1:]
        ],
        "logs": logged,
        "seen": seen,
        "left": [
            *left,
            *(["clip"] if "clip_grad_norm_" in vars(trainer.accelerator) else []),
        ],
        "runs": {name: [run.status, run.step] for name, run in runs.items()},
        "marker": marker and [marker.rule, marker.step],
        "sources": {
            k: v for k, v in first_log.items() if k.startswith("sftguide/loss")
        },
        "first_loss": first_log["loss"],
    }
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
