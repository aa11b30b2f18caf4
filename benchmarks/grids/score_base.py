"""Score the base on both sets of held-out questions, as a run is scored.

python score_base.py --base base --data data
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from axolotl_sftguide.monitor.scoring import load_questions, score_exact_match


def main() -> None:
    """Print both scores as JSON."""
    parser = argparse.ArgumentParser(description="Score the base of the grids.")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(args.base)
    tokenizer = AutoTokenizer.from_pretrained(args.base)
    scores = {
        metric: score_exact_match(
            model,
            tokenizer,
            load_questions(args.data / name),
            max_new_tokens=tokens,
            batch_size=100,
        )
        for metric, name, tokens in (
            ("taught_exact_match", "taught.jsonl", 5),
            ("retained_first_token", "retained.jsonl", 1),
        )
    }
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
