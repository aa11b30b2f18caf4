"""A run on two ranks, parked by the first one, goes on as if it had never been."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import Forked

PARKED_AT = 6
SCRIPT = """
import hashlib, json, os, sys
from pathlib import Path
import hosts, torch

def main():
    from axolotl_sftguide.runs.checkpoints import last_whole_checkpoint
    from park_plugin import ParkPlugin

    config, out, at = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    rank = os.environ["RANK"]
    # Axolotl ends the process group with each training; here the next one needs it.
    leave, torch.distributed.destroy_process_group = (
        torch.distributed.destroy_process_group, lambda: None
    )
    # Ranks of transformers resume on "cpu:0", which torch cannot load onto.
    load = torch.load
    torch.load = lambda *args, map_location=None, **more: load(
        *args,
        map_location="cpu" if str(map_location) == "cpu:0" else map_location,
        **more,
    )
    told = {}
    for name, step, folder in (
        ("whole", None, "whole"), ("parked", at, "parked"), ("resumed", None, "parked")
    ):
        # As in a sweep: the history, and so the rule, is there for the first rank only.
        ParkPlugin.at = step if rank == "0" else None
        checkpoint = last_whole_checkpoint(out / folder)
        more = {"resume_from_checkpoint": str(checkpoint)} if checkpoint else {}
        outcome = hosts.run_axolotl(
            config, device_map={"": "cpu"}, output_dir=str(out / folder), **more
        )
        torch.distributed.barrier()
        weights = hashlib.sha256()
        for value in outcome.weights.values():
            weights.update(value.numpy().tobytes())
        checkpoint = last_whole_checkpoint(out / folder)
        told[name] = {
            "step": outcome.trainer.state.global_step,
            "weights": weights.hexdigest(),
            "checkpoint": checkpoint and checkpoint.name,
            "status": outcome.run.status,
            "losses": [o.loss for o in outcome.trace.observations],
        }
        torch.distributed.barrier()
    (out / f"rank{rank}.json").write_text(json.dumps(told))
    torch.distributed.destroy_process_group = leave
    hosts.leave_together()

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_run_on_two_ranks_is_parked_by_one_and_resumed_by_both(
    forked: Forked, axolotl_config: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    plugins = ["axolotl_sftguide.SFTGuidePlugin", "park_plugin.ParkPlugin"]
    config = axolotl_config(plugins=plugins, ddp_backend="gloo")
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "train.py").write_text(SCRIPT)
    words = (tmp_path / "config.yml", tmp_path, PARKED_AT)
    forked.run_ranks(
        tmp_path / "train.py", *words, timeout_s=900, ACCELERATE_USE_CPU="1"
    )
    one, two = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    assert one == two
    whole, parked, resumed = one["whole"], one["parked"], one["resumed"]
    assert (parked["status"], parked["step"]) == ("parked", PARKED_AT)
    assert parked["checkpoint"] == f"checkpoint-{PARKED_AT}"
    assert parked["losses"] == whole["losses"][:PARKED_AT]
    assert (resumed["status"], resumed["losses"]) == ("finished", whole["losses"])
    assert resumed["weights"] == whole["weights"]
