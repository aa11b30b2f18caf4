"""Prepared data are reused after their source or their order has changed.

Host: Axolotl
Versions: axolotl 0.19.0, datasets 4.8.4
Expected: other rows in a file, and the same files in another order without shuffling,
    are prepared anew.
Observed: the earlier copy is trained on, silently.
Cause: axolotl/utils/data/shared.py, lines 633 to 683: the hash that names the copy
    has the paths, sorted, but neither what the files contain nor their order, nor
    `seed`, `shuffle_merged_datasets` and `curriculum_sampling`.
Reported: not found for the order;
    https://github.com/axolotl-ai-cloud/axolotl/pull/1136 tells of edited files
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
import yaml
from transformers import ByT5Tokenizer, LlamaConfig

CONFIG = """
shuffle_merged_datasets: false
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
"""


def first_row(folder, names):
    """The first row of a training on these files, in this order."""
    files = [f"{folder}/{name}.jsonl" for name in names]
    keys = {
        "base_model": folder,
        "output_dir": f"{folder}/out",
        "dataset_prepared_path": f"{folder}/prepared",
        "datasets": [
            {"path": file, "ds_type": "json", "type": "completion"} for file in files
        ],
    }
    path = Path(folder, "config.yml")
    path.write_text(CONFIG + yaml.safe_dump(keys))
    return load_datasets(cfg=load_cfg(str(path))).train_dataset[0]["input_ids"]


def write(folder, name, text):
    """A file with 20 rows."""
    row = json.dumps({"text": text}) + "\n"
    Path(folder, f"{name}.jsonl").write_text(20 * row)


def main():
    with tempfile.TemporaryDirectory() as folder:
        ByT5Tokenizer().save_pretrained(folder)  # needs no files
        LlamaConfig().save_pretrained(folder)
        write(folder, "a", "one")
        write(folder, "b", "two")
        before, turned = first_row(folder, "ab"), first_row(folder, "ba")
        write(folder, "a", "three")
        edited = first_row(folder, "ab")
    print("expected: three different first rows")
    print(f"observed: a, b:         {before}")
    print(f"observed: b, a:         {turned}")
    print(f"observed: a edited, b:  {edited}")
    sys.exit(0 if before in (turned, edited) else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
