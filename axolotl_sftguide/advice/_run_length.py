"""Settings against the length of the run and the number of rows."""

from __future__ import annotations

from collections.abc import Iterator

from ._finding import Finding, Weight
from ._view import View

WRONG, AGAINST, NOTE = Weight.WRONG, Weight.AGAINST, Weight.NOTE


def length(view: View) -> Iterator[Finding]:
    """`sequence_len` left at its default, and a run that `max_steps` ends."""
    tokenised = any(entry.get("type") is None for _, entry in view.sources)
    drops = view.other_kind is None and view.get("excess_length_strategy") is None
    unset = view.config.get("sequence_len") is None
    if unset and drops and view.sources and not tokenised:
        yield Finding(
            AGAINST,
            "sequence_len",
            None,
            "sequence_len is not set, and its default is 512",
            "Axolotl drops all rows of more than 512 tokens",
            "Set sequence_len to the length of your longest rows",
            id="sequence-len-default",
        )
    epochs, most = view.number("num_epochs"), view.number("max_steps")
    if epochs and most and most > 0:
        yield Finding(
            NOTE,
            "max_steps",
            view.get("max_steps"),
            f"max_steps: {most:,.0f} ends the run, whatever num_epochs is",
            f"the run may train for more or fewer than {epochs:g} epochs",
            "Remove max_steps or num_epochs",
            id="max-steps-and-epochs",
        )


def held_out(view: View) -> Iterator[Finding]:
    """Too many rows for evaluation, or the wrong ones."""
    size = view.number("val_set_size")
    if size == 1:
        yield Finding(
            WRONG,
            "val_set_size",
            view.get("val_set_size"),
            "val_set_size: 1 is a share, and leaves no rows for training",
            "the run ends in an error while the data are split",
            "Set val_set_size: 0.05, or a number of rows above 1",
            id="held-out-all",
        )
    elif size and 0.5 <= size < 1:
        yield Finding(
            AGAINST,
            "val_set_size",
            view.get("val_set_size"),
            f"val_set_size: {size:g} is the share of rows that are not trained on",
            f"{size:.0%} of the data are used for evaluation alone",
            f"Set val_set_size: {min(0.05, 1 - size):.2g}",
            id="held-out-most",
        )
    elif size and 1 < size <= 20:
        yield Finding(
            NOTE,
            "val_set_size",
            view.get("val_set_size"),
            f"val_set_size: {size:g} is a number of rows, as it is above 1",
            f"the evaluation loss is that of {size:g} rows",
            f"Set val_set_size: {size / 100:g} for {size:g}% of the rows",
            id="held-out-few",
        )
    seen: dict[tuple[str, ...], str] = {}
    for path, entry in view.sources:
        rows = (
            *_same_rows(entry),
            str(entry.get("type")),
            str(entry.get("shards_idx")),
        )
        first = seen.setdefault(rows, path)
        split = bool(view.get("val_set_size"))
        if first != path and not view.get("dataset_exact_deduplication"):
            yield Finding(
                AGAINST if split else NOTE,
                path,
                entry.get("path"),
                f"{path} is the same data as {first}"
                + (", and val_set_size splits the rows of both" if split else ""),
                "rows are evaluated that are also trained on"
                if split
                else "the model sees its rows twice per epoch",
                f"Remove {path}, or set dataset_exact_deduplication: true",
                id="dataset-twice",
            )
    trained = {_same_rows(entry): path for path, entry in view.sources}
    tested = view.get("test_datasets", [])
    for index, entry in enumerate(tested if isinstance(tested, list) else []):
        if isinstance(entry, dict) and entry.get("path"):
            source = trained.get(_same_rows(entry))
            if source is not None:
                yield Finding(
                    AGAINST,
                    f"test_datasets.{index}",
                    entry.get("path"),
                    f"test_datasets.{index} is the same data as {source}",
                    "the run is evaluated on rows that it trains on",
                    "Set split: test, or another path, or val_set_size instead",
                    id="evaluation-on-training-rows",
                )
                return


def _same_rows(entry: object) -> tuple[str, ...]:
    """What decides which rows an entry reads."""
    if not isinstance(entry, dict):
        return ()
    keys = ("path", "name", "data_files", "revision", "shards")
    return (str(entry.get("split") or "train"), *(str(entry.get(k)) for k in keys))


def cadence(view: View) -> Iterator[Finding]:
    """Evaluations and checkpoints that come after the run's last step."""
    steps = view.steps
    if steps is None:
        return
    for what, done in (("eval", "evaluation"), ("save", "checkpoint")):
        key = f"{what}_steps"
        every = view.number(key)
        if every and every > steps and (what == "save" or view.evaluates):
            yield Finding(
                AGAINST if what == "eval" else NOTE,
                key,
                view.get(key),
                f"{key}: {every:g} is above the {steps:,} steps of the run",
                f"there is no {done} but the one at the "
                f"{'start' if what == 'eval' else 'end'}",
                f"Set {key}: {max(1, steps // 4)}",
                id=f"{done}-after-run",
            )


def long_warmup(view: View) -> Iterator[Finding]:
    """A warmup over most of the run."""
    ratio = view.number("warmup_ratio")
    if ratio and 0.5 <= ratio <= 1:
        yield Finding(
            AGAINST,
            "warmup_ratio",
            view.get("warmup_ratio"),
            f"warmup_ratio: {ratio:g} is the share of the steps with a rising rate",
            "learning_rate is reached late or not at all",
            "Set warmup_ratio: 0.05",
            id="warmup-most",
        )
