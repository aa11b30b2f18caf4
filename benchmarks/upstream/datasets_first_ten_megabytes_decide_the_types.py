"""JSON lines whose first tool call comes after ten megabytes cannot be loaded.

Host: datasets
Versions: datasets 4.8.4
Expected: a file of chats loads, wherever the first row with tool calls is.
Observed: an error while casting, as the types of the columns are those of the first
    block of 10 MB, in which `tool_calls` is null. A mix of two files that load by
    themselves fails or loads by the order of its rows.
Cause: datasets/packaged_modules/json/json.py, line 50 (`chunksize`) and line 120: the
    first block's features are those of the file.
Reported: https://github.com/huggingface/datasets/issues/7222 (open)
"""

import json
import sys
import tempfile
from pathlib import Path

try:
    from datasets import load_dataset
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)


def load(late):
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    rows = [{"messages": [{"role": "user", "content": "x" * 1000, "tool_calls": None}]}]
    rows *= 12_000
    special = {"messages": [{"role": "user", "content": "x", "tool_calls": [call]}]}
    rows.insert(len(rows) if late else 0, special)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        found = load_dataset("json", data_files=str(path), cache_dir=f"{folder}/cache")
        return len(found["train"])


print("expected: 12,001 rows, with the row first and with the row last")
print(f"observed: with the tool call in the first row: {load(late=False)} rows")
try:
    print(f"observed: with the tool call in the last row: {load(late=True)} rows")
except Exception as error:
    cause = error.__cause__ or error
    print(f"observed: with it in the last row: {type(cause).__name__}: {cause}"[:200])
    sys.exit(0)
sys.exit(2)
