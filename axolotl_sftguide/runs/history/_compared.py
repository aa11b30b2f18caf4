"""Reads the runs that a new run is compared with, and their curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...signals import Point
from ...signals.comparability import Candidate, Peer
from ._curves import points_at, read_at, read_curves, span_of
from ._database import Database
from ._peers import read_peers, read_settings


class ComparedRuns:
    """The part of `RunHistory` that is read when a run begins."""

    _database: Database

    def peers(self, candidate: Candidate) -> list[Peer]:
        """The finished, scored and comparable runs to compare a run with, oldest first.

        They belong to its study and have its comparability key, or a key that differs
        only in the batch where `Candidate` allows that.
        """
        with self._database.reading() as connection:
            return read_peers(connection, candidate)

    def forecast_peers(self, candidate: Candidate) -> list[Peer]:
        """The finished, scored runs whose losses may predict a run's score.

        They belong to its study and have its base model, data, objective and loss
        normalisation; batch, adapter and the like may differ.
        """
        with self._database.reading() as connection:
            return read_peers(connection, candidate, forecast=True)

    def settings(self, run_ids: Sequence[str]) -> dict[str, str]:
        """A key per run that its repeats share: the config without seeds and names."""
        with self._database.reading() as connection:
            return read_settings(connection, run_ids)

    def span(self, run_ids: Sequence[str]) -> tuple[int, int] | None:
        """The fewest and the most samples seen at any point of some runs."""
        with self._database.reading() as connection:
            return span_of(connection, run_ids)

    def at(
        self, samples_seen: Sequence[int], run_ids: Sequence[str]
    ) -> Iterator[dict[str, Point]]:
        """For each number of samples, the runs' curves there, by run id.

        Between two points the curve is a straight line; runs that start later or end
        earlier are left out.
        """
        with self._database.reading() as connection:
            # Two seeks for each run and number of samples, or all points of short
            # curves at once: with those, a thousand runs take a second less.
            most = len(samples_seen) * len(run_ids)
            curves = read_curves(connection, run_ids, most)
            for samples in samples_seen:
                if curves is None:
                    yield read_at(connection, samples, run_ids)
                else:
                    yield points_at(curves, samples)
