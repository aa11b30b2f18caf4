"""What `check` says of changed configs, beside what Axolotl itself says of them."""

from __future__ import annotations

import logging
from pathlib import Path
from random import Random
from typing import Any

import mutate
import yaml
from campaign import Campaign, Wrong
from texts import CONFIGS


def _axolotl(folder: Path) -> Any:
    """Axolotl's validation, as `check --host` calls it."""
    import torch
    from axolotl.utils.config import prepare_plugins, validate_config
    from axolotl.utils.dict import DictDefault

    logging.disable(logging.CRITICAL)
    gpu = {
        "bf16": True, "tf32": True, "fp8": True, "n_gpu": 1, "n_node": 1,
        "compute_capability": "sm_90",
    }  # fmt: skip

    def refusal(config: dict[str, Any]) -> str | None:
        cfg = DictDefault(config)
        try:
            prepare_plugins(cfg)
            validate_config(
                cfg,
                capabilities=gpu,
                env_capabilities={"torch_version": torch.__version__},
            )
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    del folder
    return refusal


def _compare(refusal: Any, rng: Random) -> None:
    """A config of which `check` says that Axolotl refuses it is refused by Axolotl."""
    from axolotl_sftguide.advice import Cost, Weight, advise
    from axolotl_sftguide.config.yaml_file import read_config

    config = yaml.safe_load(rng.choice(list(CONFIGS.values())))
    changed = _one_value_changed(config, rng)
    Path("c.yml").write_text(yaml.safe_dump(changed, sort_keys=False))
    read = read_config("c.yml")
    said = [
        finding
        for finding in advise(read)
        if finding.weight == Weight.WRONG and finding.cost == Cost.START
    ]
    own = [f for f in said if not f.path.startswith("sftguide")]
    if own and refusal(yaml.safe_load(Path("c.yml").read_text())) is None:
        first = own[0]
        raise Wrong(
            f"{first.id} on {first.path}: {first.value!r} is accepted by Axolotl"
        )


def _one_value_changed(config: dict[str, Any], rng: Random) -> dict[str, Any]:
    if rng.random() < 0.5:
        changed = mutate.tree(config, rng, 1)
        return changed if isinstance(changed, dict) else config
    key = rng.choice(list(config))
    value = rng.choice(
        [
            "1",
            "1.0",
            "true",
            "yes",
            1,
            0,
            1.0,
            0.5,
            "auto",
            None,
            True,
            False,
            [],
            "",
            "none",
        ]
    )
    return {**config, key: value}


CAMPAIGNS = (
    Campaign("verdicts", "check beside Axolotl's validation", 600, _axolotl, _compare),
)
