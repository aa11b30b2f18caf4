"""The loss by source of two ranks is that of the samples of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from by_source import write_stacked
from forked import Forked

from axolotl_sftguide.runs.traces import find_traces, read_trace
from axolotl_sftguide.signals.sources import TRAINING_EVENT, read_events, total

SCRIPT = """
import json, os, sys
from pathlib import Path
from by_source import losses, rows_of_parts, tokenised
from hosts import leave_together, make_sft_trainer
from axolotl_sftguide import watch

base, data, out = map(Path, sys.argv[1:4])
trainer, _ = make_sft_trainer(
    base, data, out, ddp_backend="gloo", logging_steps=4, num_train_epochs=1,
    max_steps=-1, learning_rate=0.0, assistant_only_loss=False,
)
watch(trainer, loss_by_source="source", loss_by_source_every=1)
trainer.train()
if os.environ["RANK"] == "0":
    whole = tokenised(data, trainer.processing_class)
    samples = [(row["input_ids"], row["labels"]) for row in trainer.train_dataset]
    found = losses(trainer.model, rows_of_parts(samples, whole, 64))
    (out / "expected.json").write_text(json.dumps(found))
leave_together()
"""


@pytest.mark.slow
def test_the_sums_are_those_of_both_ranks(
    forked: Forked, base: Path, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    # 15 steps of 2 ranks x 2 rows x 2 micro batches: no row is repeated.
    data = write_stacked(tmp_path / "rows.jsonl", count=120)
    printed = forked.run_ranks(script, base, data, tmp_path)
    assert printed.count("sftguide: loss by source (animals, colours, sky)") == 1
    (path,) = find_traces(tmp_path)
    found = total(read_events(read_trace(path).events, TRAINING_EVENT))
    assert found is not None, printed[-6000:]
    loss, tokens = json.loads((tmp_path / "expected.json").read_text())
    assert found.tokens == tokens
    assert found.unknown_tokens == 0
    assert found.loss == pytest.approx(loss, rel=2e-5)
