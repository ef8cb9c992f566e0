"""What is not in the catalogue, as Pyro programs: a subsampled regression, and the VAE beside the hand-written one."""

from __future__ import annotations

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from tests.benchmarks.contenders.networks import Decoder, Encoder


def subsampled_regression(x: Tensor, y: Tensor, batch: int) -> None:
    """Logistic regression on ``batch`` rows drawn anew at every step, standing for all."""
    with pyro.plate("column", x.shape[1]):
        beta = pyro.sample("beta", dist.Normal(0.0, 1.0))
    with pyro.plate("biopsy", x.shape[0], subsample_size=batch) as rows:
        pyro.sample("y", dist.Bernoulli(logits=beta @ x[rows].T), obs=y[rows])


def vae(encoder: Encoder, decoder: Decoder) -> tuple[Callable[[Tensor], None], Callable[[Tensor], None]]:
    """Model and guide of a VAE of binary images ``[batch, pixels]``."""

    def model(x: Tensor) -> None:
        pyro.module("decoder", decoder)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(decoder.latents), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", encoder)
        with pyro.plate("data", len(x)):
            loc, scale = encoder(x)
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))

    return model, guide
