"""A trial that Optuna prunes leaves the other ranks waiting.

Host: transformers
Versions: transformers 5.16.1, optuna 5.0.0
Expected: with two ranks, a pruned trial ends on both, and the next one begins.
Observed: the first rank leaves the trial with `TrialPruned` and waits for the next
    one. The second trains on, and both wait for each other: until the time limit of
    the process group, 30 minutes by default. Without pruning the search ends on both.
Cause: transformers/trainer.py, line 4376: only the first rank has a trial with a
    study, and so asks `should_prune`; transformers/integrations/integration_utils.py,
    line 285: the other ranks are not told.
Reported: as an open question in
    https://github.com/huggingface/transformers/pull/19096 (merged)
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_S = 60


def search():
    """On each rank: two trials, pruned at their first evaluation or never."""
    import optuna
    import torch
    from datasets import Dataset
    from transformers import Trainer, TrainingArguments

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x, labels=None):
            loss = ((self.layer(x[:, None]) - labels[:, None]) ** 2).mean()
            return {"loss": loss, "logits": x}

    class Fixed(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return os.environ["PRUNE"] == "1"

    data = Dataset.from_dict({"x": [1.0] * 16, "labels": [2.0] * 16})
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model_init=lambda _=None: Model(),
            args=TrainingArguments(
                output_dir=folder,
                max_steps=4,
                eval_strategy="steps",
                eval_steps=1,
                report_to=[],
                use_cpu=True,
                ddp_backend="gloo",
                save_strategy="no",
                disable_tqdm=True,
            ),
            train_dataset=data,
            eval_dataset=data,
        )
        print("ready", flush=True)
        with contextlib.suppress(ValueError):  # no trial is complete: none is the best
            trainer.hyperparameter_search(
                hp_space=lambda trial: {
                    "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)
                },
                n_trials=2,
                backend="optuna",
                direction="minimize",
                pruner=Fixed(),
            )
    print("the search has ended", flush=True)


def on_two_ranks(prune):
    """On how many of two ranks the search ends; the last line of each is printed."""
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder, f"rank{rank}") for rank in range(2)]
        ranks = [begin(rank, prune, log) for rank, log in enumerate(logs)]
        said = [""]
        deadline = time.monotonic() + 300  # to import, on a machine that is busy
        while time.monotonic() < deadline and any(r.poll() is None for r in ranks):
            time.sleep(0.5)
            before, said = said, [log.read_text() for log in logs]
            if all("ready" in text for text in said) and "ready" not in before[0]:
                deadline = time.monotonic() + LIMIT_S
        for process in ranks:
            process.kill()
        for rank, text in enumerate(said):
            last = next((x for x in reversed(text.splitlines()) if x.strip()), "")
            print(f"rank {rank}, pruning {prune}: {last[:160]}")
        return sum("the search has ended" in text for text in said)


def begin(rank, prune, log):
    environment = {
        **os.environ,
        "PRUNE": str(int(prune)),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(20_000 + (os.getpid() + prune) % 20_000),
    }
    command = [sys.executable, __file__]
    with log.open("w") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file)


if "RANK" in os.environ:
    search()
    sys.exit()
try:
    import optuna  # noqa: F401
    import transformers  # noqa: F401
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
kept, pruned = on_two_ranks(prune=False), on_two_ranks(prune=True)
print("expected: the search ends on 2 of 2 ranks, with pruning and without")
print(f"observed: it ends on {kept} without pruning, and on {pruned} with it")
sys.exit(0 if kept == 2 and pruned < 2 else 2)
