"""A fit of an upper bound: smaller is better for the stopping rule, the tail average, restarts and the report."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae import CUBO, TraceELBO, fit
from pyro_vae.training import evaluation, starts
from pyro_vae.training.evaluation import Bound, keep_better
from pyro_vae.training.loop import Run, RunPlan, verdict
from pyro_vae.training.objective import Objective
from pyro_vae.training.parameters import copy_of
from pyro_vae.training.rows import Rows
from pyro_vae.training.schedules import SCHEDULES
from pyro_vae.training.step import StepState
from pyro_vae.training.stopping import Flat
from tests.training.programs import Y, exact, guide, model


@pytest.mark.slow
def test_a_fit_comes_down_to_the_log_evidence_and_says_upper():
    """The guide's family holds the posterior: the bound is tight, and every weight equal."""
    mean, sd, evidence = exact()
    result = fit(model, guide, Y, estimator=CUBO(), num_particles=8, steps=700, stop=None, seed=0)
    assert result.upper_bound
    assert result.attributes()["upper_bound"] == 1
    assert result.bound == pytest.approx(evidence, abs=0.001)
    assert result.params["loc"].item() == pytest.approx(mean, abs=0.01)
    assert result.params["scale"].item() == pytest.approx(sd, abs=0.01)
    assert "upper bound" in repr(result)


def test_a_falling_upper_bound_is_not_flat():
    falling = np.linspace(1.0, 0.0, 2000) + np.random.default_rng(0).normal(size=2000) * 0.1
    assert Flat()(falling)  # what the rule says of a lower bound that falls: nothing to gain
    run = Run(StepState({}, None), None, Rows([[value, 0.0, 0.0, 0.0, 0.0] for value in falling]))
    for upper, expected in ((True, False), (False, True)):
        plan = RunPlan(2000, SCHEDULES["constant"], Flat(), upper_bound=upper)
        assert verdict(run, plan)[0] is expected


@pytest.mark.parametrize(("upper", "averaged_is_kept"), [(True, True), (False, False)])
def test_of_last_and_averaged_parameters_the_smaller_upper_bound_is_kept(upper, averaged_is_kept, monkeypatch):
    elbo = TraceELBO(CUBO() if upper else None, num_particles=4)
    objective = Objective(model, guide, elbo)
    assert objective.upper_bound is upper
    elbo.loss(model, guide, Y)
    params = dict(pyro.get_param_store().named_parameters())
    state = StepState(params, None)
    state.average.add(params)
    bounds = iter([Bound(-10.0, 0.1), Bound(-11.0, 0.1)])  # last, then averaged
    monkeypatch.setattr(evaluation, "evaluate", lambda *_: next(bounds))
    assert keep_better(objective, None, state)[1] is averaged_is_kept
    assert copy_of(params).keys() == params.keys()


def test_of_several_starts_the_smallest_upper_bound_is_left(monkeypatch):
    found = iter([Bound(-9.0, 0.1), Bound(-12.0, 0.1), Bound(-10.0, 0.1)])
    monkeypatch.setattr(starts, "keep_better", lambda *_: (next(found), False))
    result = fit(model, guide, Y, estimator=CUBO(), num_particles=4, steps=3, stop=None, restarts=3, seed=0)
    assert result.bound == -12.0


def test_svi_descends_it():
    def prior():
        pyro.sample("z", dist.Normal(0.0, 1.0))

    def wide():
        scale = pyro.param("s", torch.tensor(2.0), constraint=dist.constraints.positive)
        pyro.sample("z", dist.Normal(0.0, scale))

    elbo = TraceELBO(CUBO(), num_particles=64)
    svi = pyro.infer.SVI(prior, wide, pyro.optim.Adam({"lr": 0.05}), loss=elbo)
    losses = [svi.step() for _ in range(200)]
    assert np.mean(losses[:5]) > 0.05 > np.mean(losses[-20:])
    assert np.mean(losses[-20:]) == pytest.approx(0.0, abs=0.01)
