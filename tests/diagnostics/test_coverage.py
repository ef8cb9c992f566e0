"""Missing modes, tails, gaps and values are found and named; and nothing is found where nothing is missing.

A bin holds at least 20 expected draws of the guide, so a right guide leaves one empty (fewer than 1 of 20) once in 5e8.
"""

from __future__ import annotations

import numpy as np
import pytest

from pyro_vae.diagnostics import MissingMass, missing_mass
from tests.diagnostics.draws import autoregressive, exact, guide, quantile_grid

N = 4000
GRID = quantile_grid(N)


def mixture(*modes: float, shares: tuple[float, ...] | None = None, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice(modes, size=N, p=shares) + rng.normal(size=N)


@pytest.mark.parametrize("at", [-4.0, 4.0])
def test_one_of_two_modes_is_missing(at: float) -> None:
    (found,) = missing_mass(guide(x=GRID - at), exact(x=mixture(-4, 4)))
    assert found.kind == "mode"
    assert found.centre == pytest.approx(at, abs=0.1)
    assert found.mass == pytest.approx(0.5, abs=0.04)
    assert found.low == -np.inf if at < 0 else found.high == np.inf


@pytest.mark.parametrize("mode", [2.5, 3, 10, 1e4])
@pytest.mark.parametrize("share", [0.08, 0.3])
def test_a_small_mode_near_or_far_is_missing(mode: float, share: float) -> None:
    (found,) = missing_mass(guide(x=GRID + mode), exact(x=mixture(-mode, mode, shares=(share, 1 - share))))
    assert found.kind == "mode"
    assert found.centre == pytest.approx(-mode, abs=0.25)
    assert found.mass == pytest.approx(share, abs=0.03)


def test_a_mode_between_two_that_are_covered_is_missing() -> None:
    (found,) = missing_mass(guide(x=mixture(-6, 6)), exact(x=mixture(-6, 0, 6)))
    assert found.kind == "mode"
    assert found.centre == pytest.approx(0, abs=0.1)


def test_both_modes_beside_a_covered_one_are_missing() -> None:
    found = missing_mass(guide(x=GRID), exact(x=mixture(-6, 0, 6)))
    assert [region.kind for region in found] == ["mode", "mode"]
    assert sorted(round(region.centre) for region in found) == [-6, 6]


@pytest.mark.parametrize(("share", "modes"), [(0.01, 1), (0.05, 0), (0.2, 0)])
def test_a_mode_with_too_few_draws_is_not_missing_but_a_few_strays_do_not_fill_it(share: float, modes: int) -> None:
    x = np.where(np.arange(N) < share * N, -4, 4) + quantile_grid(N, seed=2)
    found = missing_mass(guide(x=x), exact(x=mixture(-4, 4)))
    assert [(region.kind, round(region.mass, 1)) for region in found] == modes * [("mode", 0.5)]


def test_strays_do_not_cut_a_missing_mode_in_two() -> None:
    x = np.concatenate([GRID[:-3] + 4, [-5.0, -4.0, -3.0]])
    (found,) = missing_mass(guide(x=x), exact(x=mixture(-4, 4)))
    assert (found.kind, found.low) == ("mode", -np.inf)
    assert found.mass == pytest.approx(0.5, abs=0.04)


def test_half_of_a_mode_beside_another_is_a_gap() -> None:
    x = np.where(np.arange(N) < N / 2, GRID - 6, np.abs(GRID))
    (found,) = missing_mass(guide(x=x), exact(x=mixture(-6, 0)))
    assert found.kind == "gap"
    assert found.high == pytest.approx(0, abs=0.02)


def test_a_tail_that_is_cut_is_no_mode() -> None:
    (found,) = missing_mass(guide(x=np.abs(GRID)), exact(x=GRID))
    assert found.kind == "tail"
    assert found.low == -np.inf
    assert found.high == pytest.approx(0, abs=0.01)
    assert found.mass == pytest.approx(0.5, abs=0.01)


def test_a_hole_in_the_guide_is_a_gap() -> None:
    (found,) = missing_mass(guide(x=np.where(np.abs(GRID) < 0.5, 3.0, GRID)), exact(x=GRID))
    assert found.kind == "gap"
    assert (found.low, found.high) == (pytest.approx(-0.5, abs=0.02), pytest.approx(0.5, abs=0.02))


def test_a_guide_that_is_far_too_narrow_misses_both_ends() -> None:
    found = missing_mass(guide(x=0.3 * GRID), exact(x=GRID))
    assert [region.kind for region in found] == ["tail", "tail"]


def test_a_guide_that_is_somewhere_else_misses_everything() -> None:
    (found,) = missing_mass(guide(x=100 + GRID), exact(x=GRID))
    assert found.mass == 1


def test_a_single_value_misses_all_around_it() -> None:
    assert sum(region.mass for region in missing_mass(guide(x=np.zeros(N)), exact(x=GRID))) == pytest.approx(1)


@pytest.mark.parametrize("ratio", [0.75, 1.0, 3.0])
def test_nothing_is_missing_from_a_guide_of_about_the_right_width(ratio: float) -> None:
    assert missing_mass(guide(x=ratio * GRID), exact(x=GRID)) == []


def test_nothing_is_missing_from_the_right_guide_of_many_parameters_and_slow_chains() -> None:
    chains = np.stack([autoregressive(0.8, (4, 1000), seed).ravel() for seed in range(50)], axis=1)
    draws = np.random.default_rng(0).normal(size=(N, 50))
    assert missing_mass(guide(x=draws), exact(x=chains)) == []
    assert missing_mass(guide(x=draws[:100]), exact(x=chains)) == []


def test_slow_chains_show_no_modes_in_a_tail_that_is_cut() -> None:
    for seed in range(50):
        x = autoregressive(0.9, (4, 1000), seed).ravel()
        assert "mode" not in {region.kind for region in missing_mass(guide(x=0.5 + 0.4 * GRID), exact(x=x))}


def test_a_value_that_is_never_taken_is_missing() -> None:
    counts = np.random.default_rng(0).choice(3, size=N, p=[0.5, 0.3, 0.2])
    (found,) = missing_mass(guide(x=np.where(counts == 1, 0, counts)), exact(x=counts))
    assert (found.kind, found.centre) == ("value", 1)
    assert found.mass == pytest.approx(np.mean(counts == 1))
    (flag,) = missing_mass(guide(x=np.zeros(N, bool)), exact(x=counts > 0))
    assert flag.centre == 1


def test_a_value_that_too_few_draws_could_have_taken_is_not_missing() -> None:
    rare = np.arange(N) % 16 == 0
    assert missing_mass(guide(x=np.zeros(300, bool)), exact(x=rare)) == []
    assert missing_mass(guide(x=np.zeros(330, bool)), exact(x=rare)) != []


def test_counts_with_many_values_are_binned() -> None:
    counts = np.random.default_rng(0).poisson(1000, size=N)
    assert missing_mass(guide(x=np.random.default_rng(1).poisson(1000, size=N)), exact(x=counts)) == []
    assert missing_mass(guide(x=counts + 500), exact(x=counts))[0].mass == 1


def test_an_atom_in_a_continuous_parameter_is_no_trouble() -> None:
    atom = np.where(GRID < 0, 0.0, GRID)
    assert missing_mass(guide(x=atom), exact(x=atom)) == []
    assert missing_mass(guide(x=np.abs(GRID)), exact(x=atom))[0].mass == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("bad", [np.full(N, 3.0), np.where(GRID > 3, np.nan, GRID), np.where(GRID > 3, np.inf, GRID)])
def test_constants_and_draws_that_are_not_finite_are_left_to_the_table(bad: np.ndarray) -> None:
    assert missing_mass(guide(x=5 + GRID), exact(x=bad)) == []


def test_too_few_draws_to_say_say_nothing() -> None:
    assert missing_mass(guide(x=GRID[:30]), exact(x=100 + GRID)) == []


def test_the_largest_region_comes_first() -> None:
    base = exact(x=mixture(-9, 0, 9, shares=(0.1, 0.6, 0.3)), y=mixture(-9, 0, shares=(0.2, 0.8)))
    found = missing_mass(guide(x=GRID, y=GRID), base)
    assert [(region.parameter, round(region.centre)) for region in found] == [("x", 9), ("y", -9), ("x", -9)]


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (
            MissingMass("x", "mode", -np.inf, 0, -4, 0.5),
            "it misses a mode of x near -4 that holds 50 % of the posterior",
        ),
        (
            MissingMass("x", "tail", -np.inf, 1.234, 0, 0.1),
            "it has almost no draws of x below 1.23, which holds 10 % of the posterior",
        ),
        (
            MissingMass("x", "tail", 1.234, np.inf, 3, 0.1),
            "it has almost no draws of x above 1.23, which holds 10 % of the posterior",
        ),
        (
            MissingMass("x", "gap", -1, 1, 0, 0.1),
            "it has almost no draws of x between -1 and 1, which holds 10 % of the posterior",
        ),
        (
            MissingMass("x", "value", 2, 2, 2, 0.1),
            "it has almost no draws with x = 2, which holds 10 % of the posterior",
        ),
    ],
)
def test_what_is_missing_is_said_in_words(region: MissingMass, said: str) -> None:
    assert region.sentence() == said
