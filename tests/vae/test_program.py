"""``VAE`` as a pair of Pyro programs: densities, training with every estimator, its halves alone, bad data."""

from __future__ import annotations

import copy
import pickle

import pyro
import pytest
import torch
from pyro.infer import SVI
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import pyro_vae as pv
from pyro_vae.compiling import building
from pyro_vae.errors import DataError, ModelError, OptionError
from pyro_vae.nets import MLP
from pyro_vae.vae import VAE, latents, likelihoods, priors
from pyro_vae.vae.positive import unpositive
from tests.vae.parts import LATENTS, LIKELIHOODS, PRIORS, REAL, SENTENCES, UNIT, small_vae

PATHWISE = [
    pv.Reparameterized(),
    pv.AnalyticKL(),
    pv.StickingTheLanding(),
    pv.ClosedFormEntropy(),
    pv.IWAE(),
    pv.DReG(),
]
DISCRETE = [pv.ScoreFunction(), pv.ScoreFunction(pv.Network()), pv.DisARM(), pv.VIMCO(), pv.RELAX()]
EVERYWHERE = [pv.ScoreFunction("leave-one-out"), pv.WakeWake(), pv.WakeSleep()]


def suited(name: str) -> list:
    case = LATENTS[name]
    if name == "enumerated":
        return [pv.Reparameterized(), pv.AnalyticKL(), pv.ScoreFunction()]
    return (PATHWISE if case.reparameterised else DISCRETE) + EVERYWHERE


def estimate(vae: VAE, x: torch.Tensor, estimator, K: int = 3):
    return pv.TraceELBO(estimator, num_particles=K, vectorize=True).estimate(vae.model, vae.guide, x)


def fitted(vae: VAE, data, **options):
    options = {"steps": 3, "num_particles": 2, "seed": 0, "progress": False, "learning_rate": 0.01} | options
    return pv.fit(vae.model, vae.guide, data, **options)


@pytest.mark.parametrize("name", LATENTS)
def test_every_latent_trains_with_every_estimator_that_suits_it(name: str) -> None:
    """One gradient each, with the particles in one run: finite, and every part of the pair gets some."""
    for estimator in suited(name):
        vae = small_vae(LATENTS[name].make())
        loss = estimate(vae, UNIT, estimator).loss()
        assert torch.isfinite(loss)
        loss.backward()
        for part in (vae.encoder, vae.decoder):
            grads = [p.grad for p in part.parameters()]
            assert all(g is not None and bool(torch.isfinite(g).all()) for g in grads), estimator
            assert any(g.abs().sum() > 0 for g in grads), estimator


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_trains(name: str) -> None:
    case = LIKELIHOODS[name]
    vae = small_vae(likelihood=case.make())
    before = {key: value.clone() for key, value in vae.state_dict().items()}
    result = fitted(vae, case.x)
    assert torch.isfinite(torch.tensor(result.bound))
    moved = {key for key, value in vae.state_dict().items() if not torch.equal(value, before[key])}
    assert any(key.startswith("encoder") for key in moved)
    assert any(key.startswith("decoder") for key in moved)


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_trains_with_guide_and_model_apart(name: str) -> None:
    for estimator in (pv.Reparameterized(), pv.AnalyticKL(), pv.DReG(), pv.WakeSleep()):
        vae = small_vae(prior=PRIORS[name]())
        estimate(vae, UNIT, estimator).loss().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vae.learned_prior.parameters()), estimator


def test_the_bound_is_log_p_minus_log_q_of_the_guides_draws() -> None:
    vae = small_vae()
    particles = pv.draw(vae.model, vae.guide, (UNIT,), num_particles=5)
    z = particles["z"].value
    torch.testing.assert_close(particles["z"].log_p.log_prob, vae.prior().log_prob(z))
    torch.testing.assert_close(particles["z"].log_q.log_prob, vae.encode(UNIT).log_prob(z))
    torch.testing.assert_close(particles["x"].log_p.log_prob, vae.decode(z).log_prob(UNIT))


