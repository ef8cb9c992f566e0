"""``nuts``: the right posterior from every engine, in the container and shapes that SVI fills too."""

from __future__ import annotations

import _thread
import dataclasses
import functools
import threading

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray as xr
from pyro.infer import Predictive
from pyro.infer.autoguide import AutoNormal

from pyro_vae import potential
from pyro_vae.errors import DataError, ModelError, OptionError
from pyro_vae.mcmc import nuts
from pyro_vae.mcmc.chains import even
from pyro_vae.posterior import sample_posterior, save
from pyro_vae.posterior.convergence import chain_health
from pyro_vae.potential import compiled
from tests.mcmc.models import X, centred, conjugate, flat, non_centred, two_components, with_a_group


def agrees(draws: xr.DataArray, mean: float, sd: float, errors: float = 4) -> bool:
    """Mean and sd within ``errors`` MCSEs: at 4, a test of a right sampler fails once in 16 000 per number."""
    from arviz_stats.base import array_stats

    values = draws.transpose("chain", "draw").values
    off = abs(values.mean() - mean) / array_stats.mcse(values)
    off_sd = abs(values.std() - sd) / array_stats.mcse(values, method="sd")
    return bool(max(off, off_sd) < errors)


@pytest.fixture(scope="module")
def conjugate_tree() -> xr.DataTree:
    return nuts(conjugate, X, seed=1, progress=False, prior=50)


def test_nutpie_samples_the_posterior(conjugate_tree: xr.DataTree) -> None:
    assert agrees(conjugate_tree["posterior"]["z"], float(X.sum()) / 6, 6**-0.5)
    assert chain_health(conjugate_tree).counts
    assert (
        conjugate_tree.attrs["how"] == "Sampled the model as written at target_accept 0.8: R-hat 1.00, no divergences."
    )


def test_a_c_function_and_a_python_one_give_the_same_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    def posterior() -> xr.DataTree:
        return nuts(with_a_group, X, chains=3, draws=50, warmup=100, seed=4, retry=False, progress=False)

    native = posterior()
    python = potential.Potential.gradient.func

    def without_native(self: potential.Potential) -> compiled.Gradient:
        gradient = python(self)
        assert gradient.native is not None
        return dataclasses.replace(gradient, native=None)

    gradient = functools.cached_property(without_native)
    gradient.__set_name__(potential.Potential, "gradient")
    monkeypatch.setattr(potential.Potential, "gradient", gradient)
    for name, values in posterior()["posterior"].data_vars.items():
        np.testing.assert_array_equal(native["posterior"][name], values)


def test_the_tree_has_all_its_groups(conjugate_tree: xr.DataTree) -> None:
    sizes = {name: dict(group.sizes) for name, group in conjugate_tree.children.items()}
    assert sizes == {
        "posterior": {"chain": 4, "draw": 1000},
        "sample_stats": {"chain": 4, "draw": 1000},
        "log_likelihood": {"chain": 4, "draw": 1000, "x_dim_0": 5},
        "posterior_predictive": {"chain": 4, "draw": 1000, "x_dim_0": 5},
        "observed_data": {"x_dim_0": 5},
        "prior": {"chain": 1, "draw": 50},
    }
    posterior = conjugate_tree["posterior"]
    np.testing.assert_allclose(posterior["twice"], 2 * posterior["z"])
    assert set(conjugate_tree["sample_stats"].data_vars) == {
        "lp",
        "diverging",
        "energy",
        "tree_depth",
        "reached_max_treedepth",
        "n_steps",
        "step_size",
        "acceptance_rate",
    }
    expected = (
        -0.5 * posterior["z"] ** 2 + conjugate_tree["log_likelihood"]["x"].sum("x_dim_0") - 0.5 * np.log(2 * np.pi)
    )
    np.testing.assert_allclose(conjugate_tree["sample_stats"]["lp"], expected, rtol=1e-5)


def test_a_tree_can_be_saved(conjugate_tree: xr.DataTree, tmp_path) -> None:
    assert save(conjugate_tree, tmp_path / "nuts.nc").is_file()


def test_the_same_seed_gives_the_same_draws_and_leaves_the_random_state_alone(conjugate_tree: xr.DataTree) -> None:
    before = torch.get_rng_state()
    again = nuts(conjugate, X, seed=1, progress=False, prior=50)
    assert torch.equal(torch.get_rng_state(), before)
    for group in ("posterior", "sample_stats", "posterior_predictive", "prior"):
        xr.testing.assert_identical(again[group].to_dataset(), conjugate_tree[group].to_dataset())
    assert not nuts(conjugate, X, seed=2, draws=5)["posterior"].equals(conjugate_tree["posterior"])


def test_pyros_own_nuts_samples_the_same_posterior(conjugate_tree: xr.DataTree) -> None:
    tree = nuts(conjugate, X, engine="pyro", chains=2, draws=300, warmup=200, seed=0, retry=False)
    assert agrees(tree["posterior"]["z"], float(X.sum()) / 6, 6**-0.5)
    assert set(tree["sample_stats"].data_vars) == set(conjugate_tree["sample_stats"].data_vars)
    stats = tree["sample_stats"]
    assert ((stats["acceptance_rate"] >= 0) & (stats["acceptance_rate"] <= 1)).all()
    assert (stats["energy"] > -stats["lp"] - 1e-6).mean() > 0.3  # kinetic energy is positive at the start of a move
    assert (stats["n_steps"] >= 1).all()


