"""One table of latents, likelihoods and priors, and small VAEs made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pyro_vae.nets import MLP, ConvDecoder, ConvEncoder, SequenceDecoder, SequenceEncoder
from pyro_vae.vae import VAE, latents, likelihoods, priors


@dataclass(frozen=True)
class LatentCase:
    """``event``: the shape of one z; ``kl``: whether a closed form is registered; ``reparameterised``, ``way``: whether
    draws have pathwise gradients, and whether one can go straight from one z to another."""

    make: Callable[[], latents.Latent]
    event: tuple[int, ...]
    kl: bool = True
    reparameterised: bool = True
    way: bool = True


LATENTS = {
    "gaussian": LatentCase(lambda: latents.Gaussian(3), (3,)),
    "one gaussian": LatentCase(lambda: latents.Gaussian(1), (1,)),
    "full gaussian": LatentCase(lambda: latents.FullGaussian(3), (3,)),
    "one full gaussian": LatentCase(lambda: latents.FullGaussian(1), (1,)),
    "flow": LatentCase(lambda: latents.Flow(3, hidden=8, context=4), (3,), kl=False),
    "bernoulli": LatentCase(lambda: latents.Bernoulli(3), (3,), reparameterised=False, way=False),
    "relaxed bernoulli": LatentCase(lambda: latents.Bernoulli(3, temperature=0.7), (3,), kl=False),
    "categorical": LatentCase(lambda: latents.Categorical(3), (3,), reparameterised=False, way=False),
    "categoricals": LatentCase(lambda: latents.Categorical(3, 2), (2, 3), reparameterised=False, way=False),
    "enumerated": LatentCase(lambda: latents.Categorical(3, enumerate=True), (3,), reparameterised=False, way=False),
    "relaxed categorical": LatentCase(lambda: latents.Categorical(3, temperature=0.7), (3,), kl=False),
    "relaxed categoricals": LatentCase(lambda: latents.Categorical(3, 2, temperature=0.7), (2, 3), kl=False),
    "dirichlet": LatentCase(lambda: latents.Dirichlet(3, concentration=0.5), (3,)),
    "stick-breaking": LatentCase(lambda: latents.StickBreaking(4, concentration=2.0), (4,)),
}


@dataclass(frozen=True)
class LikelihoodCase:
    """``x``: some rows it can take."""

    make: Callable[[], likelihoods.Likelihood]
    x: Tensor


SENTENCES = torch.tensor([[5, 3, 1, 0, 0, 0], [2, 2, 4, 2, 1, 0], [1, 0, 0, 0, 0, 0], [2, 3, 4, 5, 2, 3]])
REAL, UNIT = torch.randn(4, 6, generator=torch.Generator().manual_seed(1)), torch.linspace(0, 1, 24).reshape(4, 6)
LIKELIHOODS = {
    "gaussian": LikelihoodCase(lambda: likelihoods.Gaussian(6), REAL),
    "gaussian, fixed": LikelihoodCase(lambda: likelihoods.Gaussian(6, scale=0.3), REAL),
    "gaussian, per output": LikelihoodCase(lambda: likelihoods.Gaussian((2, 3), "per_output"), REAL.reshape(4, 2, 3)),
    "gaussian, decoded": LikelihoodCase(lambda: likelihoods.Gaussian((1, 2, 3), "decoded"), REAL.reshape(4, 1, 2, 3)),
    "bernoulli": LikelihoodCase(lambda: likelihoods.Bernoulli((1, 2, 3)), UNIT.reshape(4, 1, 2, 3)),
    "categorical": LikelihoodCase(lambda: likelihoods.Categorical((1, 2, 3), 4), (UNIT * 3).long().reshape(4, 1, 2, 3)),
    "words": LikelihoodCase(lambda: likelihoods.Words(6, 6), SENTENCES),
}
PRIORS: dict[str, Callable[[], priors.Prior]] = {
    "mixture": lambda: priors.GaussianMixture(3, 4),
    "vamp": lambda: priors.Vamp(UNIT[:3]),
    "flow": lambda: priors.AutoregressiveFlow(3, hidden=8),
}


def small_vae(
    latent: latents.Latent | None = None, likelihood: likelihoods.Likelihood | None = None, prior=None, **options
) -> VAE:
    """A VAE of rows of 6 numbers, images of 1 x 2 x 3, or sentences of 6 words."""
    latent, likelihood = latent or latents.Gaussian(3), likelihood or likelihoods.Bernoulli(6)
    size, codes = latent.num_parameters, latent.code_size
    if isinstance(likelihood, likelihoods.Words):
        encoder = SequenceEncoder(6, size, embedding_size=4, hidden_size=5)
        decoder = SequenceDecoder(codes, 6, embedding_size=4, hidden_size=5)
    elif len(likelihood.event_shape) == 3 and not isinstance(likelihood, likelihoods.Categorical):
        encoder = ConvEncoder(likelihood.event_shape, size, (4,))
        decoder = ConvDecoder(codes, likelihood.raw_shape, (4,))
    else:
        encoder = MLP(likelihood.event_shape, size, (8,))
        decoder = MLP(codes, likelihood.raw_shape, (8,))
    if isinstance(likelihood, likelihoods.Categorical):
        encoder = torch.nn.Sequential(AsReal(), encoder)
    return VAE(encoder, decoder, latent, likelihood, prior, **options)


class AsReal(torch.nn.Module):
    """Classes as numbers that a layer can read."""

    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.get_default_dtype())
