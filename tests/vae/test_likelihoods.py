"""Every family of likelihoods: densities by hand, and data that cannot be."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal

from pyro_vae.errors import DataError, ModelError, OptionError
from pyro_vae.nets import MLP, SequenceDecoder
from pyro_vae.vae import likelihoods
from tests.vae.parts import LIKELIHOODS, SENTENCES, small_vae

every_likelihood = pytest.mark.parametrize("name", LIKELIHOODS)


@every_likelihood
def test_has_the_leading_dims_of_the_codes(name: str) -> None:
    case = LIKELIHOODS[name]
    likelihood = case.make()
    vae = small_vae(likelihood=likelihood)
    for lead in ((4,), (2, 4), (3, 2, 4)):
        p = vae.decode(torch.randn(*lead, 3))
        assert (p.batch_shape, p.event_shape) == (lead, likelihood.event_shape)
        assert p.log_prob(case.x).shape == lead
        assert p.sample().shape == likelihood.point(p).shape == (*lead, *likelihood.event_shape)


@every_likelihood
def test_its_own_draws_and_points_are_data_that_it_takes(name: str) -> None:
    vae = small_vae(likelihood=LIKELIHOODS[name].make())
    p = vae.decode(torch.randn(20, 3))
    vae.likelihood.check(p.sample())
    vae.likelihood.check(vae.likelihood.point(p))
    vae.likelihood.check(LIKELIHOODS[name].x)


@every_likelihood
def test_every_row_has_its_own_density(name: str) -> None:
    case = LIKELIHOODS[name]
    vae = small_vae(likelihood=case.make())
    z = torch.randn(4, 3)
    alone = [vae.decode(z[row : row + 1]).log_prob(case.x[row : row + 1]) for row in range(4)]
    torch.testing.assert_close(vae.decode(z).log_prob(case.x), torch.cat(alone))


def test_gaussian_scales() -> None:
    raw = torch.randn(4, 6)
    for scale, expected in ((0.3, 0.3), ("shared", 1.0), ("per_output", 1.0)):
        likelihood = likelihoods.Gaussian(6, scale)
        log_p = likelihood.given(lambda code: raw, torch.zeros(4, 1)).log_prob(torch.zeros(4, 6))
        torch.testing.assert_close(log_p, Normal(raw, expected).log_prob(torch.zeros(())).sum(-1))
    assert likelihoods.Gaussian((2, 3), "per_output").scale.shape == (2, 3)
    assert not list(likelihoods.Gaussian(6, 0.3).parameters())
    decoded = likelihoods.Gaussian(3, "decoded")
    p = decoded.given(lambda code: torch.cat([raw[:, :3], torch.zeros(4, 3)], -1), torch.zeros(4, 1))
    torch.testing.assert_close(p.mean, raw[:, :3])
    torch.testing.assert_close(p.stddev, torch.ones(4, 3))
    with pytest.raises(OptionError, match=r"^scale: "):
        _ = decoded.scale


def test_decoded_parameters_of_an_image_lie_in_its_channels() -> None:
    raw = torch.randn(5, 4, 2, 2)
    p = likelihoods.Gaussian((2, 2, 2), "decoded").given(lambda code: raw, torch.zeros(5, 1))
    torch.testing.assert_close(p.mean, raw[:, :2])
    classes = likelihoods.Categorical((1, 2, 2), 4).given(lambda code: raw, torch.zeros(5, 1))
    torch.testing.assert_close(classes.base_dist.probs[:, 0, 1, 1], raw[:, :, 1, 1].softmax(-1))


def test_bernoulli_takes_grey_as_a_cross_entropy() -> None:
    logits, x = torch.randn(4, 6), torch.rand(4, 6)
    log_p = likelihoods.Bernoulli(6).given(lambda code: logits, torch.zeros(4, 1)).log_prob(x)
    p = logits.sigmoid()
    torch.testing.assert_close(log_p, (x * p.log() + (1 - x) * (1 - p).log()).sum(-1))


def test_words_beyond_the_end_count_for_nothing() -> None:
    vae = small_vae(likelihood=likelihoods.Words(6, 9))
    z = torch.randn(3, 3)
    longer = torch.nn.functional.pad(SENTENCES[:3], (0, 3))
    torch.testing.assert_close(vae.decode(z).log_prob(SENTENCES[:3]), vae.decode(z).log_prob(longer))


def test_expanded_sentences_are_the_same() -> None:
    p = small_vae(likelihood=likelihoods.Words(6, 6)).decode(torch.randn(4, 3))
    torch.testing.assert_close(p.expand((2, 4)).log_prob(SENTENCES), p.log_prob(SENTENCES).expand(2, 4))
    assert p.sample((7,)).shape == (7, 4, 6)
    assert p.beam(3).shape == p.greedy().shape == (4, 6)


def real(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


NAN = float("nan")
BAD = {
    "beyond one": (likelihoods.Bernoulli(2), real([0, 1], [0.5, 1.5], [3, 0]), r"row 1, entry \[1\].*0 to 1.*got 1.5"),
    "below zero": (likelihoods.Bernoulli(2), real([0, 1], [0.5, 0.5], [-0.1, 0]), r"row 2, entry \[0\].*got -0.1"),
    "NaN": (likelihoods.Gaussian(2), real([0, 1], [0, NAN]), r"row 1, entry \[1\].*finite numbers, got nan"),
    "NaN among bits": (likelihoods.Bernoulli(2), real([NAN, 1]), "row 0.*got nan"),
    "infinite": (likelihoods.Gaussian(2, "decoded"), real([float("inf"), 1]), "row 0.*got inf"),
    "empty": (likelihoods.Gaussian(2), torch.zeros(0, 2), "at least one row"),
    "one row alone": (likelihoods.Gaussian(2), torch.zeros(2), r"got \(2,\). One row alone is x\[None\]"),
    "another size": (
        likelihoods.Bernoulli((1, 8, 8)),
        torch.zeros(3, 1, 28, 28),
        r"\[N, 1, 8, 8\], got \(3, 1, 28, 28\)",
    ),
    "not a tensor": (likelihoods.Gaussian(2), [[1.0, 2.0]], "got list"),
    "ragged": (likelihoods.Words(6, 6), [[2, 1], [2, 3, 1]], "got list. Pad sequences of different lengths"),
    "no such class": (likelihoods.Categorical(2, 3), torch.tensor([[0, 2], [3, 0]]), r"row 1.*classes 0 to 2, got 3"),
    "class not whole": (likelihoods.Categorical(2, 3), real([0.0, 1.0]), "torch.int64"),
    "unknown word": (likelihoods.Words(6, 6), torch.tensor([[2, 1], [6, 1]]), "row 1, position 0.*got 6"),
    "too long": (likelihoods.Words(6, 2), torch.tensor([[2, 1, 0], [2, 3, 1]]), "row 1.*at most 2 words"),
    "no end": (likelihoods.Words(6, 4), torch.tensor([[2, 1, 0], [2, 3, 2]]), "row 1.*END = 1 after the last word"),
    "empty sentence": (likelihoods.Words(6, 4), torch.tensor([[2, 1, 0], [0, 0, 0]]), "row 1 is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_name_the_row(name: str) -> None:
    likelihood, x, said = BAD[name]
    with pytest.raises(DataError, match=said):
        likelihood.check(x)


def test_decoders_that_do_not_fit_are_told_the_shape() -> None:
    with pytest.raises(ModelError, match=r"decoder: expected .*\(4, 6\).*got \(4, 5\).*raw_shape"):
        likelihoods.Gaussian(6).given(MLP(3, 5), torch.zeros(4, 3))
    with pytest.raises(ModelError, match="decoder: expected a SequenceDecoder"):
        likelihoods.Words(6, 4).given(MLP(3, 5), torch.zeros(4, 3))
    with pytest.raises(ModelError, match="decoder: expected a vocabulary of 6 words"):
        likelihoods.Words(6, 4).given(SequenceDecoder(3, 7), torch.zeros(4, 3))


@pytest.mark.parametrize("scale", [0.0, -1.0, "wide"])
def test_a_scale_that_cannot_be_is_named(scale) -> None:
    with pytest.raises(OptionError, match=r"^scale: .*shared, per_output, decoded, got"):
        likelihoods.Gaussian(6, scale)
