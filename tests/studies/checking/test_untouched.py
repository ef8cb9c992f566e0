"""A check leaves no trace: random numbers, param store, modules, data and switches are as they were."""

from __future__ import annotations

import random

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from pyro.nn import PyroModule, PyroParam, pyro_method
from torch import nn
from torch.distributions import constraints

import pyro_vae as pv
from tests.studies.checking import faults_of_numbers, faults_of_sites
from tests.studies.checking.fault import X, guide, local, model, scale

FAULTS = [*faults_of_sites.FAULTS, *faults_of_numbers.FAULTS]


def state():
    store = pyro.get_param_store()
    params = {name: store[name].detach().clone() for name in store}
    return torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate(), params  # noqa: NPY002


def same(one, other):
    assert torch.equal(one[0], other[0])
    assert (one[1] == other[1]).all()
    assert one[2] == other[2]
    assert one[3].keys() == other[3].keys()
    assert all(torch.equal(one[3][name], other[3][name]) for name in one[3])


@pytest.mark.parametrize("fault", FAULTS[::6], ids=lambda fault: fault.name)
def test_random_numbers_and_the_param_store_are_as_they_were_whatever_is_wrong(fault):
    model, guide, data = fault.make()
    before = state()
    pv.check(model, guide, data, **fault.options)
    same(before, state())


def test_parameters_of_a_fit_keep_their_values_and_have_no_gradient():
    guide(X)
    leaf = pyro.param("z_loc").unconstrained()
    leaf.data.fill_(3.0)
    pv.check(model, guide, X)
    assert pyro.param("z_loc").unconstrained() is leaf
    assert leaf.item() == 3.0
    assert leaf.grad is None


@pytest.mark.parametrize("family", [AutoNormal, AutoMultivariateNormal])
def test_an_automatic_guide_is_not_initialised_by_it(family):
    auto = family(model)
    attributes = set(vars(auto))
    assert pv.check(model, auto, X).ok
    assert auto.prototype_trace is None
    assert set(vars(auto)) == attributes
    assert not list(auto.parameters())
    auto(X)  # and it still can be


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.layer, self.calls = nn.BatchNorm1d(1), nn.Linear(1, 1), 0

    def forward(self, x):
        self.calls += 1
        self.train()
        return self.layer(self.norm(x[:, None])).squeeze(-1)


def test_modules_in_closures_keep_buffers_mode_counters_and_weights():
    net = _Net().eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}

    def encodes(x):
        pyro.module("net", net)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(net(x), scale()))

    assert pv.check(local, encodes, X).ok
    assert not net.training
    assert net.calls == 0
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


class _Lazy(PyroModule):
    @PyroParam
    def loc(self):
        return torch.randn(())

    @PyroParam(constraint=constraints.positive)
    def scale(self):
        return torch.ones(())

    @pyro_method
    def guide(self, x):
        pyro.sample("z", dist.Normal(self.loc, self.scale))


def test_a_pyro_module_s_lazy_parameters_are_not_made():
    lazy = _Lazy()
    assert pv.check(model, lazy.guide, X).ok
    assert not list(lazy.parameters())
    lazy.guide(X)
    assert len(list(lazy.parameters())) == 2  # here they are


def test_data_that_a_program_writes_into_are_put_back():
    centres, guide, x = faults_of_numbers.centred_in_place()
    array = np.array([1.0, 2.0])
    pv.check(centres, lambda x, extra: guide(x), {"x": x, "extra": [array]})
    assert torch.equal(x, X)

    def writes(x, extra):
        extra[0][:] = 0.0
        model(x)

    found = pv.check(writes, lambda x, extra: guide(x), {"x": x, "extra": [array]})
    assert [one.code for one in found] == ["changed-data"]
    assert "extra[0]" in found.findings[0].what
    assert list(array) == [1.0, 2.0]


def test_switches_that_a_program_turns_are_turned_back():
    def turns(x):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        pyro.enable_validation(False)
        model(x)

    pv.check(turns, guide, X)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
