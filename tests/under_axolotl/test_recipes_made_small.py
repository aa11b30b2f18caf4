"""The mix, the batch and the optimizer of each recipe train a small model on a CPU."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hosts import run_axolotl
from tiny import uneven_rows, write_rows

from axolotl_sftguide.recipes import Recipe, shipped_recipes

RECIPES = [r for r in shipped_recipes() if not r.name.startswith("quickstart")]

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart" / "base"
"""Wide enough for blocks of 64 quantised weights."""

NEEDS_A_CARD = ("liger_", "fsdp_")


def made_small(recipe: Recipe, base: Path, folder: Path) -> dict[str, Any]:
    """The recipe with a model, data, template, plugins and precision for a CPU."""
    config = yaml.safe_load(recipe.text)
    for key in [k for k in config if k.startswith(NEEDS_A_CARD)]:
        del config[key]
    config["plugins"] = [
        "axolotl_sftguide.SFTGuidePlugin",
        "witness_plugin.WitnessPlugin",
    ]
    config |= {
        "base_model": str(base),
        "chat_template": "tokenizer_default",
        "special_tokens": {},
        "bf16": False,
        "fp16": False,
        "tf32": False,
        "attn_implementation": "sdpa",
        "dataset_prepared_path": str(folder / "prepared"),
        "output_dir": str(folder / "out"),
        "max_steps": 2,
        "dataset_num_proc": 1,
        "sequence_len": min(512, config["sequence_len"]),
    }
    mix = config["sftguide"]["mix"]
    wanted = config["sftguide"]["effective_batch_size"]
    count = 1100 if wanted > 100 else 330  # enough for two steps
    number = 0
    for phase in mix["phases"]:
        for dataset in phase["datasets"]:
            rows = uneven_rows(count, seed=number)
            if wanted < 1000:
                for row in rows:  # a few rows per packed sequence
                    row["messages"][1]["content"] += " water" * 40
            path = write_rows(folder / f"rows{number}.jsonl", rows)
            number += 1
            for key in ("where", "revision"):
                dataset.pop(key, None)
            dataset |= {"path": str(path), "max_rows": count * 10 // 11}
    mix["deduplicate"] = False  # the words of the small data are few
    mix["held_out"] = 0.01
    return config  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_step_has_the_samples_that_the_recipe_sets(
    recipe: Recipe, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = "adapter" in yaml.safe_load(recipe.text)
    config = made_small(recipe, QUICKSTART if adapter else base, tmp_path)
    path = tmp_path / f"{recipe.name}.yml"
    path.write_text(yaml.safe_dump(config))
    outcome = run_axolotl(path)
    assert outcome.trainer.state.global_step == 2
    assert outcome.run.status == "finished"
    wanted = config["sftguide"]["effective_batch_size"]
    seen = [0, *(o.samples_seen for o in outcome.trace.observations)]
    accumulated = outcome.trainer.args.gradient_accumulation_steps
    for before, after in pairwise(seen):
        a_micro_step = (after - before) / accumulated
        assert abs(after - before - wanted) <= max(0.6 * a_micro_step, 0.1 * wanted)
    assert sum(b - a for a, b in pairwise(seen)) == outcome.witness.answers
    assert outcome.trainer.args.learning_rate == config["learning_rate"]
    said = capsys.readouterr().out
    assert f"effective batch size {wanted} (as set)" in said
    assert ("no CUDA device: turned off lora_mlp_kernel" in said) == adapter
    assert "exact_accumulation has no effect" not in said
