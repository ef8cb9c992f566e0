"""Exact tests of uniform and of symmetric numbers: they reject as often as they say, and see what they are for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from arviz_stats.ecdf_utils import get_pointwise_confidence_band, simulate_confidence_bands
from scipy import stats

from pyro_vae.diagnostics import symmetry_test, uniformity_bands, uniformity_test
from pyro_vae.errors import OptionError


def beyond_binomial(rejected: int, trials: int, level: float) -> bool:
    """Whether so many rejections are too many or too few: a chance of 1 in 10 000 where the level is right."""
    return stats.binomtest(rejected, trials, level).pvalue < 1e-4


@pytest.mark.parametrize("count", [20, 100])
def test_uniform_numbers_are_rejected_at_the_stated_level(count: int) -> None:
    rng = np.random.default_rng(count)
    p = np.array([uniformity_test(rng.uniform(size=count)) for _ in range(300)])
    for level in (0.05, 0.2):
        assert not beyond_binomial(int((p <= level).sum()), len(p), level), np.mean(p <= level)


def test_what_leaves_the_bands_is_what_the_test_rejects() -> None:
    rng = np.random.default_rng(3)
    bands = uniformity_bands(60, 0.05)
    outside = 0
    for _ in range(300):
        values = rng.beta(1, 1.3, size=60)
        line = np.searchsorted(np.sort(values), bands.points, side="right") / 60
        leaves = bool(((line < bands.lower - 1e-12) | (line > bands.upper + 1e-12)).any())
        assert leaves == (uniformity_test(values) <= 0.05)
        outside += leaves
    assert 30 < outside < 270  # both happen


def test_the_bands_are_those_that_arviz_simulates() -> None:
    bands = uniformity_bands(100, 0.05)
    pointwise = simulate_confidence_bands(100, 1, bands.points, 0.95, 2000, np.random.default_rng(0))
    lower, upper = get_pointwise_confidence_band(pointwise, 100, bands.points)
    # One count of difference: theirs are from 2000 simulations, and leave out the bands' own edge.
    assert np.abs(lower - bands.lower).max() <= 0.0101
    assert np.abs(upper - bands.upper).max() <= 0.0101


def test_the_chance_of_two_numbers_is_known_by_hand() -> None:
    # One point, 1/2, and counts 0, 1, 2 with probabilities 1/4, 1/2, 1/4: the smallest p-value is 1/2.
    assert uniformity_test(np.array([0.1, 0.2])) == pytest.approx(0.5)
    assert uniformity_test(np.array([0.1, 0.7])) == pytest.approx(1.0)


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (2, 2), (1, 1.6), (1.6, 1)])
def test_too_narrow_too_wide_and_biased_posteriors_are_seen(a: float, b: float) -> None:
    assert uniformity_test(np.random.default_rng(0).beta(a, b, size=400)) < 1e-3


def test_symmetry_is_rejected_as_often_as_a_walk_goes_that_far() -> None:
    # All 2^10 walks, one by one: the p-value is exact, so that P(p <= its own value) is the value.
    distances = np.linspace(0.45, 0.05, 10)
    walks = [symmetry_test(0.5 + distances * np.array(signs)) for signs in itertools.product((-1, 1), repeat=10)]
    p = np.array([value for value, _ in walks])
    for value in np.unique(p):
        assert np.mean(p <= value + 1e-12) == pytest.approx(value)


def test_symmetric_numbers_are_rejected_at_most_at_the_level_however_narrow_the_guide() -> None:
    rng = np.random.default_rng(5)
    p = np.array([symmetry_test(rng.beta(0.4, 0.4, size=100))[0] for _ in range(1000)])
    assert stats.binomtest(int((p <= 0.05).sum()), 1000, 0.05, alternative="greater").pvalue > 1e-4
    assert np.mean(p <= 0.05) > 0.02


@pytest.mark.parametrize(("values", "side"), [((1, 1.6), -1), ((1.6, 1), 1)])
def test_a_lean_is_seen_with_its_direction(values: tuple[float, float], side: int) -> None:
    p, where = symmetry_test(np.random.default_rng(1).beta(*values, size=300))
    assert p < 1e-4
    assert where == side


@pytest.mark.parametrize("values", [[], [0.5, np.nan], [0.5, 1.5], [-0.1, 0.3]])
def test_numbers_that_cannot_be_probabilities_are_refused(values: list[float]) -> None:
    with pytest.raises(OptionError, match=r"numbers in \[0, 1\]"):
        uniformity_test(np.array(values))
    with pytest.raises(OptionError, match=r"numbers in \[0, 1\]"):
        symmetry_test(np.array(values))


def test_bands_need_numbers_and_a_level() -> None:
    with pytest.raises(OptionError, match="at least 2 numbers"):
        uniformity_bands(1, 0.05)
    with pytest.raises(OptionError, match="level"):
        uniformity_bands(10, 1.0)
