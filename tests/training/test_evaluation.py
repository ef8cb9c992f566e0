"""The final bound: unbiased, with a standard error that holds, for every kind of estimator and data."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from pyro_vae.elbo import TraceELBO
from pyro_vae.estimators import IWAE, AnalyticKL, MovingAverage, Network, ScoreFunction
from pyro_vae.training import fit, load_fit
from pyro_vae.training.batches import Minibatches, WholeData
from pyro_vae.training.evaluation import evaluate
from pyro_vae.training.objective import Objective
from tests.pairs import PAIRS
from tests.training.programs import Y, exact, guide, model, rows_model

pair = {pair.name: pair for pair in PAIRS}


def exact_bound(loc=0.0, scale=0.5):
    """Evidence minus KL(N(loc, scale) || posterior) of ``model``."""
    mean, sd, evidence = exact()
    divergence = torch.distributions.kl_divergence(dist.Normal(loc, scale), dist.Normal(mean, sd))
    return evidence - divergence.item()


ELBOS = {
    "many particles": TraceELBO(num_particles=16),
    "one particle": TraceELBO(num_particles=1),
    "looped": TraceELBO(num_particles=16, vectorize=False),
    "closed form": TraceELBO(AnalyticKL(), num_particles=16),
    "score function": TraceELBO(ScoreFunction(baseline="leave-one-out"), num_particles=16),
}


@pytest.mark.parametrize("elbo", ELBOS.values(), ids=ELBOS.keys())
def test_is_the_bound_within_its_standard_error(elbo):
    # |z| > 4 has probability 6e-5 per case.
    found = evaluate(Objective(model, guide, elbo), WholeData(Y))
    assert abs(found.mean - exact_bound()) < 4 * found.error + 1e-3


def test_many_cheap_draws_make_the_error_small():
    # The log weight's variance is exact for Gaussians; 16 384 draws.
    found = evaluate(Objective(model, guide, TraceELBO(num_particles=16)), WholeData(Y))
    z = dist.Normal(0.0, 0.5).sample(torch.Size([20000]))
    log_w = dist.Normal(0.0, 2.0).log_prob(z) + dist.Normal(z[:, None], 1.0).log_prob(Y).sum(1)
    log_w = log_w - dist.Normal(0.0, 0.5).log_prob(z)
    assert found.error == pytest.approx(log_w.std().item() / math.sqrt(16_384), rel=0.05)


def test_an_importance_weighted_bound_keeps_its_k():
    found = evaluate(Objective(model, guide, TraceELBO(IWAE(), num_particles=8)), WholeData(Y))
    z = dist.Normal(0.0, 0.5).sample(torch.Size([40000, 8]))
    log_w = dist.Normal(0.0, 2.0).log_prob(z) + dist.Normal(z[..., None], 1.0).log_prob(Y).sum(-1)
    bound = ((log_w - dist.Normal(0.0, 0.5).log_prob(z)).logsumexp(1) - math.log(8)).mean().item()
    assert abs(found.mean - bound) < 4 * found.error + 0.05
    assert found.mean > exact_bound() + 1


def test_minibatches_add_up_to_the_bound_on_all_rows():
    rows = torch.cat([Y, Y + 1, Y - 0.5])[:17]
    loader = DataLoader(TensorDataset(rows), batch_size=5)
    whole = evaluate(Objective(lambda y: rows_model(y, 17), guide, TraceELBO(num_particles=64)), WholeData(rows))
    found = evaluate(
        Objective(lambda batch: rows_model(batch, 17), lambda batch: guide(batch), TraceELBO(num_particles=64)),
        Minibatches(loader),
    )
    assert abs(found.mean - whole.mean) < 4 * math.hypot(found.error, whole.error)


def test_a_subsampled_plates_error_counts_the_subsample():
    # The rows drawn are shared by all particles of an evaluation: single draws would make the error far too small.
    program, its_guide, args = pair["subsampled plate"].make()
    elbo = TraceELBO(num_particles=64)
    objective = Objective(program, its_guide, elbo)
    means = [evaluate(objective, WholeData(args)) for _ in range(6)]
    values = torch.tensor([found.mean for found in means])
    assert values.std() < 4 * means[0].error
    assert means[0].error > 0.02


@pytest.mark.parametrize("baseline", [MovingAverage(), Network((4,))], ids=["moving average", "network"])
def test_what_an_estimator_learns_is_fitted_saved_and_started_afresh(baseline, tmp_path):
    def coin(x):
        with pyro.plate("data", 3):
            z = pyro.sample("z", dist.Bernoulli(0.4))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def coin_guide(x):
        logits = pyro.param("logits", lambda: torch.zeros(3))
        with pyro.plate("data", 3):
            pyro.sample("z", dist.Bernoulli(logits=logits), infer={"baseline_input": x[:, None]})

    options = {"estimator": ScoreFunction(baseline=baseline), "num_particles": 4, "seed": 0, "steps": 30, "stop": None}
    x = torch.tensor([0.1, 0.9, 2.0])
    one = fit(coin, coin_guide, x, **options)
    path = one.save(tmp_path / "fit.safetensors")
    again = load_fit(path, coin, coin_guide, x, estimator=TraceELBO(options["estimator"], num_particles=4))
    for name, buffer in one.objective.buffers().items():
        assert torch.equal(again.objective.buffers()[name], buffer)
        assert buffer.abs().sum() > 0
    pyro.get_param_store().__delitem__("logits")
    other = fit(coin, coin_guide, x, **options)
    assert (one.history.bound == other.history.bound).all()


def test_a_draw_that_decodes_many_rows_is_not_taken_often(monkeypatch):
    """2000 rows of 50 numbers make 104 000 numbers per draw: some hundred draws are enough, and 16 384 were days."""
    x, taken = torch.zeros(2000, 50), [0]

    def model(x):
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            taken[0] += z.shape[0] if z.dim() > 1 else 1
            pyro.sample("x", dist.Normal(z.unsqueeze(-1), 1.0).expand([*z.shape, 50]).to_event(1), obs=x)

    def guide(x):
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.0, 0.14))

    found = evaluate(Objective(model, guide, TraceELBO(num_particles=1)), WholeData(x))
    assert 64 <= taken[0] < 500
    exact = torch.distributions.kl_divergence(dist.Normal(0.0, 0.14), dist.Normal(0.0, 1.0))
    each = -25 * math.log(2 * math.pi) - 25 * 0.14**2 - exact.item()
    assert abs(found.mean - 2000 * each) < 4 * found.error
    assert found.error < 0.001 * abs(found.mean)
