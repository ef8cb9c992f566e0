"""A pair whose noise comes with its rows, so that a batch has one gradient however it is split; and fits of it.

As a program: ``torchrun -m tests.training.spread OUT '{"options of fit": ...}'`` fits and writes what came out.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import pyro_vae as pv
from pyro_vae.training.storage import write_tree

N = 60


class Given(dist.Normal):
    """A Normal whose draw is made of noise that is handed over."""

    def __init__(self, loc, scale, noise):
        super().__init__(loc, scale)
        self.noise = noise

    def expand(self, batch_shape, _instance=None):
        return Given(self.loc.expand(batch_shape), self.scale.expand(batch_shape), self.noise.expand(batch_shape))

    def rsample(self, sample_shape=()):
        return self.loc + self.scale * self.noise.expand(torch.Size(sample_shape) + self.noise.shape)


class Pair(nn.Module):
    """Two layers of parameters and a running mean, which both halves use."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.encoder = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 2))
        self.decoder = nn.Linear(1, 1)

    def model(self, x, noise):
        pyro.module("decoder", self.decoder)
        with pyro.plate("data", N, subsample=x):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(self.decoder(z[..., None])[..., 0], 0.5), obs=x)

    def guide(self, x, noise):
        pyro.module("encoder", self.encoder)
        with pyro.plate("data", N, subsample=x):
            loc, log_scale = self.encoder(x[:, None]).unbind(-1)
            pyro.sample("z", Given(loc, log_scale.exp(), noise))


def rows():
    """x and noise, each [N]."""
    generator = torch.Generator().manual_seed(5)
    return tuple(torch.randn(N, generator=generator, dtype=torch.float64) for _ in range(2))


def loader(batch_size, dtype=torch.float64):
    x, noise = rows()
    data = TensorDataset(x.to(dtype), noise.to(dtype))
    return DataLoader(data, batch_size, shuffle=True, generator=torch.Generator().manual_seed(2))


OPTIONS = {"num_particles": 1, "learning_rate": 0.01, "seed": 0, "stop": None, "schedule": "cosine"}


def spread_fit(batch_size, dtype=torch.float64, **options):
    """A fit on minibatches of this size."""
    pair = Pair().to(dtype)
    return pv.fit(pair.model, pair.guide, loader(batch_size, dtype), **{**OPTIONS, **options})


def outcome(result):
    """Everything that one fit can be compared with another by."""
    history = result.history
    return {
        "values": result.values,
        "history": torch.from_numpy(np.stack([history.bound, history.gradient_norm, history.elbo])),
        "bound": result.bound,
        "validation": result.validation.tolist(),
        "reason": result.reason,
    }


def main(out, options):
    options = json.loads(options)
    if options.pop("validate", False):
        options["validation"] = pv.Validation(loader(7), every=5, patience=None)
    result = spread_fit(fabric={"accelerator": "cpu", "devices": 2}, **options)
    rank = torch.distributed.get_rank()
    write_tree(f"{out}.{rank}", outcome(result))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
