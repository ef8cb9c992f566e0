"""The validation bound is the mean per row; it stops a run, and the best values are the fit's."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pyro_vae import LinearAnnealing, Validation, fit, load_fit
from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import DataError, OptionError
from pyro_vae.training import FitInterrupted, starts, step
from pyro_vae.training.objective import Objective
from pyro_vae.training.validation import bound_per_row
from tests.training.programs import guide, rows_model

pytestmark = pytest.mark.usefixtures("cheap_bounds")
X = torch.linspace(-2, 2, 40)
ELBOS = [TraceELBO(num_particles=1), TraceELBO("iwae", 3), TraceELBO(num_particles=1, beta=9.0), Trace_ELBO()]
ELBOS.append(TraceELBO(num_particles=1, annealing=LinearAnnealing(5)))


class Amortised(nn.Module):
    """z ~ N(0, 1), x ~ N(z, 1), with q(z | x) = N(slope x, sqrt(1/2)), exact at slope 1/2."""

    def __init__(self, size=None, dropout=0.0):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.5))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("calls", torch.tensor(0))
        self.size = size

    def plate(self, x):
        return pyro.plate("data", len(x)) if self.size is None else pyro.plate("data", self.size, subsample=x)

    def model(self, x):
        with self.plate(x):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(self, x):
        pyro.module("amortised", self)
        self.calls += 1
        with self.plate(x):
            pyro.sample("z", dist.Normal(self.dropout(self.slope.expand(len(x))) * x, math.sqrt(0.5)))


@pytest.mark.parametrize("size", [None, 1000])
@pytest.mark.parametrize("batch_size", [None, 40, 16])
@pytest.mark.parametrize("elbo", ELBOS)
def test_the_bound_is_the_mean_per_row_in_evaluation_mode(size, batch_size, elbo):
    # At the exact posterior every draw's log weight is log p(x), so the mean is known without error.
    pair = Amortised(size, dropout=0.9)
    data = X if batch_size is None else DataLoader(X, batch_size=batch_size, shuffle=True)
    state = torch.get_rng_state()
    found = bound_per_row(Objective(pair.model, pair.guide, elbo), data)
    assert found == pytest.approx(dist.Normal(0.0, math.sqrt(2)).log_prob(X).mean().item(), abs=1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    assert pair.training
    assert pair.dropout.training
    assert pair.calls == 0


def test_a_bound_with_global_latents_is_per_row_of_all_rows():
    def model(batch):
        rows_model(batch, 1000)

    value = bound_per_row(Objective(model, guide, TraceELBO(num_particles=2000)), X)
    with pyro.poutine.trace() as trace:
        guide(X)
    q = trace.trace.nodes["z"]["fn"]
    kl = torch.distributions.kl_divergence(q, dist.Normal(0.0, 2.0)).item()
    likelihood = (dist.Normal(0.0, 1.0).log_prob(X) - 0.5 * q.scale**2).mean().item()
    assert value == pytest.approx(likelihood - kl / 1000, abs=0.05)  # sd .006 by the draws


def test_the_same_values_have_the_same_bound_whatever_the_loader_has_done_before():
    pair = Amortised()
    pair.slope.data.fill_(0.3)
    loader = DataLoader(X, batch_size=7, shuffle=True, generator=torch.Generator().manual_seed(1))
    objective = Objective(pair.model, pair.guide, TraceELBO())
    assert bound_per_row(objective, loader) == bound_per_row(objective, loader)


def overfitting(**options):
    """The training rows want another slope than the others: the validation bound rises, then falls."""
    pair = Amortised()
    pair.slope.data.fill_(-1.5)
    wrong = TensorDataset(3 * X)

    def model(x):
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 0.5 if len(x) == 40 else 3.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    loader = DataLoader(wrong, batch_size=8, shuffle=True)
    base = {"learning_rate": 0.02, "num_particles": 4, "seed": 0, "stop": None, "steps": 400, "schedule": "constant"}
    return fit(model, pair.guide, loader, **{**base, **options})


def test_a_run_stops_when_the_bound_gets_worse_and_keeps_the_best_values(tmp_path):
    best = tmp_path / "best.safetensors"
    result = overfitting(validation=Validation(X, every=10, patience=4, best=best))
    steps, bounds = result.validation[:-1].T
    top = int(bounds.argmax())
    assert 0 < top == len(bounds) - 5
    assert result.steps == steps[-1] < 400
    assert result.reason == (
        f"stopped at step {result.steps}: the validation bound has been best at step {steps[top]:.0f}; the values of "
        f"step {steps[top]:.0f}, the best on the validation data, are kept"
    )
    assert result.validation[-1].tolist() == [result.steps, bounds[top]]
    pair = Amortised()
    pyro.clear_param_store()
    kept = load_fit(best, result.model, pair.guide, X)
    assert kept.steps == steps[top]
    assert kept.validation[-1].tolist() == [steps[top], bounds[top]]
    assert torch.equal(kept.values["amortised$$$slope"], result.values["amortised$$$slope"])


def test_without_patience_the_run_goes_on():
    result = overfitting(validation=Validation(X, every=100, patience=None))
    assert result.steps == 400
    assert "the best on the validation data, are kept" in result.reason


def test_data_alone_are_checked_once_an_epoch_and_a_better_end_is_kept():
    pair = Amortised()
    pair.slope.data.fill_(0.0)
    options = {"learning_rate": 0.005, "num_particles": 4, "seed": 0, "stop": None}
    result = fit(pair.model, pair.guide, DataLoader(X, batch_size=8), epochs=8, validation=X, **options)
    assert result.validation[:8, 0].tolist() == [5, 10, 15, 20, 25, 30, 35, 40]
    assert "validation" not in result.reason


@pytest.mark.slow
def test_an_interrupted_run_checks_and_stops_as_one_that_was_not(tmp_path, monkeypatch):
    def validation(name):
        return Validation(DataLoader(X, batch_size=9, shuffle=True), every=10, patience=4, best=tmp_path / name)

    whole = overfitting(validation=validation("one"))
    original, taken, path = step.EagerStepper._step, [0], tmp_path / "run.safetensors"

    def dying(self, *args):
        taken[0] += 1
        if taken[0] > whole.steps - 13:
            raise KeyboardInterrupt
        return original(self, *args)

    options = {"checkpoint": path, "checkpoint_every": 15}
    with monkeypatch.context() as patch:
        patch.setattr(step.EagerStepper, "_step", dying)
        pyro.clear_param_store()
        with pytest.raises(FitInterrupted):
            overfitting(validation=validation("other"), **options)
    pyro.clear_param_store()
    again = overfitting(validation=validation("other"), resume=True, **options)
    assert again.validation.tolist() == whole.validation.tolist()
    assert (again.reason, again.bound) == (whole.reason, whole.bound)
    assert again.history.bound.tolist() == whole.history.bound.tolist()


@pytest.mark.parametrize("options", [{"every": 0}, {"patience": 1.5}, {"patience": True}])
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(OptionError, match=r"validation: (every|patience) must be a positive whole number or None"):
        Validation(X, **options)


def test_no_rows_and_bad_rows_are_refused():
    pair = Amortised()
    objective = Objective(pair.model, pair.guide, TraceELBO())
    with pytest.raises(DataError, match="validation: the data have no rows"):
        bound_per_row(objective, DataLoader(TensorDataset(X[:0]), batch_size=4))
    with pytest.raises(DataError, match=r"got nan at index \[3\]"):
        bound_per_row(objective, torch.where(torch.arange(40) == 3, torch.nan, X))


def test_of_several_starts_the_file_has_the_best_of_all(tmp_path, monkeypatch):
    """The first start begins where the validation bound is best, the second far away, and never gets there."""
    pair, best = Amortised(), tmp_path / "best.safetensors"
    monkeypatch.setattr(starts, "move_start", lambda *_: pair.slope.data.fill_(-3.0))
    options = {"num_particles": 4, "seed": 0, "stop": None, "steps": 20, "learning_rate": 1e-3, "restarts": 2}
    result = fit(pair.model, pair.guide, X, validation=Validation(X, every=5, best=best), **options)
    pyro.clear_param_store()
    kept = load_fit(best, pair.model, pair.guide, X)
    assert kept.values["amortised$$$slope"] == pytest.approx(0.5, abs=0.1)
    assert kept.validation[-1, 1] == result.validation[:, 1].max()
