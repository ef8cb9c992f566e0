"""A sigmoid belief network: layers of bits above bits, whose discrete gradients are what estimators are judged by.

.. math:: z_L \\sim \\text{Bernoulli}(\\tfrac12), \\qquad
          z_l \\mid z_{l+1} \\sim \\text{Bernoulli}(\\sigma(W_l z_{l+1} + b_l)), \\qquad
          x \\mid z_1 \\sim \\text{Bernoulli}(\\sigma(W_0 z_1 + b_0))

The guide goes the other way, :math:`q(z_1 \\mid x)\\, q(z_2 \\mid z_1) \\cdots`, each layer's log-odds linear in the
one below. No draw can be differentiated: the gradient is ``pv.DisARM()``'s, ``pv.VIMCO()``'s (with several particles),
that of ``pv.ScoreFunction(pv.Network())``, which is NVIL, or ``pv.RELAX()``'s. Up to some twenty bits the
log-likelihood is a sum over all states (``vae.log_likelihood(x)``), and no bound lies above it; a larger one is
``build(layers=(40, 20))``.

The data are bars: images of 4 x 4 pixels, in which every row and every column is black with probability 1/5, and then
every pixel is turned with probability 1/50. The best that any model can do on fresh images is to know this:
:func:`true_log_likelihood` sums over the 256 sets of bars.

Source: R. M. Neal, "Connectionist learning of belief networks", Artificial Intelligence 56 (1992); A. Mnih, K. Gregor,
"Neural variational inference and learning in belief networks", ICML 2014; the bars: P. Földiák, "Forming sparse
representations by local anti-Hebbian learning", Biological Cybernetics 64 (1990).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import constraints

import pyro_vae as pv

SIDE, BAR, TURNED = 4, 0.2, 0.02
PIXELS = SIDE * SIDE
image = (1, SIDE, SIDE)  # what a row of pixels is
training = {"epochs": 300, "batch_size": 100, "learning_rate": 0.02, "particles": 2, "estimator": "disarm"}
MOST_BITS = 20


class Bits(TorchDistribution):
    """Layers of bits side by side, each drawn given the one before it: ``first`` has log-odds ``[*batch, D]``."""

    arg_constraints: Any = {}  # type: ignore[assignment]
    support: Any = constraints.independent(constraints.boolean, 1)  # type: ignore[assignment]

    def __init__(self, first: Tensor, nets: Iterable[nn.Module], order: int):
        self.first, self.nets, self.order = first, list(nets), order
        self.sizes = [first.shape[-1], *(net.out_features for net in self.nets)]
        super().__init__(first.shape[:-1], torch.Size((sum(self.sizes),)), validate_args=False)

    def expand(self, batch_shape, _instance=None):
        """The same layers with their log-odds expanded to ``batch_shape``."""
        return Bits(self.first.expand(*batch_shape, -1), self.nets, self.order)

    def sample(self, sample_shape=()) -> Tensor:
        """Bits ``[*sample_shape, *batch, sum of the layers]``, the layer nearest to x first."""
        layers = [torch.bernoulli(self.first.expand(*sample_shape, *self.first.shape).sigmoid())]
        for net in self.nets:
            layers.append(torch.bernoulli(net(layers[-1]).sigmoid()))
        return torch.cat(layers[:: self.order], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of bits, the layer nearest to x first."""
        layers = value.split(self.sizes[:: self.order], -1)[:: self.order]
        log_p = _bits(self.first).log_prob(layers[0])
        for net, before, layer in zip(self.nets, layers, layers[1:], strict=False):
            log_p = log_p + _bits(net(before)).log_prob(layer)
        return log_p

    @property
    def mean(self) -> Tensor:
        """For a picture: each layer's probabilities given the rounded ones before it."""
        layers = [self.first.sigmoid()]
        for net in self.nets:
            layers.append(net(layers[-1].round()).sigmoid())
        return torch.cat(layers[:: self.order], -1)


def _bits(logits: Tensor) -> Any:
    return dist.Bernoulli(logits=logits).to_event(1)


