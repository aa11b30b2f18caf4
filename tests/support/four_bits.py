"""What a 4-bit training of the quickstart's model is asked for, under either host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart"
BASE = QUICKSTART / "base"
SKILLS = QUICKSTART / "skills.jsonl"


def quantised_layers(model: Any) -> set[str]:
    """The names of the modules whose weights are held in 4 bits."""
    from bitsandbytes.nn import Linear4bit

    return {
        name for name, module in model.named_modules() if isinstance(module, Linear4bit)
    }


def answer(model: Any, tokenizer: Any, asked: str) -> str:
    """What a model says to one question, greedily."""
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": asked}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=False,
    )
    model.eval()
    made = model.generate(input_ids=ids, max_new_tokens=8, do_sample=False)
    return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))
