"""Student's t distribution, against SciPy's."""

from __future__ import annotations

import math

import pytest

from axolotl_sftguide.students_t import as_rare_as, density, quantile, tail

stats = pytest.importorskip("scipy.stats")
FREEDOMS = [1, 1.5, 2, 3, 4, 5.3, 10, 39, 100, 12345.6]


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_tails_and_densities_are_scipys(freedom: float) -> None:
    for t in (-3.0, -0.5, 0.0, 0.7, 2.0, 20.0, 300.0):
        assert tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-8)
        expected = stats.t.pdf(t, freedom)
        assert density(t, freedom) == pytest.approx(expected, rel=1e-8)
    assert tail(math.inf, freedom) == 0


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_quantiles_are_scipys(freedom: float) -> None:
    for above in (0.5, 0.4, 0.025, 0.00135, 1e-9):
        expected = stats.t.isf(above, freedom)
        assert quantile(above, freedom) == pytest.approx(expected, rel=1e-8)
    assert quantile(0.0, freedom) == math.inf


def test_with_many_degrees_of_freedom_it_is_the_normal_distribution() -> None:
    assert as_rare_as(3.0, 1e7) == pytest.approx(3.0, rel=1e-5)
    assert as_rare_as(3.0, 2) > as_rare_as(3.0, 20) > 3
    assert as_rare_as(1000.0, 5) == math.inf
