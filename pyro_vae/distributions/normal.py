"""``Normal`` as location plus scale times noise that can be drawn ahead."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_vae.distributions.noise import FromNoise, Noise
from pyro_vae.distributions.parameters import broadcast


class Normal(FromNoise, dist.Normal):
    r"""The normal distribution, :math:`x = \mu + \sigma \epsilon`.

    .. math:: p(x) = \frac{1}{\sigma \sqrt{2\pi}} e^{-(x - \mu)^2 / 2\sigma^2}

    Torch's own with ``sample_from_noise``; the density, moments and KL rules are torch's. ``cdf`` holds in the left
    tail, where torch's, ½ (1 + erf), is exactly 0 from -5.9 standard deviations on in float32.

    Args:
        loc: the mean μ, ``[*batch]``.
        scale: the standard deviation σ > 0, ``[*batch]``.

    Raises:
        ValueError: a scale that is not positive, or shapes that do not broadcast; names the argument and the value.

    >>> Normal(torch.tensor(1.0), torch.tensor(2.0)).sample_from_noise(torch.tensor([0.0, -1.0]))
    tensor([ 1., -1.])
    """

    noise = Noise.NORMAL

    def __init__(self, loc: Tensor | float, scale: Tensor | float, *, validate_args: bool | None = None):
        dist.Normal.__init__(self, *broadcast(loc=loc, scale=scale), validate_args=validate_args)

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Draws from standard normal noise, ``[...]``."""
        return self.loc + self.scale * noise

    def cdf(self, value: Tensor) -> Tensor:
        """P(X <= value)."""
        if self._validate_args:
            self._validate_sample(value)
        return normal_cdf((value - self.loc) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at a probability, ``[*batch]``."""
        return self.loc + self.scale * torch.special.ndtri(value)


def normal_cdf(z: Tensor) -> Tensor:
    """P(Z <= z) for a standard normal Z, also far to the left."""
    return torch.special.log_ndtr(z).exp()
