"""Problems whose K-sample expectations can be summed exactly: over every tuple of states, or of quadrature nodes."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from pyro_vae.particles import Factor, Particles, Plate, Site

# -- a sigmoid belief network of two layers, z1 (2 bits) -> z2 (1 bit) -> x, small enough to enumerate all tuples ---

STATES = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)


def network() -> dict[str, Tensor]:
    numbers = {"q1": [0.4, -0.7], "q2": [0.3, 0.9, -0.5], "p1": [0.2, -0.1], "p2": [0.8, -0.6, 0.3], "px": [1.5, -0.4]}
    return {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in numbers.items()}


def table(params: dict[str, Tensor], states: Tensor) -> Particles:
    """Particles at given states, ``[K, 3]``: the guide draws z1, then z2 given z1."""
    z1, z2 = states[:, :2], states[:, 2]
    plate = (Plate("bits", 2, 2),)

    def factors(params: dict[str, Tensor]) -> dict[str, Factor]:
        px = Bernoulli(logits=params["px"][0] * (z2 + z1[:, 0]) + params["px"][1])
        return {
            "q1": Factor(Bernoulli(logits=params["q1"]).log_prob(z1), plate),
            "q2": Factor(Bernoulli(logits=params["q2"][0] + z1 @ params["q2"][1:]).log_prob(z2)),
            "p1": Factor(Bernoulli(logits=params["p1"]).log_prob(z1), plate),
            "p2": Factor(Bernoulli(logits=params["p2"][0] + z1 @ params["p2"][1:]).log_prob(z2)),
            "px": Factor(px.log_prob(torch.ones(len(z2)).double())),
        }

    live, frozen = factors(params), factors({name: value.detach() for name, value in params.items()})
    sites = {
        f"z{i}": Site(
            f"z{i}",
            value,
            log_p=live[f"p{i}"],
            log_q=live[f"q{i}"],
            log_p_frozen=frozen[f"p{i}"],
            log_q_frozen=frozen[f"q{i}"],
            reparameterised=False,
        )
        for i, value in ((1, z1), (2, z2))
    }
    sites["x"] = Site("x", torch.ones(()), log_p=live["px"], log_p_frozen=frozen["px"], observed=True)
    return Particles(sites, len(states))


# -- one Gaussian latent: expectations over the noise by Gauss-Hermite quadrature ----------------------------------


def gaussian(params: dict[str, Tensor], noise: Tensor, scale_q: float = 1.0) -> Particles:
    """Particles from given noise ``[K, rows]``: rows are a plate that every site shares. ``scale_q`` is a
    ``poutine.scale`` of the guide."""
    scale = params["log_scale"].exp()
    rows = (Plate("rows", noise.shape[1], noise.shape[1]),)
    z = params["loc"] + scale * noise

    def log_p(theta: Tensor) -> Tensor:
        return Normal(theta, 1.0).log_prob(z) + Normal(z, 0.9).log_prob(torch.tensor(1.3, dtype=z.dtype))

    site = Site(
        "z",
        z,
        log_p=Factor(log_p(params["theta"]), rows),
        log_q=Factor(Normal(params["loc"], scale).log_prob(z), rows, scale_q),
        log_p_frozen=Factor(log_p(params["theta"].detach()), rows),
        log_q_frozen=Factor(Normal(params["loc"].detach(), scale.detach()).log_prob(z), rows, scale_q),
    )
    return Particles({"z": site}, len(noise))


def gaussian_params(rows: int | None = None) -> dict[str, Tensor]:
    shape = () if rows is None else (rows,)
    numbers = {"loc": 0.3, "log_scale": -0.2, "theta": 0.5}
    return {name: torch.full(shape, value, dtype=torch.float64, requires_grad=True) for name, value in numbers.items()}


def pairs_of_nodes(count: int = 60) -> tuple[Tensor, Tensor]:
    """All pairs of Gauss-Hermite nodes, ``[2, count^2]``, and their probabilities."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    weights = weights / weights.sum()
    pairs = torch.tensor(list(itertools.product(nodes, repeat=2))).T.contiguous()
    return pairs, torch.tensor([a * b for a, b in itertools.product(weights, repeat=2)])
