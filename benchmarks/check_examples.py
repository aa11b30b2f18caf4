"""What `sftguide check` says of configs that are meant to be right, beside Axolotl.

    python benchmarks/check_examples.py FOLDER [--out FILE.json]

FOLDER holds the examples of one Axolotl version, such as `examples/` of its repository
at the tag of the installed one. Each file is checked, and validated by the installed
Axolotl as on a machine with a GPU. Printed are the verdicts that agree, the findings
"wrong", and which of these Axolotl disproves: it accepts what is called refused, or
keeps a key that is called dropped. Files without a model, such as those of the cloud
launcher, are left out.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from check_mistakes import found_in
from record import record

from axolotl_sftguide.advice import Cost, Finding, Weight

DROPPED = ("unknown-key", "renamed-key", "unknown-nested-key")
GPU = {
    "bf16": True,
    "tf32": True,
    "fp8": True,
    "n_gpu": 1,
    "n_node": 1,
    "compute_capability": "sm_90",
}


def loaded(path: Path) -> Any:
    """The config as Axolotl loads it; None if Axolotl refuses it."""
    import torch
    from axolotl.integrations.base import PluginManager
    from axolotl.utils.config import prepare_plugins, validate_config
    from axolotl.utils.dict import DictDefault

    PluginManager.get_instance().plugins.clear()
    cfg = DictDefault(yaml.safe_load(path.read_text(encoding="utf-8")))
    try:
        prepare_plugins(cfg)
        return validate_config(
            cfg,
            capabilities=dict(GPU),
            env_capabilities={"torch_version": torch.__version__.partition("+")[0]},
        )
    except Exception:
        return None


def disproved(found: list[Finding], cfg: Any) -> list[Finding]:
    """Findings "wrong" that do not hold for what Axolotl made of the file."""
    if cfg is None:
        return []
    wrong = [f for f in found if f.weight == Weight.WRONG]
    refusals = [f for f in wrong if f.cost == Cost.START and f.id not in DROPPED]
    kept = [f for f in wrong if f.id in DROPPED and f.path in cfg]
    return refusals + kept


def main() -> None:
    """Check all files, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    counts, ids, false, apart = Counter[str](), Counter[str](), [], []
    for path in sorted(asked.folder.rglob("*.y*ml")):
        text = path.read_text(encoding="utf-8")
        config = yaml.safe_load(text)
        if not isinstance(config, dict) or "base_model" not in config:
            continue
        found, cfg = found_in(text), loaded(path)
        ours = any(f.cost == Cost.START and f.id not in DROPPED for f in found)
        above = [f for f in found if f.weight < Weight.NOTE]
        counts["files"] += 1
        counts["refused"] += cfg is None
        counts["same_verdict"] += ours == (cfg is None)
        counts["wrong"] += sum(f.weight == Weight.WRONG for f in found)
        counts["without_a_finding_above_a_note"] += not above
        ids.update({f"{f.weight.name.lower()} {f.id}" for f in above})
        false += [f"{path.name}: {f.id} {f.path}" for f in disproved(found, cfg)]
        if ours != (cfg is None):
            apart.append(path.name)
    quiet = counts["without_a_finding_above_a_note"] / counts["files"]
    results = {**counts, "false": len(false), "quiet_share": quiet}
    for name, value in results.items():
        print(f"{name}: {value}")
    print("other verdicts:", *apart, *false, sep="\n    ")
    if asked.out:
        files = dict(ids.most_common())
        record(asked.out, {**results, "other_verdicts": apart, "files_by_id": files})


if __name__ == "__main__":
    main()
