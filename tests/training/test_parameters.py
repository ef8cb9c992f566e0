"""Parameters are found however they are written, once each, and put back only where they belong."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule, PyroParam
from torch.distributions import constraints

from pyro_vae import fit
from pyro_vae.errors import OutputError
from pyro_vae.training.parameters import assign, constrained, seen_parameters
from tests.training.programs import GuideModule, Y, model


def seen(program, *args):
    with seen_parameters() as found:
        program(*args)
    return found


def test_functions_modules_and_networks():
    net = torch.nn.Linear(2, 1)

    def program():
        pyro.module("net", net)
        pyro.param("loc", torch.zeros(2))
        pyro.param("scale", torch.ones(2), constraint=constraints.positive)

    found = seen(program)
    assert set(found.leaves) == {"net$$$weight", "net$$$bias", "loc", "scale"}
    assert found.leaves["net$$$weight"] is net.weight
    assert constrained(found.leaves, found.constraints)["scale"].tolist() == [1.0, 1.0]
    assert found.leaves["scale"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("local", [False, True])
def test_modules_with_global_and_with_local_parameters(local):
    with pyro.settings.context(module_local_params=local):
        module = GuideModule()
        found = seen(module, Y)
        assert sorted(found.leaves) == ["loc", "scale"]
        assert found.leaves["loc"] is module.loc
        assert constrained(found.leaves, found.constraints)["scale"].item() == pytest.approx(0.5)


def test_modules_with_local_parameters_are_fitted_too():
    with pyro.settings.context(module_local_params=True):
        module = GuideModule()
        result = fit(model, module, Y, seed=0, steps=30, stop=None)
        assert result.params["scale"].item() == pytest.approx(module.scale.item())
        assert result.params["loc"].item() != 0.0
        assert not len(pyro.get_param_store())
    local = result.history.bound
    assert (fit(model, GuideModule(), Y, seed=0, steps=30, stop=None).history.bound == local).all()


def test_a_tensor_with_two_names_is_one_parameter():
    class Twice(PyroModule):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.tensor(1.0))
            self.inner = PyroModule()
            self.inner.b = self.a

        def forward(self):
            return self.a + self.inner.b

    assert len(seen(Twice()).leaves) == 1


def test_frozen_parameters_stay_out_of_a_network():
    net = torch.nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    net.eval()
    assert set(seen(lambda: pyro.module("net", net)).leaves) == {"net$$$weight"}


def test_parameters_that_turn_up_later_are_fitted():
    calls = [0]

    def late(y):
        calls[0] += 1
        loc = pyro.param("loc", torch.tensor(0.0))
        if calls[0] > 20:
            loc = loc + pyro.param("late", torch.tensor(0.0))
        pyro.sample("z", dist.Normal(loc, 0.5))

    result = fit(model, late, Y, seed=0, steps=40, stop=None)
    assert result.params["late"].item() != 0.0


def test_subsampled_parameters_are_whole():
    class Local(PyroModule):
        def __init__(self):
            super().__init__()
            self.scale = PyroParam(torch.ones(6), constraints.positive, event_dim=0)

        def forward(self, y):
            with pyro.plate("data", 6, subsample_size=2):
                pyro.sample("z", dist.Normal(0.0, self.scale))

    def program(y):
        with pyro.plate("data", 6, subsample_size=2) as rows:
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("y", dist.Normal(z, 1.0), obs=y[rows])

    result = fit(program, Local(), Y, seed=0, steps=40, stop=None)
    (scale,) = result.params.values()
    assert scale.shape == (6,)
    assert (scale != 1.0).all()


def test_values_go_only_where_they_belong():
    leaves = {"a": torch.zeros(2, requires_grad=True)}
    assign(leaves, {"a": torch.ones(2, dtype=torch.float64)})
    assert leaves["a"].tolist() == [1.0, 1.0]
    assert leaves["a"].dtype == torch.float32
    with pytest.raises(OutputError, match=r"lacks parameters \['a'\] and has \['b'\]"):
        assign(leaves, {"b": torch.ones(2)})
    with pytest.raises(OutputError, match=r"'a': expected shape \(2,\), got \(3,\)"):
        assign(leaves, {"a": torch.ones(3)})