def test_svi_and_nuts_give_the_same_variables_dims_and_shapes() -> None:  # P9
    labels = {"coords": {"row": list("abcde")}, "dims": {"z": ["row"], "x": ["row"]}}
    sampled = nuts(with_a_group, X, draws=50, warmup=50, seed=0, retry=False, **labels)
    guide = AutoNormal(with_a_group)
    fitted = sample_posterior(with_a_group, guide, X, draws=50, seed=0, **labels)
    for group in ("posterior", "log_likelihood", "posterior_predictive", "observed_data", "prior"):
        ours = {name: (v.dims, v.shape[2:], v.dtype) for name, v in sampled[group].data_vars.items()}
        assert ours == {name: (v.dims, v.shape[2:], v.dtype) for name, v in fitted[group].data_vars.items()}
    assert sampled["posterior"]["mu"].dims == ("chain", "draw")
    np.testing.assert_array_equal(sampled["posterior"]["row"], list("abcde"))

    pyros = Predictive(with_a_group, guide=guide, num_samples=50, parallel=True, return_sites=["mu"])(X)
    assert pyros["mu"].shape == (50, 1)  # the padding that Pyro's class gives a scalar global


@pytest.mark.slow
def test_a_flat_prior_is_sampled() -> None:  # P10
    tree = nuts(flat, X, seed=0, prior=50)
    assert agrees(tree["posterior"]["mean"], float(X.mean()), 5**-0.5)
    assert "prior" not in tree.children


@pytest.mark.slow
def test_discrete_sites_are_summed_out() -> None:
    tree = nuts(two_components, X, seed=0)
    grid = np.linspace(0, 1, 2001)[1:-1]
    left, right = (np.exp(-0.5 * (X.numpy()[:, None] - at) ** 2) for at in (-2, 2))
    density = ((1 - grid) * left + grid * right).prod(0)
    mean = (grid * density).sum() / density.sum()
    sd = ((grid - mean) ** 2 * density).sum() / density.sum()
    assert agrees(tree["posterior"]["weight"], mean, sd**0.5)
    assert list(tree["posterior"].data_vars) == ["weight"]
    assert "log_likelihood" not in tree.children
    assert "x" in tree["posterior_predictive"].data_vars


@pytest.mark.slow
def test_centred_eight_schools_ends_with_a_baseline_that_counts() -> None:
    tree = nuts(centred, seed=1)
    assert chain_health(tree).counts
    assert tree.attrs["parametrisation"] == "non-centred"
    assert list(tree["posterior"].data_vars) == ["mu", "tau", "theta"]
    assert tree["posterior"]["theta"].shape == (4, 1000, 8)
    assert agrees(tree["posterior"]["tau"], 3.598, 3.220, errors=3)
    assert "Chains of the model as written did not count" in tree.attrs["how"]
    assert "sampled non-centred at target_accept 0.95 instead: R-hat 1.00, no divergences." in tree.attrs["how"]


@pytest.mark.slow
def test_non_centred_eight_schools_has_the_same_posterior() -> None:
    tree = nuts(non_centred, seed=1)
    assert chain_health(tree).counts
    assert agrees(tree["posterior"]["tau"], 3.598, 3.220, errors=3)
    assert list(tree["posterior"].data_vars) == ["mu", "tau", "eta", "theta"]


@pytest.mark.slow
def test_a_baseline_model_gives_the_original_sites() -> None:
    tree = nuts(centred, seed=1, baseline_model=non_centred)
    assert chain_health(tree).counts
    assert tree.attrs["parametrisation"] == "baseline_model"
    assert list(tree["posterior"].data_vars) == ["mu", "tau", "theta"]
    assert agrees(tree["posterior"]["tau"], 3.598, 3.220, errors=3)


def test_ctrl_c_keeps_the_draws_so_far() -> None:
    timer = threading.Timer(6.0, _thread.interrupt_main)
    timer.start()
    tree = nuts(conjugate, X, seed=0, chains=2, draws=3_000_000, warmup=50, predictive=False, log_likelihood=False)
    timer.join()
    assert tree.attrs["interrupted"] == 1
    assert 0 < tree["posterior"].sizes["draw"] < 3_000_000
    assert "Stopped early" in tree.attrs["how"]
    assert np.isfinite(tree["posterior"]["z"]).all()


def test_chains_of_unequal_lengths_are_cut_to_keep_most() -> None:
    assert even([10, 10, 10]) == ([0, 1, 2], 10)
    assert even([10, 0, 9]) == ([0, 2], 9)
    assert even([100, 3, 0]) == ([0], 100)
    assert even([0, 0]) == ([0], 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "stan"}, "engine: expected one of 'nutpie', 'pyro', got 'stan'"),
        ({"chains": 0}, "chains: expected a whole number from 1 on, got 0"),
        ({"draws": 2.5}, "draws: expected a whole number from 1 on, got 2.5"),
        ({"warmup": -1}, "warmup: expected a whole number from 0 on, got -1"),
        ({"target_accept": 1.0}, "target_accept: expected a number between 0 and 1, got 1.0"),
        ({"init": {"q": 1.0}}, "no continuous latent site 'q'"),
    ],
)
@pytest.mark.filterwarnings("ignore:NUTS takes its gradients")
def test_impossible_options_are_named(options: dict, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyro_vae.potential import compiled

    monkeypatch.setattr(compiled, "_LARGE", 0)  # no need to compile
    with pytest.raises(OptionError, match=message):
        nuts(conjugate, X, **options)


def test_data_that_are_not_numbers_are_named() -> None:
    with pytest.raises(DataError, match="positional argument 0"):
        nuts(conjugate, torch.tensor([1.0, float("nan")]))


def test_a_model_that_nuts_cannot_sample_is_refused_before_it_runs() -> None:
    def model() -> None:
        pyro.sample("count", dist.Poisson(3.0))

    with pytest.raises(ModelError, match="'count'"):
        nuts(model)
