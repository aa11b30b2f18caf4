"""Configs of `sftguide new`: accepted by Axolotl, and trained on a CPU."""

from __future__ import annotations

import pytest
import yaml
from authored_cases import CASES, Case

from axolotl_sftguide.authoring import as_yaml


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_axolotl_accepts_it_and_knows_every_key(case: Case) -> None:
    from axolotl.cli.config import prepare_plugins
    from axolotl.integrations.base import PluginManager
    from axolotl.integrations.liger.args import LigerArgs
    from axolotl.utils.config import validate_config
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.config import AxolotlInputConfig

    written = yaml.safe_load(as_yaml(case.author(), "a.yml"))
    known = {*AxolotlInputConfig.model_fields, *LigerArgs.model_fields, "sftguide"}
    assert set(written) <= known
    PluginManager.get_instance().plugins.clear()
    cfg = DictDefault(written)
    prepare_plugins(cfg)
    cfg = validate_config(
        cfg,
        capabilities={
            "bf16": True,
            "fp8": False,
            "tf32": True,
            "n_gpu": case.gpus,
            "n_node": 1,
            "compute_capability": "sm_90" if case.gib >= 80 else "sm_86",
        },
        env_capabilities={"torch_version": "2.13.0"},
    )
    assert cfg.sftguide.study == case.name
    assert bool(cfg.test_datasets) == ("held_out" in written["sftguide"]["mix"])
