"""The stopping rule on synthetic histories: it stops on flat noise, not on a slow drift or what it cannot judge."""

from __future__ import annotations

import numpy as np
import pytest

from pyro_vae.errors import OptionError
from pyro_vae.training.stopping import Flat, batch_means_error, rule_from

STEPS = np.arange(4000)


def stopped_at(bound: np.ndarray, rule: Flat) -> int | None:
    """The first multiple of 50 at which the rule says yes."""
    return next((n for n in range(50, len(bound) + 1, 50) if rule(bound[:n])), None)


def autocorrelated(rng: np.random.Generator, sd: float, rho: float = 0.9) -> np.ndarray:
    noise = rng.normal(size=len(STEPS)) * sd * np.sqrt(1 - rho**2)
    for t in range(1, len(noise)):
        noise[t] += rho * noise[t - 1]
    return noise


@pytest.mark.parametrize("seed", range(5))
def test_flat_noise_stops(seed):
    # Each seed fails with probability below 1e-3: the last window of 1000 has a standard error of .03 against .1.
    noise = np.random.default_rng(seed).normal(size=4000) * 0.5
    assert stopped_at(noise - 30.0, Flat()) is not None


@pytest.mark.parametrize("seed", range(5))
def test_slow_drift_does_not_stop(seed):
    # 1e-3 nats per step is .2 nats per shortest window, whose difference has standard error .03: a false stop is a
    # deviation of 5 standard errors.
    noise = np.random.default_rng(seed).normal(size=4000) * 0.3
    assert stopped_at(noise + 1e-3 * STEPS, Flat()) is None


def test_convergence_from_far_stops_only_when_little_is_left():
    # exp(-t / 300): what is left of 20 nats at the stop may not exceed twice the tolerance.
    for seed in range(5):
        left = 20 * np.exp(-STEPS / 300)
        stop = stopped_at(np.random.default_rng(seed).normal(size=4000) * 0.3 - left, Flat())
        assert stop is not None
        assert left[stop] < 0.2


def test_a_bound_too_noisy_to_judge_does_not_stop():
    # With sd 20 a window of 250 has standard error 1.3; 2 sqrt 2 of that, 3.6, cannot exclude a gain of .1 + 2. The
    # standard errors have 18 degrees of freedom, so 2.1 is 2.5 of their standard deviations away: 3 of 20 are allowed.
    stops = [stopped_at(np.random.default_rng(seed).normal(size=1000) * 20, Flat()) for seed in range(20)]
    assert sum(stop is not None for stop in stops) <= 3


def test_noise_far_above_the_tolerance_is_judged_by_its_own_size():
    # Without the share of noise no window of these 4000 steps could exclude a gain of .1 nats.
    noise = np.random.default_rng(0).normal(size=4000) * 2
    assert stopped_at(noise, Flat(noise=0.0)) is None
    assert stopped_at(noise, Flat()) is not None


def test_a_falling_bound_stops():
    # Nothing is gained by going on at this learning rate.
    noise = np.random.default_rng(0).normal(size=4000) * 0.3
    assert stopped_at(noise - 1e-3 * STEPS, Flat()) is not None


def test_heavy_tails_do_not_hide_the_flat():
    rng = np.random.default_rng(1)
    noise = -np.abs(rng.standard_t(1.5, size=4000))
    assert stopped_at(noise * 0.2, Flat()) is not None


def test_autocorrelation_is_in_the_standard_error():
    # Variance of a mean of n AR(1) values with correlation rho is (1 + rho) / (1 - rho) that of independent ones.
    rng = np.random.default_rng(0)
    errors = [batch_means_error(autocorrelated(rng, 1.0)) for _ in range(20)]
    assert np.mean(errors) == pytest.approx(np.sqrt(19 / 4000), rel=0.25)


def test_too_short_a_history_does_not_stop():
    assert not Flat(window=100)(np.zeros(199))
    assert Flat(window=100)(np.zeros(200))


def test_rules_by_name_and_by_function():
    assert rule_from("auto") == Flat()
    assert rule_from(None) is None

    def never(bound):
        return False

    assert rule_from(never) is never
    with pytest.raises(OptionError, match="expected 'auto'"):
        rule_from("automatic")
    with pytest.raises(OptionError, match="got int"):
        rule_from(3)
