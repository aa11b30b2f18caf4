"""A training of Axolotl on two gloo ranks, and what each of them saw.

Also the script that each rank runs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml
from forked import Forked

PLUGINS = ["axolotl_sftguide.SFTGuidePlugin", "witness_plugin.WitnessPlugin"]


def train_on_two_ranks(
    forked: Forked, config: dict[str, Any], folder: Path
) -> list[dict[str, Any]]:
    """Train, and return of each rank its steps, accumulation, answers, rows, mixes."""
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump({**config, "ddp_backend": "gloo"}))
    log = folder / "ranks.log"
    forked.run_ranks(Path(__file__), path, folder, log=log, ACCELERATE_USE_CPU="1")
    return [json.loads((folder / f"rank{r}.json").read_text()) for r in (0, 1)]


def main() -> None:
    import hosts

    from axolotl_sftguide import mixing

    mixes: list[dict[str, Any]] = []
    make = mixing.mix

    def noted(*words: Any) -> Any:
        mixed = make(*words)
        mixes.append({"built": mixed.built, "folder": str(mixed.folder)})
        return mixed

    mixing.mix = noted  # type: ignore[assignment]
    outcome = hosts.run_axolotl(Path(sys.argv[1]), device_map={"": "cpu"})
    found = {
        "accumulation": outcome.trainer.args.gradient_accumulation_steps,
        "steps": outcome.trainer.state.global_step,
        "answers": outcome.witness.answers,
        "rows": outcome.witness.rows,
        "mixes": mixes,
    }
    rank = os.environ["RANK"]
    (Path(sys.argv[2]) / f"rank{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
