"""FSDP2 on two gloo ranks: parameters and gradients are sharded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from forked import Forked

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from datasets import Dataset
from transformers import (
    LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments
)
from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace

out, watched, nan_step = Path(sys.argv[1]), sys.argv[2] == "watched", int(sys.argv[3])
os.environ["SFTGUIDE_STORAGE"] = str(out / "runs.db")

class Sharded(Trainer):
    def create_accelerator_and_postprocess(self):
        super().create_accelerator_and_postprocess()
        # accelerate turns FSDP on only for GPUs.
        state = AcceleratorState()
        state.distributed_type = DistributedType.FSDP
        state.fsdp_plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2, auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=["LlamaDecoderLayer"],
        )
        self.is_fsdp_enabled = True
    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        return loss * float("nan") if self.state.global_step + 1 >= nan_step else loss

class Gathered(TrainerCallback):
    norms = []
    def on_step_begin(self, args, state, control, model=None, **_):
        self.before = [p.to_local().clone() for p in model.parameters()]
    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        whole = (p.grad.full_tensor().double() for p in model.parameters())
        self.norms.append(float(sum(g.pow(2).sum() for g in whole)) ** 0.5)

torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
    num_attention_heads=2))
ids = torch.randint(1, 64, (64, 8), generator=torch.Generator().manual_seed(1))
rows = Dataset.from_dict({"input_ids": ids.tolist(), "labels": ids.tolist()})
ours = [GradientMonitorCallback(), EarlyTerminationCallback()] if watched else []
trainer = Sharded(
    model,
    TrainingArguments(str(out / "out"), max_steps=40, per_device_train_batch_size=4,
        logging_steps=500, save_strategy="no", report_to=[], disable_tqdm=True,
        use_cpu=True, learning_rate=1e-2, max_grad_norm=1e6, ddp_backend="gloo"),
    train_dataset=rows, callbacks=[*ours, Gathered()])
trainer.train()
weights = [p.full_tensor().flatten() for p in trainer.model.parameters()]
if os.environ["RANK"] == "0":
    found = {
        "steps": trainer.state.global_step,
        "weights": torch.cat(weights).detach().tolist(),
        "gathered": Gathered.norms,
        "norms": [], "measured": [],
    }
    if watched:
        observed = read_trace(find_traces(out / "out")[0]).observations
        found["norms"] = [o.grad_norm for o in observed]
        found["measured"] = [o.measured for o in observed]
        found["status"] = RunHistory().runs()[0].status
    (out / "found.json").write_text(json.dumps(found))
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def train(
    forked: Forked, folder: Path, watched: str, nan_step: int = 999
) -> dict[str, object]:
    folder.mkdir()
    script = folder / "train.py"
    script.write_text(SCRIPT)
    forked.run_ranks(script, folder, watched, nan_step, timeout_s=600)
    found: dict[str, object] = json.loads((folder / "found.json").read_text())
    return found


@pytest.mark.slow
def test_norms_are_those_of_the_gathered_gradients_and_no_weight_differs(
    forked: Forked, tmp_path: Path
) -> None:
    watched = train(forked, tmp_path / "watched", "watched")
    alone = train(forked, tmp_path / "alone", "alone")
    assert watched["steps"] == alone["steps"] == 40
    assert watched["weights"] == alone["weights"]
    assert watched["norms"] == pytest.approx(watched["gathered"], rel=1e-5)
    assert all(watched["measured"])  # type: ignore[call-overload]


@pytest.mark.slow
def test_a_sharded_run_on_nan_is_stopped_though_nothing_is_logged(
    forked: Forked, tmp_path: Path
) -> None:
    found = train(forked, tmp_path / "nan", "watched", nan_step=7)
    assert found["status"] == "terminated"
    assert found["steps"] == 16
