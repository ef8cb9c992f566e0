"""``LogisticNormal``: normal log-ratios, as weights on the simplex."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints, register_kl
from torch.nn.functional import pad

from pyro_vae.distributions.gamma_functions import LEAST, in_double
from pyro_vae.distributions.interior import exp_interior
from pyro_vae.distributions.noise import FromNoise, Noise
from pyro_vae.distributions.parameters import broadcast, vector


class LogisticNormal(FromNoise):
    r"""Weights whose log-ratios to the last one are independent normals.

    .. math:: x = \text{softmax}(z_1, \ldots, z_{K-1}, 0), \qquad z_k = \mu_k + \sigma_k \epsilon_k, \qquad
              p(x) = \prod_{k<K} N\!\left(\log \tfrac{x_k}{x_K}; \mu_k, \sigma_k\right) \bigl/ \prod_{k \le K} x_k

    Aitchison's. Torch's class of this name breaks sticks at normal logits instead, which is another distribution; one
    with K normals under the softmax (ProdLDA's) has a direction that changes nothing, and no density on the simplex in
    closed form. Each weight is put on the nearest positive float.

    Args:
        loc: μ, the means of the log-ratios, ``[*batch, K - 1]``.
        scale: σ > 0, their standard deviations, ``[*batch, K - 1]``.

    Raises:
        ValueError: a scale that is not positive, shapes that do not broadcast, or a loc without dimensions; names the
            argument and the value.

    Source: Aitchison and Shen, Biometrika 67, 1980.

    >>> d = LogisticNormal(torch.zeros(2), torch.ones(2))
    >>> d.event_shape, d.sample_from_noise(torch.zeros(2))
    (torch.Size([3]), tensor([0.3333, 0.3333, 0.3333]))
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "scale": constraints.independent(constraints.positive, 1),
    }
    support = constraints.simplex
    noise = Noise.NORMAL

    def __init__(self, loc: Tensor, scale: Tensor | float, *, validate_args: bool | None = None):
        self.loc, self.scale = broadcast(loc=vector(loc=loc), scale=scale)
        *batch, ratios = self.loc.shape
        super().__init__(torch.Size(batch), torch.Size((ratios + 1,)), validate_args=validate_args)

    def noise_shape(self, sample_shape: tuple[int, ...] = ()) -> torch.Size:
        """``[*sample_shape, *batch, K - 1]``."""
        return torch.Size((*sample_shape, *self.loc.shape))

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Weights ``[..., K]`` from standard normal noise, ``[..., K - 1]``."""
        return exp_interior(pad(self.loc + self.scale * noise, (0, 1)).log_softmax(-1))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)

        def density(x, loc, scale):
            log_x = (x + LEAST).log()
            z = (log_x[..., :-1] - log_x[..., -1:] - loc) / scale
            return -(z.square() / 2 + scale.log() + math.log(2 * math.pi) / 2).sum(-1) - log_x.sum(-1)

        return in_double(density, value, self.loc, self.scale)


@register_kl(LogisticNormal, LogisticNormal)
def _kl_logistic_normal(p: LogisticNormal, q: LogisticNormal) -> Tensor:
    """That of the normals: a divergence does not see a change of variables."""

    def kl(loc, scale, other_loc, other_scale):
        ratio = (scale / other_scale).square()
        shift = ((loc - other_loc) / other_scale).square()
        return ((ratio + shift - 1 - ratio.log()) / 2).sum(-1)

    return in_double(kl, p.loc, p.scale, q.loc, q.scale)
