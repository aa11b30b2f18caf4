"""A sweep through Ray Tune: `python ray_sweep.py --model MODEL --data rows.jsonl`.

Ray starts the trials, on all machines of its cluster; `SFTGuideStopper` stops hopeless
ones, and every trial is recorded in one run history.
"""

import argparse
import os

from ray import tune
from transformers import TrainerCallback

from axolotl_sftguide import SFTGuideStopper


class Report(TrainerCallback):
    """Passes the trainer's logs to Ray Tune, with the optimizer step."""

    def on_log(self, args, state, control, logs=None, **_):
        tune.report({"step": state.global_step, **(logs or {})})


def train(config, model, data, steps, storage):
    """One trial, in a process of its own on some machine of the cluster."""
    import torch
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    from axolotl_sftguide import watch

    rows = load_dataset("json", data_files=data, split="train")
    parts = rows.train_test_split(test_size=0.1, seed=0)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=os.path.abspath("out"),
            max_steps=steps,
            learning_rate=config["learning_rate"],
            per_device_train_batch_size=config["batch"],
            logging_steps=1,
            eval_strategy="steps",
            eval_steps=steps,
            save_strategy="no",
            report_to=[],
            bf16=torch.cuda.is_available(),
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=parts["train"],
        eval_dataset=parts["test"],
    )
    watch(trainer, study="ray-sweep", storage=storage)
    trainer.add_callback(Report())
    trainer.train()


def main():
    """Run the sweep, and print the best trial and why the others were stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--storage", help="one PostgreSQL database for all machines")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--gpus", type=float, default=1, help="of each trial")
    asked = parser.parse_args()
    stopper = SFTGuideStopper(max_steps=asked.steps, metric="eval_loss", mode="min")
    trial = tune.with_parameters(
        train,
        model=asked.model,
        data=os.path.abspath(asked.data),
        steps=asked.steps,
        storage=asked.storage,
    )
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1, "gpu": asked.gpus}),
        param_space={
            "learning_rate": tune.loguniform(1e-6, 1e-2),
            "batch": tune.choice([2, 4, 8]),
        },
        tune_config=tune.TuneConfig(num_samples=asked.trials),
        run_config=tune.RunConfig(name="ray-sweep", stop=stopper),
    )
    results = tuner.fit()
    best = results.get_best_result("eval_loss", "min", filter_nan_and_inf=True)
    print("best:", best.config, "eval_loss", best.metrics.get("eval_loss"))
    for name, reason in stopper.reasons.items():
        print(f"stopped: {name} by {reason}")


if __name__ == "__main__":
    main()
