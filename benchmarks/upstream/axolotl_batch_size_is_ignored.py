"""`batch_size` alone is accepted, and the batch is one micro batch.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: `batch_size: 64` with `micro_batch_size: 8` accumulates eight micro batches,
    or is refused.
Observed: `gradient_accumulation_steps` is 1, so each step has 8 samples.
    `cfg.batch_size` stays 64, by which the number of steps is computed.
Cause: axolotl/utils/schemas/training.py, line 71: `gradient_accumulation_steps` has
    the default 1, so that axolotl/utils/config/__init__.py, line 208, never divides.
Reported: not found
"""

import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
from transformers import LlamaConfig

with tempfile.TemporaryDirectory() as folder:
    LlamaConfig(hidden_size=32, num_hidden_layers=1).save_pretrained(folder)
    path = Path(folder) / "config.yml"
    path.write_text(
        f"base_model: {folder}\noutput_dir: {folder}/out\n"
        "datasets: [{path: rows.jsonl, type: chat_template}]\n"
        "batch_size: 64\nmicro_batch_size: 8\nlearning_rate: 1e-5\n"
        "bf16: false\nfp16: false\ntf32: false\nattn_implementation: sdpa\n"
    )
    cfg = load_cfg(str(path))
samples = cfg.micro_batch_size * cfg.gradient_accumulation_steps
print("expected: 64 samples per step (8 x 8), or an error")
print(
    f"observed: {samples} samples per step ({cfg.micro_batch_size} x "
    f"{cfg.gradient_accumulation_steps}), and cfg.batch_size is {cfg.batch_size}"
)
sys.exit(0 if samples != 64 else 2)