class SigmoidBeliefNetwork(pv.VAE):
    """The layers as sites ``z1`` (next to x), ``z2`` ... of a model that draws from the top and a guide from below."""

    def __init__(self, layers: Sequence[int], pixels: int, size: int | None):
        up = [nn.Linear(below, above) for below, above in zip((pixels, *layers), layers, strict=False)]
        down = [nn.Linear(above, below) for below, above in pairwise(layers)]
        latent, likelihood = pv.vae.latents.Bernoulli(sum(layers)), pv.vae.likelihoods.Bernoulli(pixels)
        super().__init__(up[0], nn.Linear(layers[0], pixels), latent, likelihood, size=size, name="sbn")
        self.sizes, self.up, self.down = tuple(layers), nn.ModuleList(up[1:]), nn.ModuleList(down)

    def model(self, x: Tensor) -> None:
        """From the top layer down to the rows ``x``, which are observed."""
        with self._rows(x):
            z = pyro.sample(f"z{len(self.sizes)}", _bits(self.latent.zero.expand(self.sizes[-1])))
            for level in range(len(self.sizes) - 1, 0, -1):
                z = pyro.sample(f"z{level}", _bits(self.down[level - 1](z)))
            pyro.sample("x", _bits(self.decoder(z)), obs=x)

    def guide(self, x: Tensor) -> None:
        """From the rows ``x`` up."""
        with self._rows(x):
            below, net = x, self.encoder
            for level in range(1, len(self.sizes) + 1):
                infer: Any = {"baseline_input": x}
                below = pyro.sample(f"z{level}", _bits(net(below)), infer=infer)
                net = self.up[level - 1] if level < len(self.sizes) else net

    def prior(self) -> Bits:
        """p(z) of all layers side by side."""
        return Bits(self.latent.zero.expand(self.sizes[-1]), list(self.down)[::-1], order=-1)

    def encode(self, x: Tensor) -> Bits:
        """q(z | x) of all layers side by side."""
        return Bits(self.encoder(x), self.up, order=1)

    def decode(self, z: Tensor) -> Any:
        """p(x | z), which reads the first layer alone."""
        return self.likelihood.given(self.decoder, z[..., : self.sizes[0]])

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p of rows ``[N, 16]``, ``[N]``, by adding up all states of the network.

        Raises :class:`~pyro_vae.errors.OptionError` where there are more than 2^20 of them.
        """
        bits = sum(self.sizes)
        if bits > MOST_BITS:
            raise pv.OptionError(f"layers: expected at most {MOST_BITS} bits to add up all states of, got {bits}.")
        with torch.no_grad():
            states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=x.dtype)] * bits).reshape(-1, bits)
            prior, likelihood = self.prior().log_prob(states), self.decode(states)
            return torch.stack([(prior + likelihood.log_prob(row)).logsumexp(0) for row in x])


def bars() -> tuple[Tensor, Tensor]:
    """All sets of bars: their images ``[256, 16]`` and log-probabilities ``[256]``."""
    on = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * (2 * SIDE))
    image = torch.maximum(on[:, :SIDE].unsqueeze(2), on[:, SIDE:].unsqueeze(1)).flatten(1)
    return image, (on * math.log(BAR) + (1 - on) * math.log(1 - BAR)).sum(-1)


def images(n: int, seed: int) -> Tensor:
    """``n`` images ``[n, 16]`` of zeros and ones; give another seed than 0 for fresh ones."""
    generator = torch.Generator().manual_seed(seed)
    image, log_p = bars()
    drawn = image[torch.multinomial(log_p.exp(), n, replacement=True, generator=generator)]
    turned = torch.rand(drawn.shape, generator=generator) < TURNED
    return torch.where(turned, 1 - drawn, drawn).to(torch.get_default_dtype())


def true_log_likelihood(x: Tensor) -> Tensor:
    """log p of rows ``[N, 16]`` under what made them, ``[N]``."""
    image, log_p = (part.to(x.dtype) for part in bars())
    apart = torch.cdist(x, image, p=1)
    return (apart * math.log(TURNED) + (PIXELS - apart) * math.log(1 - TURNED) + log_p).logsumexp(-1)


def load() -> dict[str, Tensor]:
    """500 images of bars, ``x`` ``[500, 16]``."""
    return {"x": images(500, seed=0)}


def build(layers: tuple[int, ...] = (8,), features: int = PIXELS, size: int | None = None) -> SigmoidBeliefNetwork:
    """The pair, with so many bits per layer, the one next to x first, for images of ``features`` bits.

    ``size`` rows in all, if trained on batches.
    """
    if not layers or any(not isinstance(bits, int) or bits < 1 for bits in layers):
        raise pv.OptionError(f"layers: expected the number of bits of at least one layer, got {layers!r}.")
    return SigmoidBeliefNetwork(layers, features, size)


if __name__ == "__main__":
    from torch.utils.data import DataLoader, TensorDataset

    x = load()["x"]
    vae = build(size=len(x))
    options = {"estimator": pv.DisARM(), "num_particles": 2, "learning_rate": 0.02, "seed": 0}
    pv.fit(vae.model, vae.guide, DataLoader(TensorDataset(x), batch_size=100, shuffle=True), epochs=300, **options)
    print(
        f"bound {vae.log_evidence(x, K=1).value:.3f}, log-likelihood {vae.log_likelihood(x).mean():.3f} nats per image"
    )
    print(f"of what made the images: {true_log_likelihood(x).mean():.3f}")
