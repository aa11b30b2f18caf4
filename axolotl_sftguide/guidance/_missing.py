"""Which records the run lacks, and how the next one gets them."""

from __future__ import annotations

from collections.abc import Iterator

from ._advice import Missing
from ._comparison import Comparison
from ._record import Record

_FEW_EVALUATIONS = 3


def missing(comparison: Comparison) -> Iterator[Missing]:
    """The records that are missing, of a run and of the other runs of its study."""
    record = comparison.record
    if not record.traced:
        yield Missing(
            "most questions about the run",
            "no trace of its steps",
            "train with the plugin or with watch(trainer), and keep the output folder",
        )
    yield from _held_out(record)
    yield from _scores(comparison)
    yield from _sources(record)
    if record.noise is None and (record.samples or 0) > 1:
        yield Missing(
            "whether the batch is large or small",
            "no gradient noise scale",
            _set(record, "monitor.noise_scale: true", "noise_scale=True")
            + ", with two micro batches per step or more",
        )
    on_gpu = record.device not in ("", "cpu")
    if on_gpu and record.memory is not None and not record.memory.gpu_bytes:
        yield Missing(
            "whether a larger micro batch fits",
            "the memory of the GPU",
            "sftguide next RUN --gpu-memory 24GiB",
        )
    if record.cut is None and record.host == "axolotl":
        yield Missing(
            "whether rows were lost to sequence_len",
            "the lengths of the rows",
            "sftguide next RUN --data",
        )


def _held_out(record: Record) -> Iterator[Missing]:
    evaluations = len([step for step, _ in record.evaluations if step > 0])
    if evaluations >= _FEW_EVALUATIONS:
        return
    if record.evaluations and record.status != "finished":
        return  # they were set; the run ended before
    text = "no held-out loss" if not evaluations else "fewer than three evaluations"
    yield Missing(
        "whether more or fewer epochs are better",
        text,
        "set val_set_size: 0.05 and evals_per_epoch: 2"
        if record.host == "axolotl"
        else "give eval_dataset, and eval_strategy='steps' with eval_steps",
    )


def _scores(comparison: Comparison) -> Iterator[Missing]:
    record = comparison.record
    if record.result is None:
        yield Missing(
            "whether another run was better",
            "no score",
            _set(record, "score", "score={...}")
            + ", or add one: sftguide runs score RUN METRIC=VALUE --goal max",
        )
    elif not comparison.series:
        yield Missing(
            "whether another learning rate or batch is better",
            "no scored run of the same model and data with one setting changed",
            "train the sweep below, or any second run in the same study"
            if record.host == "axolotl"
            else "train a second run in the same study",
        )
    elif not comparison.ordered and comparison.level(comparison.series[0]) is None:
        yield Missing(
            f"whether a difference is more than chance ({comparison.told})",
            "no two runs that differ in the seed only",
            "train one of them again with another seed",
        )


def _sources(record: Record) -> Iterator[Missing]:
    entries = record.config.get("datasets")
    several = isinstance(entries, list) and len(entries) > 1
    mixed = "sftguide.mix.phases" in record.config
    if (several or mixed) and not record.source_names:
        yield Missing(
            "which source overfits first",
            "no loss by source",
            _set(record, "monitor.loss_by_source: source", "loss_by_source='source'")
            + ", the column of the data, and hold out rows",
        )


def _set(record: Record, key: str, argument: str) -> str:
    """How a setting of this package is given to the host."""
    if record.host == "axolotl":
        return f"set sftguide.{key}"
    return f"call watch(trainer, {argument})"