def test_with_a_size_a_batch_stands_for_all_rows() -> None:
    """The mean bound over the batches of an epoch is that of all rows, the smaller last batch included."""
    vae = small_vae(size=4)
    kl = pv.AnalyticKL()
    nn.init.zeros_(vae.decoder.layers[0].weight)  # the bound then has no noise
    whole = estimate(vae, UNIT, kl).bound
    batches = [estimate(vae, rows, kl).bound * len(rows) / 4 for rows in UNIT.split(3)]
    torch.testing.assert_close(sum(batches), whole)
    with pytest.raises(DataError, match=r"at most size=4 rows, got 8"):
        estimate(vae, UNIT.repeat(2, 1), kl)


@pytest.mark.parametrize("dataset", [UNIT, TensorDataset(UNIT)], ids=["tensor", "TensorDataset"])
def test_trains_from_a_data_loader(dataset) -> None:
    vae = small_vae(size=4)
    result = fitted(vae, DataLoader(dataset, batch_size=3, shuffle=True), steps=None, epochs=2)
    assert len(result.history.bound) == 4


def test_trains_with_plain_pyro() -> None:
    vae = small_vae()
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 0.01}), loss=pyro.infer.Trace_ELBO())
    losses = [svi.step(UNIT) for _ in range(100)]
    assert sum(losses[-20:]) < sum(losses[:20])


def test_a_second_vae_of_the_same_name_learns_its_own_parameters() -> None:
    first, second = small_vae(), small_vae()
    fitted(first, UNIT)
    kept = copy.deepcopy(first.state_dict())
    start = copy.deepcopy(second.state_dict())
    fitted(second, UNIT)
    assert not torch.equal(second.state_dict()["encoder.layers.0.weight"], start["encoder.layers.0.weight"])
    assert all(torch.equal(value, kept[key]) for key, value in first.state_dict().items())


def test_frozen_parts_stay_as_they_are() -> None:
    vae = small_vae()
    vae.decoder.requires_grad_(False)
    before = copy.deepcopy(vae.decoder.state_dict())
    fitted(vae, UNIT)
    assert all(torch.equal(value, before[key]) for key, value in vae.decoder.state_dict().items())


@pytest.mark.parametrize("name", LATENTS)
def test_its_halves_work_alone(name: str) -> None:
    vae = small_vae(LATENTS[name].make(), likelihoods.Gaussian(6))
    assert vae.encode(REAL).batch_shape == (4,)
    assert vae.generate(7).shape == vae.generate(7, noise=False).shape == (7, 6)
    assert vae.reconstruct(REAL).shape == (4, 6)
    assert torch.equal(vae.reconstruct(REAL), vae.reconstruct(REAL))
    assert not torch.equal(vae.reconstruct(REAL, noise=True), vae.reconstruct(REAL, noise=True))
    if not LATENTS[name].way:
        with pytest.raises(OptionError, match=r"^interpolate: there is no way between discrete latents"):
            vae.interpolate(REAL[:2], REAL[2:])
        return
    way = vae.interpolate(REAL[:2], REAL[2:], steps=5)
    assert way.shape == (5, 2, 6)
    torch.testing.assert_close(way[[0, -1]], torch.stack([vae.reconstruct(REAL[:2]), vae.reconstruct(REAL[2:])]))


def test_sentences_are_reconstructed_and_interpolated() -> None:
    vae = small_vae(likelihood=likelihoods.Words(6, 6))
    for words in (vae.generate(5), vae.reconstruct(SENTENCES), *vae.interpolate(SENTENCES[:2], SENTENCES[2:], 3)):
        vae.check_data(words)


def test_generated_rows_have_the_moments_of_the_model() -> None:
    """x = W z + b + noise exactly, so Cov x = W Wᵀ + σ² I; 20 000 rows, entries within 5 standard errors."""
    latent, likelihood = latents.Gaussian(2), likelihoods.Gaussian(3, 0.5)
    vae = VAE(MLP(3, 4, ()), MLP(2, 3, ()), latent, likelihood)
    W, b = vae.decoder.layers[0].weight.detach(), vae.decoder.layers[0].bias.detach()
    x = vae.generate(20_000)
    cov = W @ W.T + 0.25 * torch.eye(3)
    assert bool(((x.mean(0) - b).abs() < 5 * (cov.diag() / 20_000).sqrt()).all())
    spread = ((cov.diag().outer(cov.diag()) + cov**2) / 20_000).sqrt()
    assert bool(((x.T.cov() - cov).abs() < 5 * spread).all())


