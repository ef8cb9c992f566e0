"""A bound that has stopped moving, and ones that have not, under noise of every kind.

The rates are over 100 seeds. A flat trace is called moving by a 3-sigma accident: at most about 1 in 100 (3 in 100 for
slow noise, whose effective sample size is estimated); the assertions allow 8.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pyro_vae.diagnostics import fit_convergence
from tests.diagnostics.draws import autoregressive

STEPS = 2000
TIME = np.linspace(0, 1, STEPS)
Noise = Callable[[int], np.ndarray]
NOISES: dict[str, Noise] = {
    "white": lambda seed: np.random.default_rng(seed).normal(size=STEPS),
    "slow": lambda seed: autoregressive(0.9, (1, STEPS), seed)[0],
    "heavy-tailed": lambda seed: -np.abs(np.random.default_rng(seed).standard_t(2, size=STEPS)),
}


def converged(noise: Noise, trend: np.ndarray, seeds: int = 100) -> int:
    return sum(fit_convergence(-30 + noise(seed) + trend).converged for seed in range(seeds))


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES.keys())
def test_a_flat_bound_has_stopped(noise: Noise) -> None:
    assert converged(noise, 0 * TIME) >= 92


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES.keys())
@pytest.mark.parametrize("trend", [20 * TIME, -20 * TIME, -40 * np.exp(-TIME / 0.3)], ids=["up", "down", "slowing"])
def test_a_bound_with_a_trend_has_not(noise: Noise, trend: np.ndarray) -> None:
    assert converged(noise, trend) == 0


def test_a_fast_start_is_forgotten() -> None:
    assert converged(NOISES["white"], -1000 * np.exp(-TIME / 0.05)) >= 92


def test_without_noise_the_tolerance_is_in_nats() -> None:
    assert fit_convergence(np.full(STEPS, -30.0)).converged
    assert fit_convergence(-30 + 0.3 * TIME).converged  # .075 nats from quarter to quarter
    assert not fit_convergence(-30 + 0.6 * TIME).converged


def test_rounding_of_a_huge_bound_does_not_count() -> None:
    assert fit_convergence(-1e7 + 100 * TIME).converged


def test_drift_and_noise_are_those_of_the_last_half() -> None:
    result = fit_convergence(NOISES["white"](0) + 20 * TIME)
    assert result.drift == pytest.approx(5, abs=0.3)
    # The trend within each quarter, 5 nats long, is part of what its steps vary by: its variance is 25 / 12.
    assert result.noise == pytest.approx(np.sqrt(1 + 25 / 12), rel=0.1)
    assert result.message.startswith("the bound was still rising, by ")
    assert "over the last 500 steps" in result.message
    assert "falling" in fit_convergence(-20 * TIME).message


def test_one_wild_step_changes_nothing() -> None:
    wild = np.where(np.arange(STEPS) == STEPS - 1, -1e9, 0.0)
    assert fit_convergence(NOISES["white"](0) + wild).converged
    assert not fit_convergence(NOISES["white"](0) + 20 * TIME + wild).converged


def test_many_noisy_steps_tell_a_small_drift_from_none() -> None:
    """Noise of sd 10 over 2e5 steps leaves an error of .06 nats: a drift of .5 is seen, which 2000 steps hide."""
    noise = 10 * np.random.default_rng(0).normal(size=200_000)
    trend = np.linspace(0, 2, 200_000)
    assert fit_convergence(noise).converged
    assert not fit_convergence(noise + trend).converged
    assert fit_convergence((noise + trend)[::100]).converged


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_bound_that_broke_has_not_converged_and_the_step_is_named(value: float) -> None:
    trace = NOISES["white"](0)
    trace[1500] = value
    result = fit_convergence(trace)
    assert not result.converged
    assert result.message == f"the bound is {value} at step 1500"
    early = NOISES["white"](0)
    early[3] = value
    assert fit_convergence(early).converged


def test_too_few_steps_are_not_judged() -> None:
    result = fit_convergence(np.zeros(79))
    assert not result.converged
    assert np.isnan(result.drift)
    assert "only 79 steps" in result.message
    assert fit_convergence(np.zeros(80)).converged
