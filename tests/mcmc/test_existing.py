"""A run of Pyro's MCMC that is already there."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import MCMC, NUTS

from pyro_vae.errors import ModelError, OptionError
from pyro_vae.mcmc import from_mcmc
from pyro_vae.posterior.convergence import chain_health
from tests.mcmc.models import X, conjugate, with_a_group


def run_of(model, *args: torch.Tensor, draws: int = 60) -> MCMC:
    mcmc = MCMC(NUTS(model), num_samples=draws, warmup_steps=40, disable_progbar=True)
    mcmc.run(*args)
    return mcmc


def test_the_draws_are_pyros_in_our_shapes() -> None:
    def model(x: torch.Tensor) -> None:
        with pyro.plate("rows", 5, dim=-2):  # Pyro gives z the shape [5, 1]
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[:, None])

    mcmc = run_of(model, X)
    tree = from_mcmc(mcmc, model, X, prior=7, dims={"z": ["row"]}, coords={"row": list("abcde")})
    assert tree["posterior"]["z"].dims == ("chain", "draw", "row")
    np.testing.assert_array_equal(tree["posterior"]["z"][0], mcmc.get_samples()["z"][..., 0])
    assert tree["prior"]["z"].shape == (1, 7, 5)
    assert tree["log_likelihood"]["x"].shape == (1, 60, 5)
    assert tree["sample_stats"]["diverging"].dtype == bool
    assert tree.attrs["how"] == "A run of pyro.infer.MCMC (NUTS) as it was given: 1 chains of 60 draws."
    assert "there is one chain only" in chain_health(tree).reasons[0]


def test_deterministic_sites_are_added() -> None:
    tree = from_mcmc(run_of(conjugate, X), conjugate, X)
    np.testing.assert_allclose(tree["posterior"]["twice"], 2 * tree["posterior"]["z"], rtol=1e-6)


def test_divergences_are_marked_where_pyro_says_they_were() -> None:
    mcmc = run_of(conjugate, X)
    mcmc._diagnostics[0]["divergences"] = [3, 5]
    assert np.flatnonzero(from_mcmc(mcmc, conjugate, X)["sample_stats"]["diverging"][0]).tolist() == [3, 5]


def test_what_is_no_run_of_this_model_is_refused() -> None:
    with pytest.raises(OptionError, match="has not been run"):
        from_mcmc(MCMC(NUTS(conjugate), num_samples=10), conjugate, X)
    with pytest.raises(OptionError, match=r"Expected a pyro.infer.MCMC that has been run, got NUTS"):
        from_mcmc(NUTS(conjugate), conjugate, X)  # type: ignore[arg-type]
    mcmc = run_of(with_a_group, X)
    with pytest.raises(ModelError, match=r"'z': the MCMC's draws have shape \(5,\), the model's value \(3,\)"):
        from_mcmc(mcmc, with_a_group, X[:3])

    def other(x: torch.Tensor) -> None:
        pyro.sample("w", dist.Normal(0.0, 1.0))

    with pytest.raises(ModelError, match="no draws of the model's site 'w'"):
        from_mcmc(mcmc, other, X)
