"""Which records the run lacks, and how the next one gets them."""

from __future__ import annotations

from collections.abc import Iterator

from ._advice import Missing
from ._record import Record

_FEW_EVALUATIONS = 3


def missing(record: Record, compared: int) -> Iterator[Missing]:
    """What cannot be judged by these records.

    Args:
        record: The run.
        compared: How many other settings the run was compared with.
    """
    axolotl = record.host == "axolotl"
    if not record.traced:
        yield Missing(
            "most of it",
            "the run's trace",
            "train with the plugin or with watch(trainer), and keep the output folder",
        )
    evaluations = len([step for step, _ in record.evaluations if step > 0])
    if evaluations < _FEW_EVALUATIONS:
        text = "no held-out loss" if not evaluations else "fewer than three evaluations"
        yield Missing(
            "whether more or fewer epochs are better",
            text,
            "set val_set_size: 0.05 and evals_per_epoch: 2"
            if axolotl
            else "give eval_dataset, and eval_strategy='steps' with eval_steps",
        )
    if record.result is None:
        yield Missing(
            "whether another run was better",
            "no score",
            "set sftguide.score, or add one: sftguide runs score RUN METRIC=VALUE "
            "--goal max",
        )
    elif not compared:
        yield Missing(
            "whether another learning rate or batch is better",
            "no scored run of the same model and data with one setting changed",
            "train the sweep below, or any second run in the same study",
        )
    yield from _optional(record, axolotl=axolotl)


def _optional(record: Record, *, axolotl: bool) -> Iterator[Missing]:
    several = sum(
        len(entries)
        for key, entries in record.config.items()
        if key == "datasets" and isinstance(entries, list)
    )
    if (several > 1 or "sftguide.mix.phases" in record.config) and not (
        record.source_names
    ):
        yield Missing(
            "which source wears out first",
            "no loss by source",
            "set sftguide.monitor.loss_by_source, and hold out rows",
        )
    if record.noise is None and (record.samples or 0) > 1:
        yield Missing(
            "whether the batch is large or small",
            "no gradient noise scale",
            "set sftguide.monitor.noise_scale: true, with two micro batches per step "
            "or more",
        )
    on_gpu = record.device not in ("", "cpu")
    if on_gpu and record.memory is not None and not record.memory.gpu_bytes:
        yield Missing(
            "whether a larger micro batch fits",
            "the memory of the GPU",
            "sftguide next RUN --gpu-memory 24GiB",
        )
    if record.cut is None and axolotl:
        yield Missing(
            "whether rows were lost to sequence_len",
            "the lengths of the rows",
            "sftguide next RUN --data",
        )
