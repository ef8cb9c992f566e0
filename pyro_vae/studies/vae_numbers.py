"""A VAE's numbers on some rows, as arrays: torch in, NumPy out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyro_vae.vae.latents.base import Latent
from pyro_vae.vae.program import VAE
from pyro_vae.vae.terms import divergence

DRAWS = 8  # of z, for what is a mean over them
CODES = 64  # of z, for means of codes that have no closed form
_PAIRS = 500_000  # densities of one row's code under another's encoding, at once


@dataclass(frozen=True)
class Numbers:
    """``kl`` ``[N, C]`` by component; ``explained`` ``[N]`` is E_q log p(x | z); ``own`` and ``other`` ``[N]`` are
    log p(x | z) with one draw of the row's z and with one of another row's; ``means`` ``[N, D]`` of the code with the
    ``noise`` ``[D]`` of those that are means of draws; ``codes`` ``[N, D]``, a draw; ``prior_codes`` ``[2 N, D]``;
    ``log_q_all`` ``[N, N]``, ``log_p`` ``[N]`` of the same draws of z. Nats."""

    names: tuple[str, ...]
    exact: bool
    kl: np.ndarray
    explained: np.ndarray
    own: np.ndarray
    other: np.ndarray
    code_names: tuple[str, ...]
    means: np.ndarray
    noise: np.ndarray
    codes: np.ndarray
    prior_codes: np.ndarray
    log_q_all: np.ndarray
    log_p: np.ndarray

    @property
    def elbo(self) -> np.ndarray:
        """Of each row ``[N]``."""
        return self.explained - self.kl.sum(1)


@torch.no_grad()
def measure(vae: VAE, x: Tensor) -> Numbers:
    """Everything that encoder and decoder have to be asked once for. The caller sees to evaluation mode and seeds."""
    q, prior = vae.encode(x), vae.prior()
    z = q.sample((CODES,))
    found = divergence(q, prior, z)
    explained = [vae.decode(each).log_prob(x).double() for each in z[:DRAWS]]
    turned = torch.randperm(len(x), device=x.device)
    other = torch.empty_like(z[0])
    other[turned] = z[0][turned.roll(1)]
    means, noise = _mean_codes(vae.latent, q, z)
    return Numbers(
        names=found.names,
        exact=found.exact,
        kl=_array(found.kl),
        explained=_array(torch.stack(explained).mean(0)),
        own=_array(explained[0]),
        other=_array(vae.decode(other).log_prob(x)),
        code_names=tuple(f"z[{index}]" for index in range(means.shape[1])),
        means=means,
        noise=noise,
        codes=_array(vae.latent.code(z[0]).flatten(1)),
        prior_codes=_array(vae.latent.code(prior.sample((2 * max(len(x), 500),))).flatten(1)),
        log_q_all=_under_every_row(q, z[0]),
        log_p=_array(prior.log_prob(z[0])),
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()


def _mean_codes(latent: Latent, q: Any, z: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """E[code] of every row ``[N, D]``, and the variance that it has because it is a mean of draws ``[D]``."""
    if type(latent).code is Latent.code and tuple(q.event_shape) == (latent.code_size,):
        try:
            return _array(q.mean), np.zeros(latent.code_size)
        except NotImplementedError:  # a flow's own mean is not known
            pass
    codes = latent.code(z).flatten(2).double()
    return _array(codes.mean(0)), _array(codes.var(0).mean(0) / len(codes))


def _under_every_row(q: Any, z: Tensor) -> np.ndarray:
    """log q(z_m | x_n), ``[M, N]``."""
    at_once = max(1, _PAIRS // len(z))
    event = tuple(q.event_shape)
    parts = [
        q.log_prob(part.unsqueeze(1).expand(len(part), len(z), *event)).double().cpu() for part in z.split(at_once)
    ]
    return torch.cat(parts).numpy()
