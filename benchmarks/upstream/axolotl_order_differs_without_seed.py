"""Without `seed`, the data have another order at each preparation.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: an unset `seed` is 42, as Axolotl's own message says for an empty one, and
    as the trainer's is.
Observed: the rows are shuffled with the seed None. Two machines, or one after the
    prepared copy was removed, train in different orders under the trainer's seed of
    42.
Cause: axolotl/utils/schemas/validation.py, lines 31 to 37: pydantic calls a field
    validator for given values alone, so that `set_default_seed` does not see a
    missing key.
Reported: not found
"""

import json
import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
from transformers import ByT5Tokenizer, LlamaConfig

CONFIG = """
dataset_num_proc: 1
sequence_len: 64
micro_batch_size: 2
gradient_accumulation_steps: 1
learning_rate: 0.001
max_steps: 2
bf16: false
fp16: false
tf32: false
attn_implementation: sdpa
datasets:
  - path: FOLDER/rows.jsonl
    ds_type: json
    type: completion
dataset_prepared_path: FOLDER/prepared
base_model: FOLDER
output_dir: FOLDER/out
"""


def order():
    """The first rows of a new preparation, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        ByT5Tokenizer().save_pretrained(folder)  # needs no files
        LlamaConfig().save_pretrained(folder)
        rows = [json.dumps({"text": f"{i:03}"}) for i in range(256)]
        Path(folder, "rows.jsonl").write_text("\n".join(rows))
        path = Path(folder, "config.yml")
        path.write_text(CONFIG.replace("FOLDER", folder))
        prepared = load_datasets(cfg=load_cfg(str(path))).train_dataset
        return [row[:3] for row in prepared["input_ids"]]


def main():
    one, two = order(), order()
    print("expected: the same order twice")
    print(f"observed: {one[:4]}")
    print(f"observed: {two[:4]}")
    sys.exit(0 if one != two else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
