"""Draws of any guide as a ``DataTree``: the right weights, one shape per site, and nothing else changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoDelta, AutoIAFNormal, AutoMultivariateNormal, AutoNormal
from torch.distributions import constraints

from pyro_vae.errors import DataError, ModelError, OptionError
from pyro_vae.posterior import collecting, model_groups, sample_posterior
from pyro_vae.posterior.repeating import repeat

X = torch.tensor([0.3, -1.2, 0.8, 2.0, -0.4])


def model(x: torch.Tensor) -> None:
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.deterministic("twice", 2 * z)
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def exact_guide(x: torch.Tensor) -> None:
    pyro.sample("z", dist.Normal(x.sum() / 6, 6**-0.5))


def unsharing(x: torch.Tensor) -> None:
    """The same posterior for a model that adds up over a particle axis, so that particles cannot share a run."""
    z = pyro.sample("z", dist.Normal(torch.zeros(2), 0.5**0.5).to_event(1))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(torch.ones(len(x), 2) @ z, 1.0), obs=x)


LOG_EVIDENCE = float(
    torch.distributions.MultivariateNormal(torch.zeros(5).double(), torch.eye(5).double() + 1).log_prob(X.double())
)


def test_log_p_and_log_q_are_the_weights_of_the_draws() -> None:
    tree = sample_posterior(model, exact_guide, X, draws=1000, seed=0)
    stats = tree["sample_stats"]
    # The guide is the posterior: every weight is the evidence. In 64 bits, although data and guide are in 32.
    np.testing.assert_allclose(stats["log_p"] - stats["log_q"], LOG_EVIDENCE, rtol=1e-7)
    z = tree["posterior"]["z"]
    assert float(z.mean()) == pytest.approx(float(X.sum()) / 6, abs=4 * 6**-0.5 / 1000**0.5)
    np.testing.assert_array_equal(tree["posterior"]["twice"], 2 * z)
    log_prior = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(stats["log_p"], log_prior + tree["log_likelihood"]["x"].sum("x_dim_0"), rtol=1e-5)


def test_the_tree_has_its_groups_shapes_and_types() -> None:
    tree = sample_posterior(model, exact_guide, X, draws=20, prior=10, seed=0, attrs={"guide": "exact"})
    shapes = {f"{g}/{n}": v.shape for g, group in tree.children.items() for n, v in group.data_vars.items()}
    assert shapes == {
        "posterior/z": (1, 20),
        "posterior/twice": (1, 20),
        "sample_stats/log_p": (1, 20),
        "sample_stats/log_q": (1, 20),
        "log_likelihood/x": (1, 20, 5),
        "posterior_predictive/x": (1, 20, 5),
        "observed_data/x": (5,),
        "prior/z": (1, 10),
        "prior/twice": (1, 10),
    }
    assert tree["posterior"]["z"].dtype == np.float64
    assert tree.attrs == {"seed": 0, "guide": "exact"}
    bare = sample_posterior(model, exact_guide, X, draws=20, prior=0, predictive=False, log_likelihood=False)
    assert set(bare.children) == {"posterior", "sample_stats", "observed_data"}


def test_dims_label_a_variable_in_every_group() -> None:
    def matrix(x: torch.Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", 2):
            pyro.sample("x", dist.Normal(z, torch.ones(3)).to_event(1), obs=x)

    labels = {"dims": {"x": ["row", "column"]}, "coords": {"row": ["a", "b"], "column": [1, 2, 3]}}
    tree = sample_posterior(
        matrix, lambda x: pyro.sample("z", dist.Normal(0.0, 1.0)), torch.zeros(2, 3), draws=4, **labels
    )
    assert tree["posterior_predictive"]["x"].dims == ("chain", "draw", "row", "column")
    assert tree["observed_data"]["x"].dims == ("row", "column")
    assert tree["log_likelihood"]["x"].dims == ("chain", "draw", "row")


@pytest.mark.parametrize(
    ("family", "program"),
    [
        (AutoNormal, model),
        (AutoNormal, unsharing),
        (AutoMultivariateNormal, model),
        (AutoMultivariateNormal, unsharing),
        (AutoIAFNormal, unsharing),
    ],
)
def test_any_autoguide_is_drawn_from_without_its_internals(family: Callable, program: Callable) -> None:
    guide = family(program)
    tree = sample_posterior(program, guide, X, draws=50, seed=0)
    assert set(tree["posterior"].data_vars) == {"z", "twice"} - ({"twice"} if program is unsharing else set())
    assert np.isfinite(tree["sample_stats"]["log_p"] - tree["sample_stats"]["log_q"]).all()
    assert {parameter.dtype for parameter in guide.parameters()} == {torch.float32}


def test_particles_that_cannot_share_a_run_are_drawn_with_vmap_from_the_same_distribution() -> None:
    def guide(x: torch.Tensor) -> None:
        pyro.sample("z", dist.Normal(torch.tensor([1.0, -1.0]), torch.tensor([0.5, 2.0])).to_event(1))

    tree = sample_posterior(unsharing, guide, X, draws=4000, seed=0)
    z, stats = tree["posterior"]["z"].values[0], tree["sample_stats"]
    # 4 standard errors of 4000 draws: once in 16 000 per number
    np.testing.assert_allclose((z.mean(0) - [1, -1]) / [0.5, 2], 0, atol=4 / 4000**0.5)
    np.testing.assert_allclose(z.std(0) / [0.5, 2], 1, atol=4 / 8000**0.5)
    assert len(np.unique(z)) == z.size
    expected = dist.Normal(torch.tensor([1.0, -1.0]), torch.tensor([0.5, 2.0])).log_prob(torch.as_tensor(z)).sum(-1)
    np.testing.assert_allclose(stats["log_q"].values[0], expected, rtol=1e-6)
    likelihood = dist.Normal(torch.as_tensor(z).sum(-1, keepdim=True), 1.0).log_prob(X)
    np.testing.assert_allclose(tree["log_likelihood"]["x"].values[0], likelihood, rtol=1e-5)
    predicted = tree["posterior_predictive"]["x"].values[0] - z.sum(-1, keepdims=True)
    assert abs(predicted.mean()) < 4 / 20000**0.5
    assert abs(predicted.std() - 1) < 4 / 40000**0.5


def test_what_vmap_cannot_follow_is_run_one_by_one() -> None:
    calls = []

    def branching(row) -> object:
        calls.append(1)
        z = row["z"] if row else torch.randn(1)
        return _particles(z, -z if float(z) > 0 else z)

    run = repeat(branching, 7, {"z": torch.linspace(-3.0, 3.0, 7)})
    np.testing.assert_array_equal(run["z"].log_p.log_prob, -torch.linspace(-3.0, 3.0, 7).abs())
    assert len(calls) >= 7


def _particles(value: torch.Tensor, log_prob: torch.Tensor) -> object:
    from pyro_vae.particles.data import Factor, Particles, Site

    return Particles({"z": Site("z", value, Factor(log_prob))}, 1)


def test_a_seed_repeats_the_draws_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = sample_posterior(model, exact_guide, X, draws=30, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.equals(sample_posterior(model, exact_guide, X, draws=30, seed=4))
    free = sample_posterior(model, exact_guide, X, draws=30)
    other = sample_posterior(model, exact_guide, X, draws=30)
    assert not free["posterior"].equals(other["posterior"])
    assert free.equals(sample_posterior(model, exact_guide, X, draws=30, seed=free.attrs["seed"]))


def test_draws_do_not_depend_on_how_they_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sample_posterior(model, exact_guide, X, draws=100, seed=0)
    monkeypatch.setattr(collecting, "_CHUNK_NUMBERS", 300)
    parts = sample_posterior(model, exact_guide, X, draws=100, seed=0)
    assert parts["posterior"]["z"].shape == (1, 100)
    assert abs(float(parts["posterior"]["z"].mean() - whole["posterior"]["z"].mean())) < 6 * 6**-0.5 / 100**0.5
    np.testing.assert_allclose(parts["sample_stats"]["log_p"] - parts["sample_stats"]["log_q"], LOG_EVIDENCE, rtol=1e-7)


def test_many_observations_thin_the_groups_that_hold_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "_GROUP_NUMBERS", 5 * 25)
    tree = sample_posterior(model, exact_guide, X, draws=100, seed=0)
    assert tree["posterior"].sizes["draw"] == 100
    assert tree["log_likelihood"].sizes["draw"] == tree["posterior_predictive"].sizes["draw"] == 25
    groups = model_groups(model, (X,), {}, {"z": np.zeros((2, 50))})
    assert groups["log_likelihood"]["x"].shape == (2, 25, 5)


def test_a_point_estimate_has_no_density() -> None:
    guide = AutoDelta(model)
    tree = sample_posterior(model, guide, X, draws=10)
    assert list(tree["sample_stats"].data_vars) == ["log_p"]
    assert tree.attrs["point_sites"] == '["z"]'


def test_discrete_sites_of_a_guide_are_drawn_as_they_are() -> None:
    def coins(x: torch.Tensor) -> None:
        with pyro.plate("rows", len(x)):
            which = pyro.sample("which", dist.Bernoulli(0.5))
            pyro.sample("x", dist.Normal(4 * which - 2, 1.0), obs=x)

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("rows", len(x)):
            pyro.sample("which", dist.Bernoulli(logits=4 * x))  # the posterior

    stats = sample_posterior(coins, guide, X, draws=20, seed=0)["sample_stats"]
    evidence = np.logaddexp(*(dist.Normal(at, 1.0).log_prob(X.double()).numpy() for at in (-2.0, 2.0))) - np.log(2)
    np.testing.assert_allclose(stats["log_p"] - stats["log_q"], evidence.sum(), rtol=1e-6)


def test_a_models_own_subsample_leaves_what_it_cannot_score_out() -> None:
    def minibatch(x: torch.Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x), subsample_size=2) as rows:
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    tree = sample_posterior(minibatch, exact_guide, X, draws=10, seed=0)
    assert tree.attrs["subsampled_plates"] == '["rows"]'
    assert list(tree["posterior"].data_vars) == ["z"]
    assert not {"sample_stats", "log_likelihood", "posterior_predictive"} & set(tree.children)


def test_factors_are_no_observations() -> None:
    def with_factor(x: torch.Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.factor("penalty", -z.abs())

    tree = sample_posterior(with_factor, exact_guide, X, draws=10, seed=0)
    assert set(tree.children) == {"posterior", "sample_stats", "prior"}
    expected = dist.Normal(0.0, 1.0).log_prob(torch.as_tensor(tree["posterior"]["z"].values)).numpy()
    np.testing.assert_allclose(tree["sample_stats"]["log_p"], expected - abs(tree["posterior"]["z"]), rtol=1e-6)


def test_a_flat_prior_has_no_draws_of_its_own() -> None:
    def flat(x: torch.Tensor) -> None:
        z = pyro.sample("z", dist.ImproperUniform(constraints.real, (), ()))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x[0])

    assert "prior" not in sample_posterior(flat, exact_guide, X, draws=10).children
    assert "prior" not in sample_posterior(flat, AutoNormal(flat), X, draws=10).children  # P10: Pyro's cannot start


def test_an_untrained_guide_leaves_the_param_store_empty() -> None:
    def guide(x: torch.Tensor) -> None:
        pyro.sample("z", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 1.0))

    sample_posterior(model, guide, X, draws=10)
    assert not list(pyro.get_param_store())


def test_model_groups_leave_out_what_summed_sites_would_change() -> None:
    def coins(x: torch.Tensor) -> None:
        weight = pyro.sample("weight", dist.Beta(1.0, 1.0))
        pyro.deterministic("odds", weight / (1 - weight))
        with pyro.plate("rows", len(x)):
            which = pyro.sample("which", dist.Bernoulli(weight))
            pyro.deterministic("mean", 4 * which - 2)
            pyro.sample("x", dist.Normal(4 * which - 2, 1.0), obs=x)

    weight = np.random.default_rng(0).uniform(0.2, 0.8, size=(2, 1000))
    groups = model_groups(coins, (X,), {}, {"weight": weight})
    assert set(groups["posterior"]) == {"weight", "odds"}
    assert not groups["log_likelihood"]
    np.testing.assert_allclose(groups["posterior"]["odds"], weight / (1 - weight))
    # The predictive mean is 4 E weight - 2, with sd below 2.3 per draw: 4 standard errors of 10 000.
    assert abs(groups["posterior_predictive"]["x"].mean() - (4 * weight.mean() - 2)) < 4 * 2.3 / 100


def mixture(x: torch.Tensor) -> None:
    w = pyro.sample("w", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
        pyro.deterministic("flipped", 1 - z)
        pyro.sample("x", dist.Normal(w + 4 * z, 1.0), obs=x)


def test_what_the_model_sums_out_is_left_out_and_weighs_nothing() -> None:
    """``log_p`` is that of the mixture; predictive draws draw z: 30 % of them lie near 4. 2000 x 5, so within .05."""
    guide = lambda x: pyro.sample("w", dist.Normal(0.2, 0.1))  # noqa: E731
    tree = sample_posterior(mixture, guide, X, draws=2000, seed=0)
    assert set(tree["posterior"].data_vars) == set(tree["prior"].data_vars) == {"w"}
    w = torch.as_tensor(tree["posterior"]["w"].values[0]).unsqueeze(-1)
    parts = [np.log(p) + dist.Normal(w + 4 * z, 1.0).log_prob(X.double()) for z, p in ((0, 0.7), (1, 0.3))]
    expected = torch.logsumexp(torch.stack(parts), 0)
    np.testing.assert_allclose(tree["log_likelihood"]["x"].values[0], expected, rtol=1e-5)
    log_p = expected.sum(-1) + dist.Normal(0.0, 1.0).log_prob(w[:, 0])
    np.testing.assert_allclose(tree["sample_stats"]["log_p"].values[0], log_p, rtol=1e-6)
    assert float((tree["posterior_predictive"]["x"] > 2.2).mean()) == pytest.approx(0.3, abs=0.05)


def test_a_site_that_an_objective_enumerates_in_the_guide_is_drawn() -> None:
    def guide(x: torch.Tensor) -> None:
        pyro.sample("w", dist.Normal(0.2, 0.1))
        with pyro.plate("rows", len(x)):
            pyro.sample("z", dist.Bernoulli(0.25), infer={"enumerate": "parallel"})

    tree = sample_posterior(mixture, guide, X, draws=2000, seed=0)
    z = tree["posterior"]["z"]
    assert z.shape == (1, 2000, 5)
    assert float(z.mean()) == pytest.approx(0.25, abs=0.03)  # sd .0043
    np.testing.assert_array_equal(tree["posterior"]["flipped"], 1 - z)


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="positional argument 0"):
        sample_posterior(model, exact_guide, torch.tensor([np.inf]))
    with pytest.raises(ModelError, match="'z'"):
        sample_posterior(model, lambda x: None, X)
    with pytest.raises(OptionError, match="draws: expected a positive number, got 0"):
        sample_posterior(model, exact_guide, X, draws=0)
