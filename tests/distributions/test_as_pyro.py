"""Every row of the table as a Pyro distribution: shapes, noise drawn ahead, pickling, errors, use as a site."""

from __future__ import annotations

import math
import pickle

import pyro
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam

from tests.distributions.case import Case, Setting, rows

moderate = pytest.mark.parametrize(("case", "setting"), rows())
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


@moderate
@each_dtype
def test_shapes_after_expand_and_to_event(case: Case, setting: Setting, dtype: torch.dtype) -> None:
    distribution = case.at(setting, dtype)
    event = distribution.event_shape
    assert distribution.batch_shape == ()
    expanded = distribution.expand((2, 3))
    assert type(expanded) is type(distribution)
    assert expanded.batch_shape == (2, 3)
    draws = expanded.rsample((4,)) if expanded.has_rsample else expanded.sample((4,))
    assert draws.shape == (4, 2, 3, *event)
    assert expanded.log_prob(draws).shape == (4, 2, 3)
    assert torch.isclose(expanded.log_prob(draws)[1, 1, 2], distribution.log_prob(draws[1, 1, 2]), rtol=1e-6)
    for name in case.has - {"cdf", "icdf", "entropy"}:
        assert getattr(expanded, name).shape == (2, 3, *event)
    if "entropy" in case.has:
        assert expanded.entropy().shape == (2, 3)
    independent = expanded.to_event(1)
    assert independent.event_shape == (3, *event)
    assert independent.log_prob(draws).shape == (4, 2)


@moderate
def test_draw_is_a_function_of_the_noise(case: Case, setting: Setting) -> None:
    distribution = case.at(setting)
    if not hasattr(distribution, "noise_shape"):
        pytest.skip("its noise cannot be drawn ahead")
    distribution = distribution.expand((3,))
    torch.manual_seed(5)
    noise = distribution.draw_noise((2,))
    assert noise.shape == distribution.noise_shape((2,))
    torch.manual_seed(5)
    assert torch.equal(distribution.rsample((2,)), distribution.sample_from_noise(noise))


@moderate
def test_survives_pickling(case: Case, setting: Setting) -> None:
    distribution = case.at(setting)
    again = pickle.loads(pickle.dumps(distribution))
    value = distribution.sample((3,))
    assert torch.equal(again.log_prob(value), distribution.log_prob(value))


@moderate
def test_a_value_outside_the_support_is_refused(case: Case, setting: Setting) -> None:
    distribution = case.at(setting)
    value = torch.full_like(distribution.sample(), math.nan)
    with pytest.raises(ValueError, match=r"within the support"):
        distribution.log_prob(value)


@pytest.mark.parametrize(
    ("case", "bad", "argument"),
    [
        pytest.param(case.values[0], bad, argument, id=f"{case.values[0].name}-{argument}-{number}")
        for case in {case.values[0].name: case for case in rows()}.values()
        for number, (bad, argument) in enumerate(case.values[0].bad)
    ],
)
def test_a_bad_parameter_is_a_value_error_that_names_it(case: Case, bad: Setting, argument: str) -> None:
    with pytest.raises(ValueError, match=argument):
        case.at(bad, torch.float32)


@moderate
def test_runs_as_a_site_of_model_and_guide(case: Case, setting: Setting) -> None:
    def model():
        with pyro.plate("rows", 2):
            pyro.sample("z", case.at(setting, torch.float32))

    def guide():
        values = case.parameters(setting, torch.float32)
        scale = pyro.param("scale", torch.tensor(1.0))
        with pyro.plate("rows", 2):
            pyro.sample("z", case.make(**{name: value * scale for name, value in values.items()}))

    if any(case.parameters(setting, torch.float32)[name].dim() > 1 for name in setting):
        pytest.skip("a matrix parameter is not scaled as a vector is")
    loss = SVI(model, guide, Adam({"lr": 1e-3}), Trace_ELBO()).step()
    assert math.isfinite(loss)
    assert pyro.param("scale").item() != 1.0 or not case.reparameterised
