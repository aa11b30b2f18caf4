"""A trial that Optuna prunes leaves the other ranks waiting.

Host: transformers
Versions: transformers 5.16.1, optuna 5.0.0
Expected: with two ranks, a pruned trial ends on both, and the next one begins.
Observed: the first rank leaves the trial with `TrialPruned`. The second trains on,
    and waits in a collective operation until the time limit of the process group (30
    minutes by default, 20 seconds here) ends the run with an error.
Cause: transformers/trainer.py, line 4376: only the first rank has a trial with a
    study, and so asks `should_prune`; transformers/integrations/integration_utils.py,
    line 286: the other ranks are not told.
Reported: as an open question in
    https://github.com/huggingface/transformers/pull/19096 (merged)
"""

import contextlib
import os
import subprocess
import sys
import tempfile

LIMIT_S = 20


def search():
    """On each rank: two trials, both pruned at their first evaluation."""
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

    class Always(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return True

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
                ddp_timeout=LIMIT_S,
                save_strategy="no",
                disable_tqdm=True,
            ),
            train_dataset=data,
            eval_dataset=data,
        )
        with contextlib.suppress(ValueError):  # no trial is complete: none is the best
            trainer.hyperparameter_search(
                hp_space=lambda trial: {
                    "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)
                },
                n_trials=2,
                backend="optuna",
                direction="minimize",
                pruner=Always(),
            )
    print("the search has ended", flush=True)


if "RANK" in os.environ:
    search()
    sys.exit()
try:
    import optuna  # noqa: F401
    import transformers  # noqa: F401
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
ranks = [
    subprocess.Popen(
        [sys.executable, __file__],
        env={
            **os.environ,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": str(20_000 + os.getpid() % 20_000),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for rank in range(2)
]
ended = []
for rank, process in enumerate(ranks):
    try:
        printed, _ = process.communicate(timeout=LIMIT_S + 100)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, _ = process.communicate()
    last = next((x for x in reversed(printed.splitlines()) if x.strip()), "")
    print(f"rank {rank}: {last[:160]}")
    ended.append("the search has ended" in printed)
print("expected: the search ends on both ranks")
print(f"observed: it ended on {sum(ended)} of 2 ranks")
sys.exit(2 if all(ended) else 0)
