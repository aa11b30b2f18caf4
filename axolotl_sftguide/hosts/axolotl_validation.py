"""Axolotl's own validation of a config, in a child process that may load torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import SFTGuideError

# A GPU is assumed: without one Axolotl refuses what the machine of the run may allow.
# `python -c` puts the working folder first, whose files must not be imported: it is
# removed before anything else is imported.
_VALIDATE = """
import sys

sys.path = [folder for folder in sys.path if folder]
import json, logging
import torch
import yaml
from axolotl.utils.config import prepare_plugins, validate_config
from axolotl.utils.dict import DictDefault

logging.disable(logging.CRITICAL)
with open(sys.argv[1], encoding="utf-8") as file:
    cfg = DictDefault(yaml.safe_load(file))
gpu = {
    "bf16": True, "tf32": True, "fp8": True, "n_gpu": 1, "n_node": 1,
    "compute_capability": "sm_90",
}
found = None
try:
    prepare_plugins(cfg)
    validate_config(
        cfg, capabilities=gpu, env_capabilities={"torch_version": torch.__version__}
    )
except ImportError as error:
    found = {"path": "", "message": f"needs a package that is not installed: {error}"}
except Exception as error:
    first = error.errors()[0] if hasattr(error, "errors") else {}
    path = ".".join(map(str, first.get("loc", ())))
    found = {"path": path, "message": str(first.get("msg") or error)}
print("\\n" + json.dumps({"refusal": found}))
"""


@dataclass(frozen=True, slots=True)
class HostRefusal:
    """Why Axolotl refuses a config."""

    path: str
    """The dotted path of the value; empty if it is about several keys."""
    message: str


def refusal(config: Path) -> HostRefusal | None:
    """Ask the installed Axolotl to validate a config; None if it accepts it.

    Raises:
        SFTGuideError: If Axolotl is not installed, or cannot be started.
    """
    child = subprocess.run(
        [sys.executable, "-c", _VALIDATE, str(config)],
        capture_output=True,
        text=True,
        env={**os.environ, "AXOLOTL_DO_NOT_TRACK": "1"},
    )
    lines = child.stdout.strip().splitlines()
    try:
        found = json.loads(lines[-1])["refusal"]
    except (IndexError, KeyError, TypeError, ValueError):
        raise SFTGuideError(
            "--host needs Axolotl: pip install 'axolotl-sftguide[axolotl]'"
            if "No module named 'axolotl'" in child.stderr
            else f"{config}: Axolotl could not be started to validate it"
        ) from None
    if found is None:
        return None
    message = " ".join(str(found["message"]).removeprefix("Value error, ").split())
    return HostRefusal(str(found["path"]), message)
