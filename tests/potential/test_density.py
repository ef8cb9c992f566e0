"""The unconstrained log density: right to the last digits, for every kind of site, and clear where there is none."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.mcmc.util import initialize_model

from pyro_vae.errors import ModelError, OptionError
from pyro_vae.potential import Potential
from tests.potential.cases import CASES, Case, eight_schools, improper, mixture, moving_support

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each_case
def test_the_density_is_the_one_derived_by_hand(case: Case) -> None:
    potential = Potential(case.model, compiled=False)
    assert potential.shapes == case.shapes
    for point in np.random.default_rng(0).normal(size=(5, potential.size)):
        # In 64 bits although the models hold float32 data: 1e-13, where float32 would leave 1e-7.
        assert potential.value_and_grad(point)[0] == pytest.approx(case.density(point), rel=1e-11)


@each_case
def test_the_gradient_is_the_derivative_of_the_density(case: Case) -> None:
    potential = Potential(case.model, compiled=False)
    point, step = np.random.default_rng(1).normal(size=potential.size), 1e-5
    differences = [
        (case.density(point + step * axis) - case.density(point - step * axis)) / (2 * step)
        for axis in np.eye(potential.size)
    ]
    np.testing.assert_allclose(potential.value_and_grad(point)[1], differences, rtol=1e-6, atol=1e-6)


@each_case
def test_log_density_is_differentiable_and_the_same(case: Case) -> None:
    potential = Potential(case.model, compiled=False)
    point = torch.full((potential.size,), 0.3, dtype=torch.float64, requires_grad=True)
    value = potential.log_density(point)
    value.backward()
    expected, gradient = potential.value_and_grad(point.detach().numpy())
    assert value.item() == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(point.grad, gradient)


@each_case
def test_constrained_draws_go_back_to_where_they_came_from(case: Case) -> None:
    potential = Potential(case.model, compiled=False)
    flat = np.random.default_rng(2).normal(size=(3, potential.size))
    values = potential.constrain(flat)
    assert {name: value.shape for name, value in values.items()} == {n: (3, *s) for n, s in case.shapes.items()}
    for row in range(3):
        back = potential.unconstrain({name: value[row] for name, value in values.items()})
        np.testing.assert_allclose(back, flat[row], rtol=1e-9)


def test_a_support_that_moves_is_followed() -> None:
    # P11. Pyro fixes the transform of beta at the prototype's alpha: where alpha is larger, beta leaves its support.
    potential = Potential(moving_support, compiled=False)
    assert not potential.fixed
    flat = np.random.default_rng(0).uniform(-4, 4, size=(200, 2))
    values = potential.constrain(flat)
    assert (values["alpha"] + values["beta"] < 1).all()
    assert all(np.isfinite(potential.value_and_grad(point)[0]) for point in flat[:20])

    _, pyros, transforms, _ = initialize_model(moving_support)
    beta = transforms["beta"].inv(torch.tensor(3.0))
    alpha = 1 - beta / 2  # beta is now twice what its support allows, and Pyro's sampler is there all the same
    with pytest.raises(ValueError, match="support"):
        pyros({"alpha": transforms["alpha"](alpha), "beta": torch.tensor(3.0)})


def test_flat_priors_work_where_pyro_cannot_start() -> None:  # P10
    with pytest.raises(NotImplementedError):
        initialize_model(improper)
    assert np.isfinite(Potential(improper, compiled=False).value_and_grad(np.zeros(3))[0])


def test_looking_at_a_model_leaves_the_random_state_and_the_param_store_alone() -> None:
    def model() -> None:
        loc = pyro.param("loc", torch.tensor(1.0))
        pyro.sample("z", dist.Normal(loc, 1.0))

    before = torch.get_rng_state()
    potential = Potential(model, compiled=False)
    potential.initial(2, seed=0)
    potential.constrain(np.zeros((2, 1)))
    assert torch.equal(torch.get_rng_state(), before)
    assert not pyro.get_param_store()


def test_a_recurrent_net_keeps_the_precision_it_insists_on() -> None:
    net = torch.nn.GRU(1, 1)

    def model() -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(net(z[:, None, None])[0].sum(), 1.0), obs=torch.tensor(0.0))

    value, gradient = Potential(model, compiled=False).value_and_grad(np.zeros(3))
    assert np.isfinite(value)
    assert gradient.shape == (3,)


def test_chains_start_far_apart_and_repeatably() -> None:
    potential = Potential(eight_schools, compiled=False)
    starts = potential.initial(8, seed=3)
    assert starts.shape == (8, 10)
    assert np.abs(starts).max() <= 2
    assert starts.std(0).min() > 0.5  # uniform on (-2, 2) has sd 1.15
    np.testing.assert_array_equal(starts, potential.initial(8, seed=3))


def test_starting_values_are_started_near() -> None:
    potential = Potential(eight_schools, compiled=False)
    starts = potential.initial(4, seed=0, init={"tau": 50.0, "theta": torch.full((8,), 9.0)})
    values = potential.constrain(starts)
    assert np.abs(np.log(values["tau"] / 50)).max() <= 0.5
    assert np.abs(values["theta"] - 9).max() <= 0.5
    assert values["mu"].std() > 0


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"sigma": 1.0}, "no continuous latent site 'sigma'"),
        ({"tau": -1.0}, "Value for site 'tau': expected values in"),
        ({"theta": np.zeros(3)}, r"Value for site 'theta': expected shape \(8,\), got \(3,\)"),
    ],
)
def test_impossible_starting_values_are_named(init: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Potential(eight_schools, compiled=False).initial(1, 0, init)


def _nothing_latent() -> None:
    pyro.sample("x", dist.Normal(0.0, 1.0), obs=torch.tensor(0.0))


def _poisson() -> None:
    rate = pyro.sample("rate", dist.Gamma(1.0, 1.0))
    pyro.sample("count", dist.Poisson(rate))


def _only_discrete() -> None:
    pyro.sample("coin", dist.Bernoulli(0.5))


def _subsampled() -> None:
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", 5, subsample_size=2) as rows:
        pyro.sample("x", dist.Normal(z, 1.0), obs=torch.arange(5.0)[rows])


def _sometimes() -> None:
    if pyro.sample("z", dist.Normal(0.0, 1.0)) > 0:
        pyro.sample("extra", dist.Normal(0.0, 1.0))


def _on_a_sphere() -> None:
    pyro.sample("direction", dist.ProjectedNormal(torch.ones(3)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_nothing_latent, "no continuous latent site"),
        (_poisson, "'count' .Poisson. is discrete with infinitely many values"),
        (_only_discrete, r"only discrete ones \(coin\)"),
        (_subsampled, "Plate 'rows' takes a random part"),
        (_on_a_sphere, "'direction' .ProjectedNormal"),
    ],
)
def test_a_model_that_has_no_density_for_nuts_is_refused_by_name(model, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Potential(model)


def test_a_site_that_comes_and_goes_is_named() -> None:
    torch.manual_seed(1)
    with pytest.raises(ModelError, match="'extra' is not in every run"):  # seen at once, or when it is not there
        Potential(_sometimes, compiled=False).initial(20, seed=0)


def test_a_random_density_is_refused() -> None:
    def model() -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(torch.nn.functional.dropout(z.expand(50)), 1.0).to_event(1), obs=torch.zeros(50))

    with pytest.raises(ModelError, match="log density is random"):
        Potential(model).value_and_grad(np.ones(1))


def test_a_model_without_a_possible_start_names_the_site() -> None:
    def model() -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Uniform(z, z + 1), obs=torch.tensor(100.0))

    with pytest.raises(ModelError, match="site 'x' has log-probability -inf"):
        Potential(model, compiled=False).initial(1, 0)


def test_discrete_sites_are_known_by_name() -> None:
    potential = Potential(mixture, compiled=False)
    assert potential.discrete == ("which",)
    assert potential.names == ("weight", "locs")
