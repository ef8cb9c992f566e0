"""A bound or gradient that is no longer finite: the error names step and sites, and keeps the last good parameters."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from torch.distributions import constraints

from pyro_vae import fit
from pyro_vae.errors import DivergedError, ModelError
from pyro_vae.training import FitInterrupted, starts
from tests.training.programs import Y, guide, model


def breaking_after(evaluations, how):
    """``model`` whose observed site turns ``how`` (a number) after so many runs."""
    runs = [0]

    def program(y):
        runs[0] += 1
        z = pyro.sample("z", dist.Normal(0.0, 2.0))
        shift = how if runs[0] > evaluations else 0.0
        with pyro.plate("data", len(y)):
            pyro.sample("y", dist.Normal(z + shift, 1.0), obs=y)

    return program


@pytest.mark.parametrize("how", [math.nan, math.inf])
def test_a_bound_that_breaks_names_step_and_site_and_keeps_the_last_good_values(how):
    whole = fit(model, guide, Y, seed=0, steps=40, stop=None, schedule="constant", average=False)
    pyro.clear_param_store()
    first = fit(breaking_after(10**6, how), guide, Y, seed=0, steps=1, stop=None)
    looks = 5  # about as many runs of the model as the look at the pair takes before the first step
    pyro.clear_param_store()
    with pytest.raises(DivergedError, match=r"NaN or infinite at step \d+.*site 'y' \(log p\)") as caught:
        fit(breaking_after(20 + looks, how), guide, Y, seed=0, steps=40, stop=None, schedule="constant")
    kept = caught.value.fit
    assert first.steps == 1
    assert 10 <= kept.steps <= 25
    assert (kept.history.bound == whole.history.bound[: kept.steps]).all()
    assert "diverged at step" in kept.reason
    assert torch.equal(pyro.param("loc"), kept.params["loc"])
    assert all(torch.isfinite(value).all() for value in kept.params.values())


def test_the_values_kept_are_those_of_the_last_finite_bound():
    with pytest.raises(DivergedError) as caught:
        fit(breaking_after(25, math.nan), guide, Y, seed=0, steps=60, stop=None, schedule="constant", average=False)
    kept = caught.value.fit
    pyro.clear_param_store()
    shorter = fit(model, guide, Y, seed=0, steps=kept.steps - 1, stop=None, schedule="constant", average=False)
    assert torch.equal(kept.values["loc"], shorter.values["loc"])


def test_a_gradient_that_breaks_names_its_parameters():
    def edge(y):
        z = pyro.sample("z", dist.Normal(0.0, 2.0))
        pyro.factor("edge", torch.sqrt((z - z.detach()).abs() * 0.0))  # 0, with an infinite slope at 0 times 0
        pyro.sample("y", dist.Normal(z, 1.0), obs=y[0])

    with pytest.raises(DivergedError, match=r"gradient became NaN or infinite at step 0, for parameters .*'loc'"):
        fit(edge, guide, Y, seed=0, steps=5)


def test_parameters_that_run_away_are_named():
    def runaway(y):
        pyro.sample("z", dist.Normal(0.0, 2.0))
        pyro.factor("prize", torch.exp(pyro.param("height", torch.tensor(1.0)) * 10))

    with pytest.raises(DivergedError, match=r"site 'prize'"):
        fit(runaway, guide, Y, seed=0, learning_rate=20.0, steps=20, stop=None)


def test_a_program_that_fails_later_is_a_diverged_fit_that_keeps_its_values():
    runs = [0]

    def program(y):
        runs[0] += 1
        if runs[0] > 30:
            raise ValueError("matrix is singular")
        model(y)

    with pytest.raises(DivergedError, match=r"Step \d+ failed: .*matrix is singular") as caught:
        fit(program, guide, Y, seed=0, steps=60)
    assert caught.value.fit.steps > 10


def test_a_program_that_fails_at_once_is_a_model_error():
    def program(y):
        raise ValueError("no such column")

    with pytest.raises(ModelError, match="no such column"):
        fit(program, guide, Y, seed=0, steps=60)


def test_nan_data_are_said_before_anything_runs():
    with pytest.raises(Exception, match="finite"):
        fit(model, guide, torch.tensor([1.0, math.nan]), seed=0)


def test_a_restart_that_diverges_loses_and_the_others_win():
    # Starts beyond 6 are a cliff. Of 6 starts spread by a standard normal around 5.5 some are beyond, some are not.
    def cliff(y):
        z = pyro.sample("z", dist.Normal(0.0, 2.0))
        pyro.factor("cliff", torch.where(pyro.param("loc") > 6.0, math.nan, 0.0))
        with pyro.plate("data", len(y)):
            pyro.sample("y", dist.Normal(z, 1.0), obs=y)

    def at_edge(y):
        loc = pyro.param("loc", lambda: torch.tensor(5.5))
        scale = pyro.param("scale", lambda: torch.tensor(0.5), constraint=constraints.positive)
        pyro.sample("z", dist.Normal(loc, scale))

    result = fit(cliff, at_edge, Y, seed=0, steps=20, stop=None, restarts=6)
    assert math.isfinite(result.bound)
    with pytest.raises(DivergedError):
        fit(cliff, at_edge, Y, seed=0, steps=20, stop=None, init={"loc": 7.0})


def test_ctrl_c_after_the_last_step_keeps_the_fit_too(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(starts, "keep_better", interrupt)
    with pytest.raises(FitInterrupted, match="interrupted at step 30") as caught:
        fit(model, guide, Y, seed=0, steps=30, stop=None)
    assert caught.value.fit.steps == 30


def test_ctrl_c_keeps_the_fit_so_far():
    runs = [0]

    def program(y):
        runs[0] += 1
        if runs[0] == 30:
            raise KeyboardInterrupt
        model(y)

    with pytest.raises(FitInterrupted, match="interrupted at step") as caught:
        fit(program, AutoNormal(program), Y, seed=0)
    kept = caught.value.fit
    assert 0 < kept.steps < 30
    assert kept.reason == f"interrupted at step {kept.steps}"
    assert not kept.converged
    assert isinstance(caught.value, KeyboardInterrupt)
    assert torch.distributions.Distribution._validate_args
