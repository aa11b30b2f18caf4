"""The noise scale of the quickstart, held against every sample's gradient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hosts import run_axolotl
from tiny import make_adapter

from axolotl_sftguide.recipes import find_recipe
from axolotl_sftguide.signals.noise_scale import estimate

STEPS = 192
"""Of 32 samples: more than one pass over the 5,200 rows."""


@pytest.mark.long
@pytest.mark.parametrize("arm", ["full", "lora"])
def test_the_estimate_is_what_the_samples_themselves_say(
    arm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At weights that stand still, so that there is one truth to be found."""
    recipe = find_recipe("quickstart-cpu")
    recipe.copy_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load(recipe.text)
    monitor = {"noise_scale": True, "noise_scale_every": 1}
    config["sftguide"] = {"exact_accumulation": True, "monitor": monitor}
    config |= {"learning_rate": 0.0, "max_steps": STEPS}
    config |= {"micro_batch_size": 8, "gradient_accumulation_steps": 4}
    if arm == "lora":
        adapter = make_adapter(Path(config["base_model"]), tmp_path / "adapter")
        config |= {"adapter": "lora", "lora_model_dir": str(adapter)}
        config |= dict.fromkeys(("lora_qkv_kernel", "lora_o_kernel"), False)
        config |= dict.fromkeys(("lora_mlp_kernel", "lora_embedding_kernel"), False)
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
    outcome = run_axolotl(tmp_path / "config.yml")
    found = estimate(outcome.trace.observations)
    assert found is not None
    trace, signal = by_every_sample(outcome.trainer)
    simple = trace / signal
    print(
        f"{arm}: tr(S) {found.trace:.4g}, by every sample {trace:.4g}; |G|^2 "
        f"{found.signal:.4g}, {signal:.4g}; B_simple {found.simple:.4g} "
        f"({found.simple_low:.4g} to {found.simple_high:.4g}), {simple:.4g}"
    )
    assert found.trace == pytest.approx(trace, rel=0.1)
    assert found.simple_low <= simple <= found.simple_high
    if found.batch_size >= simple / 10:
        assert found.signal == pytest.approx(signal, rel=0.1)
        assert found.simple == pytest.approx(simple, rel=0.1)


def by_every_sample(trainer: Any) -> tuple[float, float]:
    """`tr(S)` and `|G|^2` of the token mean, from each sample's own gradient.

    A step's gradient is a ratio of two sums, of losses and of tokens, over its
    samples; to first order in their spread its variance is that of
    `(s_i - n_i G) / mean(n)`, with `s_i` the gradient of a sample's summed loss and
    `n_i` its tokens.
    """
    whole: torch.Tensor | None = None
    tokens = 0
    for gradient, count in gradients(trainer):
        whole = gradient if whole is None else whole + gradient
        tokens += count
    assert whole is not None
    mean = whole / tokens
    squares, samples = 0.0, 0
    for gradient, count in gradients(trainer):
        squares += float((gradient - count * mean).square().sum())
        samples += 1
    per_token = tokens / samples
    return squares / samples / per_token**2, float(mean.square().sum())


def gradients(trainer: Any) -> Iterator[tuple[torch.Tensor, int]]:
    """Each sample's gradient of its summed loss, in float64, and its tokens."""
    model = trainer.model
    trained = [p for p in model.parameters() if p.requires_grad]
    for row in trainer.train_dataset:
        ids = torch.tensor([row["input_ids"]])
        labels = torch.tensor(row["labels"])[1:]
        logits = model(input_ids=ids).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        parts = torch.autograd.grad(loss, trained)
        flat = torch.cat([part.reshape(-1).double() for part in parts])
        yield flat, int((labels != -100).sum())
