"""A variational autoencoder of handwritten digits, fully connected or convolutional.

1797 images of 8 x 8 pixels, grey from 0 to 1, are written with a few numbers each:

.. math:: z \\sim N(0, I), \\qquad x_i \\sim \\text{Bernoulli}(\\sigma(f_\\theta(z)_i)), \\qquad
          q(z \\mid x) = N(\\mu_\\phi(x), \\operatorname{diag} \\sigma_\\phi(x)^2)

Grey is scored by the Bernoulli formula, :math:`x \\log p + (1 - x) \\log (1 - p)`. What that can be at best is known: a
decoder that gives every pixel its own grey reaches minus the pixels' binary entropies, and no bound lies above that. At
worst, a model without latents knows each pixel's mean, and reaches minus the entropies of those. A fit that is not well
above the second has learned nothing of the single digits.

Source: D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014. The data: E. Alpaydin, C. Kaynak,
"Optical recognition of handwritten digits", UCI machine learning repository (1998), as scikit-learn holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from pyro_vae import VAE

NETS = ("mlp", "conv")
LIKELIHOODS = ("bernoulli", "gaussian")
training = {"epochs": 50, "learning_rate": 1e-3}


def load() -> dict[str, Tensor]:
    """The images ``x`` ``[1797, 1, 8, 8]``, from 0 (white) to 1."""
    from sklearn.datasets import load_digits

    pixels, _ = load_digits(return_X_y=True)
    return {"x": torch.as_tensor(pixels, dtype=torch.get_default_dtype()).reshape(-1, 1, 8, 8) / 16}


def labels() -> Tensor:
    """Which digit each image is, ``[1797]``: for pictures, not for the model."""
    from sklearn.datasets import load_digits

    return torch.as_tensor(load_digits(return_X_y=True)[1])


def build(
    net: str = "mlp",
    latents: int = 8,
    hidden: int = 200,
    channels: tuple[int, int] = (32, 64),
    likelihood: str = "bernoulli",
    shape: tuple[int, ...] = (1, 8, 8),
    size: int | None = None,
) -> VAE:
    """The pair, with nets of one hidden layer (``"mlp"``, ``hidden`` wide) or of two convolutions (``"conv"``).

    ``likelihood``: ``"bernoulli"`` for pixels from 0 to 1, ``"gaussian"`` for any numbers. ``shape``: of one row, an
    image's channels, height and width. ``size``: how many rows there are in all, where it is trained on batches.
    """
    import pyro_vae as pv

    if likelihood not in LIKELIHOODS:
        raise pv.OptionError(f"likelihood: expected one of {', '.join(LIKELIHOODS)}, got {likelihood!r}.")
    latent = pv.vae.latents.Gaussian(latents)
    pixels = pv.vae.likelihoods.Bernoulli(shape) if likelihood == "bernoulli" else pv.vae.likelihoods.Gaussian(shape)
    if net == "mlp":
        encoder = pv.nets.MLP(shape, latent.num_parameters, (hidden,))
        decoder = pv.nets.MLP(latent.code_size, pixels.raw_shape, (hidden,))
    elif net == "conv":
        encoder = pv.nets.ConvEncoder(shape, latent.num_parameters, channels)
        decoder = pv.nets.ConvDecoder(latent.code_size, pixels.raw_shape, channels[::-1])
    else:
        raise pv.OptionError(f"net: expected one of {', '.join(NETS)}, got {net!r}.")
    return pv.VAE(encoder, decoder, latent, pixels, size=size)


if __name__ == "__main__":
    from torch.utils.data import DataLoader, TensorDataset

    import pyro_vae as pv

    x = load()["x"]
    vae = build("conv", size=len(x))
    batches = DataLoader(TensorDataset(x), batch_size=128, shuffle=True)
    pv.fit(vae.model, vae.guide, batches, epochs=50, learning_rate=1e-3, num_particles=1, seed=0)
    print(vae.log_evidence(x))
