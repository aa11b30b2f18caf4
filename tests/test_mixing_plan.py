"""Which rows, how often, in which order: on fingerprints made by hand."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.mixing import load_mix
from axolotl_sftguide.mixing._columns import Rows
from axolotl_sftguide.mixing._exclusion import Excluded
from axolotl_sftguide.mixing._order import largest_deviation
from axolotl_sftguide.mixing._plan import Plan, plan


def rows(*counts: int) -> Rows:
    """So many rows of each source, no two the same."""
    source = np.repeat(np.arange(len(counts), dtype=np.uint16), counts)
    draw = np.random.Generator(np.random.PCG64(0))
    halves = draw.integers(0, 2**63, (2, len(source)), dtype=np.uint64)
    return Rows(source, *halves)


def saying(source: list[int], words: str) -> Rows:
    """One row for each letter: the same letter says the same."""
    said = np.array([ord(letter) for letter in words], np.uint64)
    return Rows(np.array(source, np.uint16), said, said + np.uint64(7))


def settings(*sources: dict[str, Any], phases: int = 0, **overrides: Any) -> Any:
    datasets = [{"path": f"s{i}", **own} for i, own in enumerate(sources)]
    parts = (
        [{"name": f"p{i}", "datasets": [d]} for i, d in enumerate(datasets)]
        if phases
        else [{"name": "p", "datasets": datasets}]
    )
    return load_mix({"phases": parts, **overrides})


def per_source(made: Plan, of: Rows) -> dict[int, int]:
    return dict(Counter(of.source[made.train].tolist()))


class TestOrder:
    @pytest.mark.parametrize(
        "counts", [(550, 300, 120, 30), (1000, 1), (5, 5, 5), (20_000, 7_000, 133)]
    )
    def test_any_prefix_of_a_stacked_mix_keeps_the_ratios(
        self, counts: tuple[int, ...]
    ) -> None:
        of = rows(*counts)
        made = plan(of, settings(*[{}] * len(counts)))
        assert sorted(made.train.tolist()) == list(range(sum(counts)))
        assert largest_deviation(of.source[made.train]) < 2.5

    def test_shuffling_the_concatenation_does_not_keep_the_ratios(self) -> None:
        of = rows(11_000, 6_000, 2_400, 600)
        draw = np.random.Generator(np.random.PCG64(0))
        shuffled = draw.permutation(len(of))
        made = plan(of, settings({}, {}, {}, {}))
        ours = largest_deviation(of.source[made.train])
        assert largest_deviation(of.source[shuffled]) > 20 * ours

    def test_it_is_random_inside_a_source_and_not_periodic(self) -> None:
        of = rows(600, 300)
        made = plan(of, settings({}, {}))
        own = made.train[of.source[made.train] == 0]
        assert abs(np.corrcoef(own, np.arange(600))[0, 1]) < 0.15
        gaps = np.diff(np.flatnonzero(of.source[made.train] == 1))
        assert len(set(gaps.tolist())) > 2

    def test_only_the_seed_changes_the_order(self) -> None:
        of = rows(100, 50)
        one, two = plan(of, settings({}, {})), plan(of, settings({}, {}))
        assert one.train.tolist() == two.train.tolist()
        other = plan(of, settings({}, {}, seed=7))
        assert other.train.tolist() != one.train.tolist()

    def test_it_is_the_same_in_all_versions(self) -> None:
        """On any machine and with any numpy: the numbers of one small plan."""
        of = saying([0] * 6 + [1] * 3, "abcdefxyz")
        assert plan(of, settings({}, {})).train.tolist() == FOR_EVER

    def test_copies_of_a_row_in_a_phase_are_not_adjacent(self) -> None:
        of = rows(400, 300)
        wanted = settings({"repeats": 3}, {"repeats": 2}, phases=1, strategy="phased")
        train = plan(of, wanted).train
        assert np.bincount(train).tolist() == [3] * 400 + [2] * 300
        assert (train[1:] == train[:-1]).sum() < 12  # some 3 by chance

    def test_phased_keeps_the_phases_and_shuffles_within_them(self) -> None:
        of = rows(100, 50, 70)
        made = plan(of, settings({}, {}, {}, phases=1, strategy="phased"))
        assert of.source[made.train].tolist() == [0] * 100 + [1] * 50 + [2] * 70
        assert made.train[:100].tolist() != list(range(100))

    def test_replay_draws_a_share_of_each_later_phase_from_earlier_ones(self) -> None:
        of = rows(100, 90, 90)
        made = plan(of, settings({}, {}, {}, phases=1, strategy="phased", replay=0.1))
        order = of.source[made.train]
        assert len(order) == 100 + 100 + 100
        assert set(order[:100]) == {0}
        assert Counter(order[100:200].tolist()) == {1: 90, 0: 10}
        assert (order[200:] == 2).sum() == 90
        assert sum(made.repeated.values()) == 20
        assert order[100:110].tolist() != [0] * 10  # among the others, not before them


FOR_EVER = [8, 0, 5, 2, 7, 1, 4, 3, 6]


class TestDuplicates:
    def test_the_first_of_equal_rows_is_kept_and_the_others_are_counted(self) -> None:
        of = saying([0, 0, 0, 1, 1, 2], "aabbac")
        made = plan(of, settings({}, {}, {}))
        assert sorted(made.train.tolist()) == [0, 2, 5]
        assert made.duplicates == {(0, 0): 1, (1, 0): 2}

    def test_duplicates_are_kept_and_spread_without_deduplication(self) -> None:
        of = saying([0] * 200, "ab" * 100)
        made = plan(of, settings({}, deduplicate=False))
        assert len(made.train) == 200
        said = (made.train % 2).tolist()
        changes = sum(one != two for one, two in pairwise(said))
        assert changes > 60

    def test_excluded_rows_are_left_out(self) -> None:
        of = saying([0, 0, 1], "abc")
        excluded = np.array([[ord("b"), ord("b") + 7], [ord("c"), 0]], np.uint64)
        among = Excluded(excluded, [2]).among(of, None)
        made = plan(of, settings({}, {}), among)
        assert sorted(made.train.tolist()) == [0, 2]
        assert made.excluded == {0: 1}


class TestShares:
    def test_shares_are_reached_without_repeating_rows(self) -> None:
        of = rows(1000, 1000)
        made = plan(of, settings({"share": 0.2}, {"share": 0.8}))
        assert per_source(made, of) == {0: 250, 1: 1000}
        assert len(set(made.train.tolist())) == 1250
        assert made.not_drawn == {0: 750, 1: 0}

    def test_upsampling_uses_every_row_and_repeats_as_few_as_possible(
        self,
    ) -> None:
        of = rows(1000, 100)
        made = plan(of, settings({"share": 0.8}, {"share": 0.2}, upsample=True))
        assert per_source(made, of) == {0: 1000, 1: 250}
        times = Counter(made.train[of.source[made.train] == 1].tolist())
        assert sorted(Counter(times.values()).items()) == [(2, 50), (3, 50)]
        assert made.repeated == {0: 0, 1: 150}

    def test_sources_without_a_share_divide_the_rest_by_size(self) -> None:
        of = rows(1000, 300, 100)
        made = plan(of, settings({"share": 0.5}, {}, {}))
        assert per_source(made, of) == {0: 400, 1: 300, 2: 100}

    def test_repeats_are_whole_passes_and_a_partial_one(self) -> None:
        of = rows(100, 10)
        made = plan(of, settings({"repeats": 1.5}, {"repeats": 3}))
        times = Counter(made.train.tolist())
        assert Counter(times[i] for i in range(100)) == {1: 50, 2: 50}
        assert all(times[i] == 3 for i in range(100, 110))
        assert made.repeated == {0: 50, 1: 20}

    def test_passes_over_the_same_rows_follow_one_another(self) -> None:
        """No row a second time before each has been there once."""
        of = rows(50)
        made = plan(of, settings({"repeats": 2}))
        assert len(set(made.train[:50].tolist())) == 50
        assert made.train[:50].tolist() != made.train[50:].tolist()

    def test_max_rows_draws_at_random(self) -> None:
        of = rows(1000)
        made = plan(of, settings({"max_rows": 100}))
        assert len(made.train) == 100
        assert made.train.mean() == pytest.approx(500, abs=120)
        assert made.not_drawn == {0: 900}


class TestTokens:
    def weighed(self, *counts: int) -> Rows:
        """Rows of 1 to 400 tokens, those of the second source ten times as long."""
        of = rows(*counts)
        draw = np.random.Generator(np.random.PCG64(1))
        tokens = draw.integers(1, 400, len(of)) * np.where(of.source == 1, 10, 1)
        return Rows(of.source, of.high, of.low, tokens.astype(np.uint32))

    @pytest.mark.parametrize("upsample", [False, True])
    def test_token_shares_hold_within_a_thousandth(self, upsample: bool) -> None:
        of = self.weighed(30_000, 5_000, 8_000)
        wanted = [0.5, 0.2, 0.3]
        made = plan(
            of,
            settings(
                *[{"share": share} for share in wanted],
                shares_by="tokens",
                tokenizer="t",
                upsample=upsample,
            ),
        )
        assert of.tokens is not None
        tokens = of.tokens[made.train].astype(float)
        found = np.bincount(of.source[made.train], tokens) / tokens.sum()
        assert np.abs(found - wanted).max() < 0.001

    def test_any_prefix_keeps_the_token_shares(self) -> None:
        of = self.weighed(3000, 1000)
        made = plan(of, settings({}, {}, shares_by="tokens", tokenizer="t"))
        assert of.tokens is not None
        tokens = of.tokens[made.train].astype(float)
        second = np.where(of.source[made.train] == 1, tokens, 0)
        share = second.sum() / tokens.sum()
        off = np.cumsum(second) - share * np.cumsum(tokens)
        assert np.abs(off).max() < 2 * 4000  # about two of the longest rows

    def test_max_tokens_is_not_exceeded(self) -> None:
        of = self.weighed(1000)
        made = plan(of, settings({"max_tokens": 10_000}, tokenizer="t"))
        assert of.tokens is not None
        assert 9_600 <= of.tokens[made.train].sum() <= 10_000
        assert made.not_drawn[0] == 1000 - len(made.train)

    def test_counting_tokens_needs_a_tokenizer(self) -> None:
        for sources, own in (
            ([{"max_tokens": 5}], {}),
            ([{}], {"shares_by": "tokens"}),
        ):
            with pytest.raises(
                SettingsError, match="tokenizer is required to count tokens"
            ):
                settings(*sources, **own)


class TestHeldOut:
    def test_is_a_share_of_each_source_and_not_trained_on(self) -> None:
        of = rows(1000, 200)
        made = plan(of, settings({"repeats": 2}, {}, held_out=0.1))
        assert Counter(of.source[made.held_out].tolist()) == {0: 100, 1: 20}
        assert not set(made.held_out.tolist()) & set(made.train.tolist())
        assert per_source(made, of) == {0: 1800, 1: 180}


class TestSpec:
    @pytest.mark.parametrize(
        ("sources", "overrides", "fault"),
        [
            ([{"share": 0.7}, {"share": 0.7}], {}, "the shares add up to 1.4, above 1"),
            ([{"share": 0.5}, {"share": 0.2}], {}, "the shares add up to 0.7, below 1"),
            ([{}], {"replay": 0.1}, "replay needs strategy: phased"),
            (
                [{"share": 0.5}, {}],
                {"strategy": "phased"},
                "share needs strategy",
            ),
            (
                [{"max_row": 3}],
                {},
                r"datasets\.0\.max_row: is not a setting. Did",
            ),
            ([{"repeats": 0}], {}, r"datasets\.0\.repeats: must be greater than 0"),
        ],
    )
    def test_wrong_settings_get_a_one_line_error(
        self, sources: Any, overrides: Any, fault: str
    ) -> None:
        with pytest.raises(SettingsError, match=fault):
            settings(*sources, **overrides)

    def test_phase_names_must_differ(self) -> None:
        phase = {"name": "p", "datasets": [{"path": "x"}]}
        with pytest.raises(SettingsError, match="two phases have the name 'p'"):
            load_mix({"phases": [phase, phase]})