def exact_pair() -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """A linear VAE whose encoder is a little off, rows, and their exact log evidence."""
    torch.manual_seed(5)
    latent, likelihood = latents.Gaussian(1), likelihoods.Gaussian(2, 0.5)
    vae = VAE(MLP(2, 2, ()), MLP(1, 2, ()), latent, likelihood).double()
    W, b = vae.decoder.layers[0].weight.detach(), vae.decoder.layers[0].bias.detach()
    x = vae.generate(300)
    precision = 1 + 4 * (W.T @ W).item()
    with torch.no_grad():
        encoder = vae.encoder.layers[0]
        encoder.weight.copy_(torch.cat([0.8 * 4 * W.T / precision, torch.zeros(1, 2)]))
        encoder.bias.copy_(torch.tensor([(-4 * W.T @ b / precision).item(), unpositive(1.3 * precision**-0.5)]))
    exact = torch.distributions.MultivariateNormal(b, W @ W.T + 0.25 * torch.eye(2)).log_prob(x)
    return vae, x, exact


def test_log_evidence_rises_to_the_exact_one_and_knows_its_error() -> None:
    """4.5 standard errors of the K draws, with what is left of the bias at K = 4000 (below 1e-3 nats): 1e-5."""
    vae, x, exact = exact_pair()
    few, many = vae.log_evidence(x, K=2), vae.log_evidence(x, K=4000)
    assert few.value < many.value < exact.mean().item() + 4.5 * many.standard_error
    assert abs(many.value - exact.mean().item()) < 4.5 * many.standard_error + 1e-3
    assert (many.K, many.rows.shape) == (4000, (300,))
    assert many.population_error == pytest.approx(many.rows.std().item() / 300**0.5)
    assert "K = 4000, 300 rows" in str(many)


def test_the_standard_error_of_log_evidence_is_the_spread_of_repetitions() -> None:
    """40 repetitions: their sd within 45 % of the error, 4 of its own relative errors of 11 %."""
    vae, x, _ = exact_pair()
    values = torch.tensor([vae.log_evidence(x[:20], K=400).value for _ in range(40)])
    assert values.std().item() == pytest.approx(vae.log_evidence(x[:20], K=400).standard_error, rel=0.45)


def test_dropout_is_off_where_nothing_is_trained_and_on_again_after() -> None:
    latent, likelihood = latents.Gaussian(2), likelihoods.Gaussian(6)
    vae = VAE(nn.Sequential(nn.Dropout(0.5), MLP(6, 4)), MLP(2, 6), latent, likelihood)
    vae.decoder.eval()
    assert torch.equal(vae.reconstruct(REAL), vae.reconstruct(REAL))
    assert vae.training
    assert vae.encoder[0].training
    assert not vae.decoder.training


def test_parts_that_do_not_fit_are_named() -> None:
    latent, likelihood = latents.Gaussian(3), likelihoods.Bernoulli(6)
    with pytest.raises(OptionError, match=r"^latent: expected a Latent, got Bernoulli"):
        VAE(MLP(6, 6), MLP(3, 6), likelihood, latent)
    with pytest.raises(OptionError, match=r"^size: "):
        small_vae(size=0)
    short = VAE(MLP(6, 3), MLP(3, 6), latent, likelihood)
    with pytest.raises(
        ModelError, match=r"encoder: expected .*\(4, 6\).*got \(4, 3\).*latent.num_parameters, which is 6"
    ):
        fitted(short, UNIT)
    with pytest.raises(ModelError, match=r"decoder: expected .*raw_shape"):
        fitted(VAE(MLP(6, 6), MLP(3, 5), latent, likelihood), UNIT)
    with pytest.raises(OptionError, match=r"^prior: GaussianMixture .* no real numbers \(Dirichlet\)"):
        small_vae(latents.Dirichlet(3), prior=priors.GaussianMixture(3))
    with pytest.raises(OptionError, match=r"^prior: AutoregressiveFlow is one of 4 .* are 3 real numbers"):
        small_vae(latents.Gaussian(3), prior=priors.AutoregressiveFlow(4))


