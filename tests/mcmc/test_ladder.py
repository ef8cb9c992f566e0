"""The ladder of retries, with an engine that returns what the test wants: which rungs, what is kept, what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae.errors import ModelError
from pyro_vae.mcmc.chains import Chains, Settings
from pyro_vae.mcmc.ladder import best, climb, story
from pyro_vae.mcmc.reparameterised import hierarchical_sites, non_centred
from pyro_vae.potential import Potential, density
from pyro_vae.potential.compiled import Gradient, as_numpy
from tests.mcmc.models import centred, conjugate
from tests.mcmc.models import non_centred as written_non_centred
from tests.potential.cases import SIGMA


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density, "compile_gradient", lambda eager, *_, **__: Gradient(as_numpy(eager), "eager"))


@dataclass
class Engine:
    """Independent draws, with so many divergences in each call; ``told`` are the settings of the calls."""

    divergences: list[int]
    told: list[Settings] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    stop_at: int = -1
    apart: float = 0.0

    def __call__(self, potential: Potential, settings: Settings) -> Chains:
        call = len(self.told)
        if call == self.stop_at:
            raise KeyboardInterrupt
        self.told.append(settings)
        self.sizes.append(potential.size)
        shape = (settings.chains, settings.draws)
        rng = np.random.default_rng(settings.seed)
        flat = rng.normal(size=(*shape, potential.size)) + self.apart * np.arange(settings.chains)[:, None, None]
        diverging = np.arange(np.prod(shape)).reshape(shape) < self.divergences[call]
        return Chains(flat, {"diverging": diverging, "energy": rng.normal(size=shape)}, 0.1)


SETTINGS = Settings(chains=4, draws=500, seed=3)


def labels(engine: Engine, model: Callable = centred, **options: Any) -> list[tuple[str, float]]:
    return [(a.label, a.target_accept) for a in climb(model, (), {}, engine, SETTINGS, **options)]


def test_chains_that_count_are_not_sampled_again() -> None:
    assert labels(Engine([0])) == [("model as written", 0.8)]


def test_a_higher_target_comes_first_then_the_model_non_centred() -> None:
    engine = Engine([143, 61, 5, 0])
    attempts = climb(centred, (), {}, engine, SETTINGS)
    assert [(a.label, a.target_accept) for a in attempts] == [
        ("model as written", 0.8),
        ("model as written", 0.95),
        ("non-centred", 0.95),
        ("non-centred", 0.99),
    ]
    assert best(attempts) is attempts[-1]
    assert [settings.target_accept for settings in engine.told] == [0.8, 0.95, 0.95, 0.99]
    assert len({settings.seed for settings in engine.told}) == 4
    assert story(attempts, SETTINGS) == (
        "Chains of the model as written did not count (143 divergences at target_accept 0.8; 61 divergences at "
        "target_accept 0.95); Chains of the non-centred model did not count (5 divergences at target_accept 0.95); "
        "sampled non-centred at target_accept 0.99 instead: R-hat 1.00, no divergences."
    )


def test_records_are_plain_numbers_for_the_tree() -> None:
    attempts = climb(centred, (), {}, Engine([7, 0]), SETTINGS)
    records = json.loads(json.dumps([attempt.record for attempt in attempts]))
    assert [record["divergences"] for record in records] == [7, 0]
    assert [record["counts"] for record in records] == [False, True]
    assert all(record["max_rhat"] < 1.01 and record["min_ess"] > 400 for record in records)


def test_draws_are_of_the_original_sites_on_every_rung() -> None:
    for attempt in climb(centred, (), {}, Engine([9, 9, 0]), SETTINGS):
        assert list(attempt.samples) == ["mu", "tau", "theta"]
        assert attempt.samples["theta"].shape == (4, 500, 8)
    # non-centred: theta = mu + tau x its standard draw, at the engine's standard normal flat vector
    flat = attempt.chains.flat
    np.testing.assert_allclose(attempt.samples["theta"], flat[..., :1] + np.exp(flat[..., 1:2]) * flat[..., 2:])


def test_a_programs_baseline_model_goes_before_the_automatic_one() -> None:
    rungs = labels(Engine([9, 9, 0]), baseline_model=written_non_centred)
    assert rungs[-1] == ("baseline_model", 0.95)


def test_a_baseline_model_that_lacks_a_site_is_named() -> None:
    def other() -> None:
        pyro.sample("mu", dist.Normal(0.0, 5.0))
        pyro.sample("tau", dist.HalfCauchy(5.0))

    with pytest.raises(ModelError, match="baseline_model has no site 'theta'"):
        labels(Engine([9, 9, 0]), baseline_model=other)


def test_without_retry_or_with_too_few_draws_there_is_one_attempt() -> None:
    assert len(labels(Engine([9]), retry=False)) == 1
    few = Settings(chains=4, draws=100)  # an ESS above 400 is out of reach
    assert len(climb(centred, (), {}, Engine([9]), few)) == 1


def test_a_model_that_cannot_be_non_centred_ends_with_the_best_attempt() -> None:
    attempts = climb(conjugate, (torch.zeros(3),), {}, Engine([4, 2]), SETTINGS)
    assert len(attempts) == 2
    assert best(attempts).health.divergences == 2
    assert story(attempts, SETTINGS) == (
        "Chains of the model as written did not count (4 divergences at target_accept 0.8). No attempt counts as a "
        "baseline; these draws are sampled the model as written at target_accept 0.95: 2 transitions diverged."
    )


def test_chains_that_disagree_are_a_fault_too() -> None:
    attempts = climb(conjugate, (torch.zeros(3),), {}, Engine([0, 0], apart=3.0), SETTINGS)
    assert not any(attempt.health.counts for attempt in attempts)
    assert "R-hat of z is" in story(attempts, SETTINGS)


def test_ctrl_c_on_a_later_rung_keeps_the_earlier_ones() -> None:
    attempts = climb(centred, (), {}, Engine([9, 5], stop_at=2), SETTINGS)
    assert [a.health.divergences for a in attempts] == [9, 5]
    with pytest.raises(KeyboardInterrupt):
        climb(centred, (), {}, Engine([], stop_at=0), SETTINGS)


def test_sites_whose_location_or_scale_moves_are_hierarchical() -> None:
    def model() -> None:
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        scale = pyro.sample("scale", dist.LogNormal(mu, 1.0))  # no location and scale on its own support
        with pyro.plate("rows", 3):
            pyro.sample("fixed", dist.StudentT(4.0, 0.0, 2.0))
            pyro.sample("t", dist.StudentT(4.0, 0.0, scale))
            pyro.sample("vector", dist.Normal(mu, torch.ones(2)).to_event(1))
            pyro.sample("x", dist.Normal(mu, scale), obs=torch.zeros(3))

    before = torch.get_rng_state()
    assert hierarchical_sites(model, (), {}) == ("t", "vector")
    assert torch.equal(torch.get_rng_state(), before)
    potential = Potential(non_centred(model, ("t", "vector")), compiled=False)
    assert potential.names == ("mu", "scale", "fixed", "t_decentered", "vector_decentered")
    assert potential.shapes["vector_decentered"] == (3, 2)


def test_non_centring_leaves_the_density_what_it_was() -> None:
    """p(mu, tau, eta) = p(mu, tau, theta) tau^8 at theta = mu + tau eta."""
    flat = np.random.default_rng(0).normal(size=10)
    moved = np.concatenate([flat[:2], flat[0] + np.exp(flat[1]) * flat[2:]])
    other = Potential(non_centred(centred, ("theta",)), compiled=False).value_and_grad(flat)[0]
    own = Potential(centred, compiled=False).value_and_grad(moved)[0]
    assert other == pytest.approx(own + len(SIGMA) * flat[1], rel=1e-12)
