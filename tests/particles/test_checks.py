"""A guide that does not belong to its model: an error that names the site and the remedy."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae.errors import DataError, ModelError
from pyro_vae.particles import call_arguments, draw


def model(x):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    scale = pyro.sample("scale", dist.LogNormal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(z, scale), obs=x)


def good(x):
    pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.sample("scale", dist.LogNormal(0.0, 1.0))


def lacks(x):
    pyro.sample("z", dist.Normal(0.0, 1.0))


def misspelt(x):
    pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.sample("scales", dist.LogNormal(0.0, 1.0))


def extra(x):
    good(x)
    pyro.sample("helper", dist.Normal(0.0, 1.0))


def observed_too(x):
    good(x)
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(0.0, 1.0))


def unfit_support(x):
    pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.sample("scale", dist.Normal(5.0, 2.0))


def unfit_shape(x):
    pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
    pyro.sample("scale", dist.LogNormal(0.0, 1.0))


def stray_dim(x):
    good(x)
    pyro.sample("helper", dist.Normal(torch.zeros(4), 1.0), infer={"is_auxiliary": True})


X = torch.zeros(6)


@pytest.mark.parametrize(
    ("guide", "message"),
    [
        (lacks, r"lacks the model's latent site 'scale'.*pyro.sample\('scale'"),
        (misspelt, r"lacks.*'scale'.*'scales'.*same site"),
        (extra, r"'helper'.*no such site.*is_auxiliary"),
        (observed_too, r"'x'.*observes it"),
        (unfit_support, r"'scale'.*Normal.*outside the model's support.*LogNormal"),
        (unfit_shape, r"'z'|x"),
        (stray_dim, r"'helper'.*belong to a plate.*size 4.*to_event"),
    ],
    ids=lambda case: getattr(case, "__name__", ""),
)
def test_a_guide_that_does_not_fit_is_refused(guide, message):
    pyro.set_rng_seed(0)
    with pytest.raises(ModelError, match=message):
        draw(model, guide, (X,), num_particles=2)


def test_the_good_guide_passes():
    assert draw(model, good, (X,), num_particles=2).num_particles == 2


def test_a_model_that_fails_says_after_which_site():
    def broken(x):
        z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z @ torch.zeros(4, 2), 1.0).to_event(1), obs=x)

    with pytest.raises(ModelError, match="model fails at or after site 'z'"):
        draw(broken, lambda x: pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1)), (X,))


def test_data_of_the_wrong_length_names_the_plate():
    def wrong(x):
        pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", 4):
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    with pytest.raises(ModelError, match="'x'"):
        draw(wrong, lambda x: pyro.sample("z", dist.Normal(0.0, 1.0)), (X,))


def test_nan_in_the_data_is_named_with_its_index():
    x = torch.zeros(4, 3)
    x[2, 1] = float("nan")
    with pytest.raises(DataError, match=r"'x'.*\[2, 1\].*1 of 12"):
        call_arguments({"x": x})
    with pytest.raises(DataError, match="positional argument 0"):
        call_arguments((torch.tensor(float("inf")),))
