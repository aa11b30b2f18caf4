"""Two ranks under Axolotl: what one wants, all do, at the same step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import Forked

SCRIPT = """
import json, os, random, sys
from pathlib import Path
import hosts, torch

def main():
    from stop_plugin import StopPlugin
    config, out, stops = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(0)
    storages = ["/dev/null/x.db", str(out / "runs.db")]
    told = []
    # Axolotl ends the process group with each training; here the next one needs it.
    leave, torch.distributed.destroy_process_group = (
        torch.distributed.destroy_process_group, lambda: None
    )
    for i in range(stops):
        StopPlugin.at = draw.randint(1, 9), draw.randrange(2)
        os.environ["SFTGUIDE_STORAGE"] = storages[i % 2]
        outcome = hosts.run_axolotl(
            config, device_map={"": "cpu"}, output_dir=str(out / f"r{i}"),
            logging_steps=draw.choice([1, 2, 3]),
        )
        told.append(outcome.trainer.state.global_step)
    (out / f"rank{os.environ['RANK']}.json").write_text(json.dumps(told))
    torch.distributed.destroy_process_group = leave
    hosts.leave_together()

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def stop_on_two_ranks(
    forked: Forked, axolotl_config: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[[int], list[list[int]]]:
    def run(stops: int) -> list[list[int]]:
        plugins = ["axolotl_sftguide.SFTGuidePlugin", "stop_plugin.StopPlugin"]
        config = axolotl_config(plugins=plugins, ddp_backend="gloo")
        (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
        (tmp_path / "train.py").write_text(SCRIPT)
        forked.run_ranks(
            tmp_path / "train.py",
            tmp_path / "config.yml",
            tmp_path,
            stops,
            timeout_s=60 + 15 * stops,
            ACCELERATE_USE_CPU="1",
        )
        return [json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1)]

    return run


def test_if_one_rank_decides_to_stop_all_ranks_stop_at_the_same_step(
    stop_on_two_ranks: Callable[[int], list[list[int]]],
) -> None:
    one, two = stop_on_two_ranks(4)
    assert one == two
    assert len(one) == 4
    assert all(1 <= step < 12 for step in one)


@pytest.mark.long
def test_a_hundred_stops_half_of_them_without_a_storage(
    stop_on_two_ranks: Callable[[int], list[list[int]]],
) -> None:
    one, two = stop_on_two_ranks(100)
    assert one == two
    assert len(one) == 100
    assert all(1 <= step < 12 for step in one)
