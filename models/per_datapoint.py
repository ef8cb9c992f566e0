"""What an encoder costs: q(z) learned for every datapoint by itself, beside q(z | x) from a net.

The decoder is known and held fixed: two hidden numbers, bent by a small net with weights from seed 0, make eight
measurements,

.. math:: z \\sim N(0, I_2), \\qquad x \\sim N(B \\tanh(A z + a), \\sigma^2 I_8).

The guide is :math:`q(z) = N(\\mu_n, \\operatorname{diag} s_n^2)`, with numbers of their own for every row n
(``build("table")``, stochastic variational inference) or from a net that they share (``build("mlp", hidden=(8,))``,
amortised). With :math:`\\mathcal L^*` the bound of the first at its optimum and :math:`\\mathcal L` that of the second,

.. math:: \\log p(x) - \\mathcal L = \\underbrace{\\log p(x) - \\mathcal L^*}_{\\text{approximation gap}}
          + \\underbrace{\\mathcal L^* - \\mathcal L}_{\\text{amortisation gap}}

and neither gap is negative. All three are known here: z has two dimensions, so log p(x) is a sum over a grid
(:func:`log_likelihood`). A larger encoder closes the amortisation gap; only a richer family closes the other.

Source: C. Cremer, X. Li, D. Duvenaud, "Inference suboptimality in variational autoencoders", ICML 2018; M. D. Hoffman,
D. M. Blei, C. Wang, J. Paisley, "Stochastic variational inference", JMLR 14 (2013).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import pyro_vae as pv

LATENTS, MEASUREMENTS, WIDTH, NOISE = 2, 8, 8, 0.3
GUIDES = ("table", "mlp")
training = {"epochs": 200, "batch_size": 200, "learning_rate": 0.02, "estimator": "analytic-kl", "particles": 4}


class Table(nn.Module):
    """An encoder without a net: each row of the data has parameters of its own.

    Raises :class:`~pyro_vae.errors.DataError` naming a row that is not among the data.
    """

    data: Tensor

    def __init__(self, data: Tensor, out: int):
        super().__init__()
        self.register_buffer("data", data, persistent=False)
        self.parameters_of_rows = nn.Parameter(torch.zeros(len(data), out))

    def forward(self, x: Tensor) -> Tensor:
        """``[N, *event]`` -> ``[N, out]``."""
        if x is self.data:
            return self.parameters_of_rows
        same = (x.flatten(1).unsqueeze(1) == self.data.flatten(1)).all(-1)
        unknown = (~same.any(-1)).nonzero().flatten().tolist()
        if unknown:
            raise pv.DataError(
                f"x: row {unknown[0]} is not among the {len(self.data)} rows that have parameters of their own. A new "
                "row needs a fit of its own, or an encoder."
            )
        return self.parameters_of_rows[same.int().argmax(-1)]


def true_decoder() -> nn.Module:
    """The net that makes the data, the same at every call; its parameters do not learn."""
    generator = torch.Generator().manual_seed(0)
    net = pv.nets.MLP(LATENTS, MEASUREMENTS, (WIDTH,), nn.Tanh)
    for parameter in net.parameters():
        fan_in = parameter.shape[-1] if parameter.dim() == 2 else 1
        parameter.requires_grad_(False).copy_(
            torch.randn(parameter.shape, generator=generator) * (1.5 / math.sqrt(fan_in))
        )
    return net


def load() -> dict[str, Tensor]:
    """200 rows of measurements, ``x`` ``[200, 8]``."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(200, LATENTS, generator=generator)
    noise = torch.randn(200, MEASUREMENTS, generator=generator)
    with torch.random.fork_rng(devices=[]):
        return {"x": (true_decoder()(z) + NOISE * noise).to(torch.get_default_dtype())}


def log_likelihood(x: Tensor, nodes: int = 200) -> Tensor:
    """log p of rows ``[N, 8]``, ``[N]``, summed over a grid of ``nodes`` squared values of z between -6 and 6."""
    line = torch.linspace(-6, 6, nodes, dtype=x.dtype)
    z = torch.cartesian_prod(line, line)
    log_prior = -0.5 * z.square().sum(-1) - math.log(2 * math.pi)
    log_p = -0.5 * (torch.cdist(x, true_decoder().to(x.dtype)(z)) / NOISE) ** 2 + log_prior
    log_cell = 2 * math.log(12 / (nodes - 1))
    return log_p.logsumexp(-1) + log_cell - MEASUREMENTS * math.log(NOISE * math.sqrt(2 * math.pi))


def build(guide: str = "mlp", hidden: tuple[int, ...] = (32,), size: int | None = None) -> pv.VAE:
    """The pair, with an encoder whose hidden layers have these widths, or a ``"table"`` without one."""
    latent, likelihood = pv.vae.latents.Gaussian(LATENTS), pv.vae.likelihoods.Gaussian(MEASUREMENTS, NOISE)
    if guide == "table":
        encoder: nn.Module = Table(load()["x"], latent.num_parameters)
    elif guide == "mlp":
        encoder = pv.nets.MLP(MEASUREMENTS, latent.num_parameters, hidden, nn.Tanh)
    else:
        raise pv.OptionError(f"guide: expected one of {', '.join(GUIDES)}, got {guide!r}.")
    return pv.VAE(encoder, true_decoder(), latent, likelihood, size=size)


def bound(vae: pv.VAE, x: Tensor, draws: int = 500) -> float:
    """The ELBO per row, its KL in closed form and the rest from ``draws`` draws of seed 0 per row."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        q = vae.encode(x)
        fit = vae.decode(q.rsample((draws,))).log_prob(x).mean(0)
        return (fit - torch.distributions.kl_divergence(q, vae.prior().expand(q.batch_shape))).mean().item()


def fitted(x: Tensor, guide: str, hidden: tuple[int, ...] = (), steps: int = 1500) -> pv.VAE:
    """A VAE of this program, trained on all rows at once from seed 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = build(guide, hidden)
    options = {"estimator": pv.AnalyticKL(), "num_particles": 4, "learning_rate": 0.02, "seed": 0, "progress": False}
    pv.fit(vae.model, vae.guide, x, steps=steps, **options)
    return vae


if __name__ == "__main__":
    x = load()["x"]
    exactly, best = log_likelihood(x).mean().item(), bound(fitted(x, "table"), x)
    print(
        f"log p(x) {exactly:.3f}; q(z) of each datapoint {best:.3f}: an approximation gap of {exactly - best:.3f} nats"
    )
    for hidden in ((), (4,), (16,), (64,)):
        amortised = bound(fitted(x, "mlp", hidden), x)
        print(f"encoder with hidden layers {hidden!s:6} {amortised:.3f}: an amortisation gap of {best - amortised:.3f}")
