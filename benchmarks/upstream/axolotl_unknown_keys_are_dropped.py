"""Keys that Axolotl does not know are dropped without a word.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: a misspelt key is an error, or at least a warning that names it.
Observed: the config is accepted, the key is gone, and nothing is logged about it. The
    run trains with the default. The same holds inside `datasets[]`.
Cause: axolotl/utils/schemas/config.py, line 214: the model's `model_config` leaves
    pydantic's `extra` at "ignore".
Reported: not found; https://github.com/axolotl-ai-cloud/axolotl/issues/1434 lost a
    run to such a key (closed)
"""

import contextlib
import io
import logging
import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
from transformers import LlamaConfig

said = io.StringIO()
logging.getLogger().addHandler(logging.StreamHandler(said))
logging.getLogger("axolotl").addHandler(logging.StreamHandler(said))
with tempfile.TemporaryDirectory() as folder:
    LlamaConfig(hidden_size=32, num_hidden_layers=1).save_pretrained(folder)
    path = Path(folder) / "config.yml"
    path.write_text(
        f"base_model: {folder}\noutput_dir: {folder}/out\n"
        "datasets: [{path: rows.jsonl, type: chat_template, field_mesages: turns}]\n"
        "gradient_accumulation_step: 16\n"
        "micro_batch_size: 8\nlearning_rate: 1e-5\n"
        "bf16: false\nfp16: false\ntf32: false\nattn_implementation: sdpa\n"
    )
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        cfg = load_cfg(str(path))
named = "accumulation_step " in said.getvalue() or "mesages" in said.getvalue()
kept = "gradient_accumulation_step" in cfg or "field_mesages" in cfg.datasets[0]
print("expected: a message about gradient_accumulation_step and field_mesages")
print(
    f"observed: named in a message: {named}; kept in the config: {kept}; "
    f"gradient_accumulation_steps is {cfg.gradient_accumulation_steps}"
)
sys.exit(0 if not named and not kept else 2)
