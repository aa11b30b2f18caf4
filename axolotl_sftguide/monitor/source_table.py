"""Recognises the source of each token of a batch, whatever the host did to its rows.

Hosts drop all columns but a few when they tokenise, and join rows when they pack. What
they keep are the tokens. So each sample is known by a hash of its token ids, and a
batch is divided into samples again by its attention mask and positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

_FIRST, _SECOND = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15
_SALT = 0x2545F4914F6CDD1D


@dataclass(frozen=True, slots=True)
class CodedRows:
    """Tokenised rows whose tokens have a source.

    A sample is a row, or a part of one: a packed row has several samples.
    """

    ids: np.ndarray[Any, Any]
    """The token ids of all samples, one sample after the other."""
    sources: np.ndarray[Any, Any]
    """The source of each token, as an index of the names."""
    lengths: np.ndarray[Any, Any]
    """The number of tokens of each sample."""


class SourceTable:
    """The source of each token of the samples in a dataset.

    A sample that is in several sources has none: its tokens could be of either.

    Args:
        names: The sources.
        rows: The samples, in batches.
    """

    def __init__(self, names: Sequence[str], rows: Iterable[CodedRows]) -> None:
        self.names = tuple(names)
        summaries = [_Summary.of(batch) for batch in rows]
        keys = _joined([s.hashes for s in summaries])
        coded = _joined([s.source_hashes for s in summaries])
        lengths = _joined([s.lengths for s in summaries])
        starts = np.cumsum(lengths) - lengths
        order = np.lexsort((coded, keys))
        keys, coded, starts = keys[order], coded[order], starts[order]
        first = np.ones(len(keys), dtype=bool)
        first[1:] = keys[1:] != keys[:-1]
        # Equal samples are neighbours, sorted by their sources.
        differs = np.flatnonzero(~first[1:] & (coded[1:] != coded[:-1])) + 1
        shared = np.zeros(int(first.sum()), dtype=bool)
        shared[np.cumsum(first)[differs] - 1] = True
        tokens = int(lengths.sum())
        self.samples = len(shared)
        """Different samples."""
        self.shared = int(shared.sum())
        """Those that are in more than one source."""
        # Tokens are numbered through, and a run is a stretch of them with one source.
        # The last run stands for all tokens whose source is unknown.
        self._arrays = {
            "keys": keys[first],
            "starts": np.where(shared, tokens, starts[first]),
            "run_starts": np.append(_run_starts(summaries), tokens),
            "run_sources": np.append(
                _joined([s.run_sources for s in summaries]), self.unknown
            ),
        }
        self._on: dict[torch.device, dict[str, torch.Tensor]] = {}

    @property
    def unknown(self) -> int:
        """The index that stands for an unknown source."""
        return len(self.names)

    def sources_of(self, inputs: Mapping[str, Any]) -> torch.Tensor:
        """The source of each token in a batch, without a synchronisation.

        Args:
            inputs: `input_ids` of shape `(rows, tokens)`, and if the batch has them
                `attention_mask` and `position_ids` of the same shape.

        Returns:
            Indices of the names, of shape `(rows, tokens)`; `unknown` for tokens of no
            sample in the table, such as padding.
        """
        ids = inputs["input_ids"]
        sample, offset, real = _samples(ids, inputs)
        terms = _mix(ids.reshape(-1).long() + 1) * _mix(offset ^ _SALT)
        terms = torch.where(real, terms, torch.zeros_like(terms))
        hashes = torch.zeros_like(terms).index_add_(0, sample, terms)
        table = self._for(ids.device)
        if not len(table["keys"]):
            return torch.full_like(ids, self.unknown)
        place = torch.searchsorted(table["keys"], hashes)
        place = place.clamp(max=len(table["keys"]) - 1)
        known = table["keys"][place] == hashes
        token = table["starts"][place][sample] + offset
        run = torch.searchsorted(table["run_starts"], token, right=True) - 1
        source = table["run_sources"][run]
        source = torch.where(
            known[sample] & real, source, torch.full_like(source, self.unknown)
        )
        return source.view(ids.shape)

    def _for(self, device: torch.device) -> dict[str, torch.Tensor]:
        if device not in self._on:
            self._on[device] = {
                name: torch.from_numpy(array).to(device)
                for name, array in self._arrays.items()
            }
        return self._on[device]


def _samples(
    ids: torch.Tensor, inputs: Mapping[str, Any]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The sample of each token, its place in the sample, and whether it is no padding.

    A sample starts at the start of a row, after padding, where the number in the mask
    changes (Axolotl numbers the samples of a row), and where positions do not rise.
    """
    real = torch.ones_like(ids, dtype=torch.bool)
    starts = torch.zeros_like(real)
    starts[:, 0] = True
    mask, positions = inputs.get("attention_mask"), inputs.get("position_ids")
    if mask is not None and mask.shape == ids.shape:
        real = mask.to(ids.device) != 0
        starts[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    if positions is not None and positions.shape == ids.shape:
        starts[:, 1:] |= positions[:, 1:] <= positions[:, :-1]
    starts = starts.reshape(-1)
    index = torch.arange(starts.numel(), device=ids.device)
    sample = starts.cumsum(0) - 1
    first = torch.where(starts, index, torch.zeros_like(index)).cummax(0).values
    return sample, index - first, real.reshape(-1)


def _hashes(values: Any, lengths: Any) -> Any:
    """The hash of each sample, as `sources_of` computes it on the device."""
    if not len(lengths):
        return np.empty(0, dtype=np.int64)
    values = values.astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    offsets = np.arange(len(values), dtype=np.int64) - np.repeat(starts, lengths)
    return np.add.reduceat(_mix(values + 1) * _mix(offsets ^ _SALT), starts)


def _mix(numbers: Any) -> Any:
    """Spread int64 numbers over 64 bits; the same for numpy and torch."""
    numbers = (numbers ^ (numbers >> 30)) * _FIRST
    numbers = (numbers ^ (numbers >> 27)) * _SECOND
    return numbers ^ (numbers >> 31)


@dataclass(frozen=True, slots=True)
class _Summary:
    """What is kept of a batch of rows: a few numbers for each sample."""

    hashes: Any
    source_hashes: Any
    lengths: Any
    run_starts: Any
    """Counted from the first token of the batch."""
    run_sources: Any

    @classmethod
    def of(cls, rows: CodedRows) -> _Summary:
        sources = rows.sources.astype(np.int64)
        lengths = _lengths(rows)
        changes = np.ones(len(sources), dtype=bool)
        changes[1:] = sources[1:] != sources[:-1]
        runs = np.flatnonzero(changes)
        return cls(
            hashes=_hashes(rows.ids, lengths),
            source_hashes=_hashes(sources, lengths),
            lengths=lengths,
            run_starts=runs,
            run_sources=sources[runs],
        )


def _run_starts(summaries: Sequence[_Summary]) -> Any:
    before, found = 0, []
    for summary in summaries:
        found.append(summary.run_starts + before)
        before += int(summary.lengths.sum())
    return _joined(found)


def _lengths(rows: CodedRows) -> Any:
    lengths = rows.lengths.astype(np.int64)
    return lengths[lengths > 0]


def _joined(arrays: Sequence[Any]) -> Any:
    return np.concatenate([np.empty(0, dtype=np.int64), *arrays])