def test_bad_rows_are_named_before_training_starts() -> None:
    vae = small_vae()
    bad = UNIT.clone()
    bad[2, 1] = 1.5
    before = copy.deepcopy(vae.state_dict())
    for call in (
        lambda: fitted(vae, bad),
        lambda: vae.check_data(bad),
        lambda: vae.check_data(DataLoader(TensorDataset(bad), batch_size=2)),
        lambda: vae.check_data(DataLoader([{"x": row} for row in bad], batch_size=2)),
        lambda: vae.log_evidence(bad),
        lambda: vae.reconstruct(bad),
        lambda: vae.interpolate(UNIT, bad),
    ):
        with pytest.raises(DataError, match=r"row 2, entry \[1\]: expected numbers from 0 to 1.*got 1.5"):
            call()
    assert all(torch.equal(value, before[key]) for key, value in vae.state_dict().items())


def test_bad_rows_of_a_later_batch_are_named_before_training_or_in_a_stream_when_they_come(monkeypatch) -> None:
    bad = UNIT.repeat(6, 1)
    bad[19, 0] = -1.0
    with pytest.raises(DataError, match=r"row 19, entry \[0\].*got -1"):
        fitted(small_vae(size=len(bad)), DataLoader(bad, batch_size=2), steps=4)

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(bad)

    monkeypatch.setenv("PYRO_VAE_CACHE", "")
    monkeypatch.setattr(building, "inductor", lambda graph, inputs, **_: lambda arguments: graph(*arguments))
    for compile in (False, True):  # a compiled step runs no line of the model
        with pytest.raises(DataError, match=r"row 1, entry \[0\].*got -1"):
            fitted(small_vae(size=len(bad)), DataLoader(Stream(), batch_size=2), steps=30, compile=compile)


def test_rows_are_looked_at_again_when_they_were_changed() -> None:
    vae, x = small_vae(), UNIT.clone()
    vae.reconstruct(x)
    x[0, 0] = 7.0
    with pytest.raises(DataError, match="row 0"):
        vae.reconstruct(x)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (UNIT.double(), "expected torch.float32, as the nets are, got torch.float64"),
        (UNIT[:0], "at least one row"),
        (UNIT[0], "One row alone"),
        (UNIT.reshape(4, 2, 3), r"got \(4, 2, 3\)"),
    ],
)
def test_data_of_another_kind_are_refused(x: torch.Tensor, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fitted(small_vae(), x)


@pytest.mark.parametrize("name", LATENTS)
def test_one_row_is_enough(name: str) -> None:
    vae = small_vae(LATENTS[name].make())
    assert torch.isfinite(estimate(vae, UNIT[:1], suited(name)[0]).bound)
    assert vae.reconstruct(UNIT[:1]).shape == (1, 6)


def test_one_row_cannot_train_batch_normalisation() -> None:
    encoder = nn.Sequential(nn.BatchNorm1d(6), MLP(6, 6))
    vae = VAE(encoder, MLP(3, 6), latents.Gaussian(3), likelihoods.Bernoulli(6))
    with pytest.raises(DataError, match=r"a batch of one row.*drop_last=True"):
        fitted(vae, UNIT[:1])
    assert vae.eval().reconstruct(UNIT[:1]).shape == (1, 6)


def test_a_vae_can_be_copied() -> None:
    vae = small_vae()
    fitted(vae, UNIT)
    twin = copy.deepcopy(vae)
    torch.testing.assert_close(twin.reconstruct(UNIT), vae.reconstruct(UNIT))


@pytest.mark.parametrize("name", LATENTS)
def test_a_fitted_vae_can_be_pickled_and_goes_on_learning(name: str) -> None:
    vae = small_vae(LATENTS[name].make())
    options = {} if LATENTS[name].reparameterised else {"estimator": "score-function"}
    fitted(vae, UNIT, **options)
    again = pickle.loads(pickle.dumps(vae))
    assert [(key, value.tolist()) for key, value in again.state_dict().items()] == [
        (key, value.tolist()) for key, value in vae.state_dict().items()
    ]
    before = copy.deepcopy(vae.state_dict())
    fitted(vae, UNIT, **options)  # what Pyro hung on the parameters is there again when it is needed
    assert any(not torch.equal(before[key], value) for key, value in vae.state_dict().items())
