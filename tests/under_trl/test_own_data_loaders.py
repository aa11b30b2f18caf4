"""A sample is a row of the training data, also with a data loader of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from plain import make_rows, runs, samples_of, watched
from torch.utils.data import DataLoader, IterableDataset, WeightedRandomSampler
from transformers import Trainer


def with_loader(**options: Any) -> type[Trainer]:
    """A trainer that makes its own data loader."""

    class OwnLoader(Trainer):  # type: ignore[misc]
        def get_train_dataloader(self) -> Any:
            whole = options.get("batch_size", 0) is None  # the data are batches
            collate = None if whole else self.data_collator
            loader = DataLoader(self.train_dataset, collate_fn=collate, **options)
            return self.accelerator.prepare(loader)

    return OwnLoader


@pytest.mark.parametrize("accumulated", [1, 2])
@pytest.mark.parametrize("rows", [40, 42])
@pytest.mark.parametrize("size", [3, 6, 8, 10])
def test_the_loaders_own_batch_size_counts(
    size: int, rows: int, accumulated: int, tmp_path: Path
) -> None:
    trainer = watched(
        tmp_path,
        kind=with_loader(batch_size=size),
        rows=make_rows(rows),
        max_steps=-1,
        num_train_epochs=2,
        gradient_accumulation_steps=accumulated,
    )
    trainer.train()
    in_epoch = list(range(size * accumulated, rows, size * accumulated)) + [rows]
    assert samples_of(tmp_path) == [*in_epoch, *(rows + n for n in in_epoch)]


def test_batches_of_different_sizes_are_counted_one_by_one(tmp_path: Path) -> None:
    sizes = [5, 3, 7, 1, 6, 2, 4, 8]
    rows = iter(range(sum(sizes)))
    batches = [[next(rows) for _ in range(size)] for size in sizes]
    watched(
        tmp_path,
        kind=with_loader(batch_sampler=batches),
        rows=make_rows(sum(sizes)),
    ).train()
    assert samples_of(tmp_path) == [sum(sizes[: n + 1]) for n in range(8)]
    (run,) = runs()
    assert run.comparable


def test_a_stream_of_whole_batches_is_counted(tmp_path: Path) -> None:
    rows = make_rows().with_format("torch")

    class Batches(IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            return iter([dict(rows[i : i + 5]) for i in range(0, 60, 5)])

    watched(tmp_path, kind=with_loader(batch_size=None), rows=Batches()).train()
    assert samples_of(tmp_path) == [5 * n for n in range(1, 9)]


def test_a_sampler_may_draw_more_rows_than_the_data_have(tmp_path: Path) -> None:
    class Drawn(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return WeightedRandomSampler([1.0] * 16, 48)

    watched(tmp_path, kind=Drawn, rows=make_rows(16)).train()
    assert samples_of(tmp_path) == [4 * n for n in range(1, 9)]


class Weighted(torch.nn.Module):
    """A classifier whose batches also hold one weight for each class."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.Linear(4, 2)

    def forward(self, x: Any, labels: Any, class_weights: Any = None) -> Any:
        scores = self.line(x)
        loss = torch.nn.functional.cross_entropy(scores, labels, weight=class_weights)
        return {"loss": loss, "logits": scores}


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_without_tokens_are_counted_at_the_end_of_an_epoch_too(
    weighted: bool, tmp_path: Path
) -> None:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = {key: torch.tensor([row[key] for row in rows]) for key in rows[0]}
        return {**batch, "class_weights": torch.ones(2)} if weighted else batch

    torch.manual_seed(0)
    rows = {"x": torch.randn(26, 4).tolist(), "labels": [0, 1] * 13}
    watched(
        tmp_path,
        model=Weighted(),
        rows=Dataset.from_dict(rows),
        given={"data_collator": collate},
        remove_unused_columns=False,
        max_steps=-1,
        num_train_epochs=2,
        gradient_accumulation_steps=3,
    ).train()
    assert samples_of(tmp_path) == [12, 24, 26, 38, 50, 52]


@pytest.mark.parametrize("hidden_labels", [False, True])
def test_uncounted_rows_are_those_of_the_trainers_batches(
    hidden_labels: bool, tmp_path: Path
) -> None:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = {key: torch.tensor([row[key] for row in rows]) for key in rows[0]}
        if hidden_labels:  # nothing in the batch shows how many rows it has
            batch["class_weights"] = torch.ones(2)
            batch["targets"] = [batch.pop("labels")]
        return batch

    class Inner(Weighted):
        def forward(self, x: Any, labels: Any = None, targets: Any = None) -> Any:
            return super().forward(x, targets[0] if labels is None else labels)

    class Own(Trainer):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kw: Any) -> Any:
            inputs = {k: v for k, v in inputs.items() if k != "class_weights"}
            return model(**inputs)["loss"]

    rows = {"x": torch.randn(25, 4).tolist(), "labels": [0, 1] * 12 + [0]}
    watched(
        tmp_path,
        kind=Own,
        model=Inner(),
        rows=Dataset.from_dict(rows),
        given={"data_collator": collate},
        remove_unused_columns=False,
        max_steps=-1,
        num_train_epochs=2,
    ).train()
    counts = [4, 8, 12, 16, 20, 24, 25]
    assert samples_of(tmp_path) == [*counts, *(25 + n for n in counts)]
