"""The linear autoencoder, which is probabilistic PCA: its evidence, noise, divergence and directions are known exactly.

1797 handwritten digits, 8 x 8 pixels from 0 to 1, as rows of 64 numbers. Prior, decoder and encoder are as simple as
they can be:

.. math:: z \\sim N(0, I_q), \\qquad x \\sim N(W z + b, \\sigma^2 I), \\qquad
          q(z \\mid x) = N(V x + c, \\operatorname{diag} s^2)

With :math:`\\lambda_1 \\ge \\lambda_2 \\ge \\dots` the eigenvalues of the data's covariance (over N), maximum
likelihood has b the mean, :math:`\\sigma^2` the mean of the eigenvalues beyond the q-th, and
:math:`W = U_q (\\Lambda_q - \\sigma^2 I)^{1/2} R` with any rotation R. The posterior of z has covariance
:math:`\\sigma^2 (W^\\top W + \\sigma^2 I)^{-1}`, the same for every x, which is diagonal only if the columns of W are
orthogonal: so the best bound, which is then the log evidence, is reached where the columns lie along the principal
components, and R is gone. There is no local optimum beside it, but the way is long: turning the two closest of ten
directions half a right angle costs .001 nats, so the bound is near its best long before the columns are.

Source: M. E. Tipping, C. M. Bishop, "Probabilistic principal component analysis", JRSS B 61 (1999); J. Lucas,
G. Tucker, R. Grosse, M. Norouzi, "Don't blame the ELBO! A linear VAE perspective on posterior collapse", NeurIPS 2019.
The data: E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI machine learning repository (1998),
as scikit-learn holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from pyro_vae import VAE

image = (1, 8, 8)  # what a row of pixels is
training = {"epochs": 100, "learning_rate": 0.01, "estimator": "analytic-kl"}


def load() -> dict[str, Tensor]:
    """The images ``x`` ``[1797, 64]``, pixels from 0 to 1."""
    from sklearn.datasets import load_digits

    pixels, _ = load_digits(return_X_y=True)
    return {"x": torch.as_tensor(pixels, dtype=torch.get_default_dtype()) / 16}


def build(latents: int = 10, features: int = 64, size: int | None = None) -> VAE:
    """The pair: q = ``latents`` numbers for ``features`` of a row; ``size`` rows in all, where trained on batches."""
    import pyro_vae as pv

    latent, likelihood = pv.vae.latents.Gaussian(latents), pv.vae.likelihoods.Gaussian(features, "shared")
    encoder = pv.nets.MLP(features, latent.num_parameters, hidden=())
    decoder = pv.nets.MLP(latent.code_size, likelihood.raw_shape, hidden=())
    return pv.VAE(encoder, decoder, latent, likelihood, size=size)


if __name__ == "__main__":
    import pyro_vae as pv

    vae, x = build(), load()["x"]
    fit = pv.fit(vae.model, vae.guide, x, estimator=pv.AnalyticKL(), num_particles=1, learning_rate=0.01, seed=0)
    print(f"{fit.bound / len(x):.3f} nats per digit; the log evidence of probabilistic PCA is 17.452.")
