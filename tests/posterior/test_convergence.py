"""Chains that converged count as a baseline; for each way of not converging there is a reason that names it.

The draws come from NumPy with fixed seeds. Measured over other seeds: the largest R-hat of 3000 parameters of 4 x 1000
independent draws is 1.004, and their ESS has a standard deviation of 4.3 % (7.3 % for the autoregression), so that
each assertion here holds with at least 4 standard deviations to spare.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pyro_vae.posterior import build, chain_health

CHAINS, DRAWS = 4, 1000


def noise(seed: int = 0, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(CHAINS, DRAWS, *shape))


def chains(x: np.ndarray, diverging: int = 0, energy: np.ndarray | None = None, **attrs: object) -> xr.DataTree:
    flags = np.zeros(x.shape[:2], bool)
    flags.flat[:diverging] = True
    energy = np.random.default_rng(1).normal(size=x.shape[:2]) if energy is None else energy
    posterior = {"steady": noise(2)[: x.shape[0], : x.shape[1]], "x": x}
    return build({"posterior": posterior, "sample_stats": {"diverging": flags, "energy": energy}}, attrs=attrs)


def autoregressive(rho: float, seed: int = 0) -> np.ndarray:
    """Chains of variance 1 whose effective sample size is (1 - rho) / (1 + rho) of the draws."""
    steps = noise(seed) * np.sqrt(1 - rho**2)
    steps[:, 0] /= np.sqrt(1 - rho**2)
    for draw in range(1, DRAWS):
        steps[:, draw] += rho * steps[:, draw - 1]
    return steps


def test_independent_draws_count() -> None:
    health = chain_health(chains(noise()))
    assert health.counts
    assert health.reasons == ()
    assert health.max_rhat == pytest.approx(1, abs=0.01)
    assert health.min_ess_bulk == pytest.approx(CHAINS * DRAWS, rel=0.2)
    assert health.min_bfmi == pytest.approx(2, rel=0.1)
    assert health.unchecked == ()


def test_effective_sample_size_is_that_of_an_autoregression() -> None:
    # (1 - .5) / (1 + .5) of 4000 draws.
    assert chain_health(chains(autoregressive(0.5))).min_ess_bulk == pytest.approx(4000 / 3, rel=0.3)


def test_one_chain_elsewhere_is_a_matter_of_rhat() -> None:
    shifted = noise()
    shifted[0] += 2
    health = chain_health(chains(shifted))
    assert not health.counts
    assert health.worst_rhat == "x"
    assert health.reasons[0].startswith("R-hat of x is 1.")


def test_a_chain_that_never_moved_does_not_count() -> None:
    stuck = noise()
    stuck[0] = 0.3
    assert not chain_health(chains(stuck)).counts
    every_one = np.broadcast_to(np.arange(CHAINS, dtype=float)[:, None], (CHAINS, DRAWS))
    health = chain_health(chains(every_one))
    assert not health.counts
    assert health.max_rhat == np.inf


def test_slow_chains_are_a_matter_of_effective_sample_size() -> None:
    health = chain_health(chains(autoregressive(0.9)))
    assert any("bulk effective sample size of x" in reason for reason in health.reasons)
    assert health.worst_ess == "x"
    assert health.min_ess_bulk < 400


def test_slow_tails_are_seen_though_the_bulk_is_fast() -> None:
    # The scale swells once in each chain, at its own time, and the sign is new in each draw: the mean is known well,
    # the tails are not.
    phase = np.arange(CHAINS)[:, None] / CHAINS
    scale = np.exp(2 * np.sin(2 * np.pi * (np.arange(DRAWS) / DRAWS + phase)))
    health = chain_health(chains(noise(3) * scale))
    assert health.min_ess_bulk > 400 > health.min_ess_tail
    assert any("tail effective sample size of x" in reason for reason in health.reasons)


def test_one_divergence_is_enough() -> None:
    health = chain_health(chains(noise(), diverging=1))
    assert health.reasons == ("1 transition diverged",)
    assert chain_health(chains(noise(), diverging=12)).divergences == 12


def test_slow_energy_does_not_count() -> None:
    health = chain_health(chains(noise(), energy=np.cumsum(noise(4), axis=1)))
    assert not health.counts
    assert any(reason.startswith("E-BFMI is 0.0") for reason in health.reasons)


def test_one_slow_chain_is_enough_for_the_energy() -> None:
    energy = noise(5)
    energy[2] = np.cumsum(noise(4)[2])
    assert not chain_health(chains(noise(), energy=energy)).counts


def test_a_single_chain_cannot_be_compared_with_another() -> None:
    health = chain_health(chains(noise()[:1]))
    assert not health.counts
    assert health.reasons[0].startswith("there is one chain only")


def test_too_few_draws_to_compute_anything_do_not_count() -> None:
    health = chain_health(chains(noise()[:, :3]))
    assert not health.counts
    assert np.isnan(health.max_rhat)
    assert "the bulk effective sample size of steady is nan, not above 400" in health.reasons


def test_constants_are_not_held_against_the_chains() -> None:
    nearly = np.float64(np.float32(0.1)) * (1 + 1e-7 * np.sign(noise()))
    for constant in (np.zeros((CHAINS, DRAWS)), np.full((CHAINS, DRAWS), 3.0), nearly):
        assert chain_health(chains(constant)).counts


def test_flags_and_counts_are_parameters_too() -> None:
    assert chain_health(chains(noise() > 0)).counts
    assert chain_health(chains(np.random.default_rng(0).poisson(3, size=(CHAINS, DRAWS)))).counts


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_draws_that_are_not_finite_do_not_count(value: float) -> None:
    broken = noise()
    broken[1, 7] = value
    assert chain_health(chains(broken)).reasons == ("draws of x are not all finite",)


def test_what_a_file_does_not_record_is_named_and_not_held_against_it() -> None:
    health = chain_health(build({"posterior": {"x": noise()}}))
    assert health.counts
    assert health.unchecked == ("divergences", "E-BFMI")


def test_exact_draws_count_without_any_check_of_chains() -> None:
    health = chain_health(chains(noise()[:1], exact=True))
    assert health.counts
    assert health.exact
    assert health.min_ess_bulk == DRAWS
    broken = noise()[:1]
    broken[0, 0] = np.nan
    assert not chain_health(chains(broken, exact=True)).counts
