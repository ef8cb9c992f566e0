"""``LogNormal`` as the exponential of location plus scale times noise that can be drawn ahead."""

from __future__ import annotations

import math

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.distributions.gamma_functions import LEAST, in_double
from pyro_vae.distributions.interior import exp_interior
from pyro_vae.distributions.noise import FromNoise, Noise
from pyro_vae.distributions.normal import normal_cdf
from pyro_vae.distributions.parameters import broadcast


class LogNormal(FromNoise, dist.LogNormal):
    r"""The log-normal distribution, :math:`x = \exp(\mu + \sigma \epsilon)`: the exponential of a :class:`Normal`.

    .. math:: p(x) = \frac{1}{x \sigma \sqrt{2\pi}} e^{-(\log x - \mu)^2 / 2\sigma^2}

    Torch's own with ``sample_from_noise``; a draw that leaves the floats is put on the nearest positive one, where
    torch's is 0 or infinite. KL rules and the transformation to a normal are torch's.

    Args:
        loc: the mean μ of log x, ``[*batch]``.
        scale: the standard deviation σ > 0 of log x, ``[*batch]``.

    Raises:
        ValueError: a scale that is not positive, or shapes that do not broadcast; names the argument and the value.

    >>> LogNormal(torch.tensor(0.0), torch.tensor(50.0)).sample_from_noise(torch.tensor([-2.0, 0.0]))
    tensor([1.1755e-38, 1.0000e+00])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    noise = Noise.NORMAL

    def __init__(self, loc: Tensor | float, scale: Tensor | float, *, validate_args: bool | None = None):
        dist.LogNormal.__init__(self, *broadcast(loc=loc, scale=scale), validate_args=validate_args)

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its parameters expanded to ``batch_shape``."""
        return dist.LogNormal.expand(self, batch_shape, self._get_checked_instance(LogNormal, _instance))

    def draw_noise(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh noise ``[*sample_shape, *batch]``, in the parameters' dtype and on their device."""
        return self.noise.draw(self.noise_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch]``, without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Draws from standard normal noise, ``[...]``."""
        return exp_interior(self.loc + self.scale * noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)

        def density(x, loc, scale):
            log_x = (x + LEAST).log()
            return -((log_x - loc) / scale).square() / 2 - scale.log() - math.log(2 * math.pi) / 2 - log_x

        return in_double(density, value, self.loc, self.scale)

    def cdf(self, value: Tensor) -> Tensor:
        """P(X <= value)."""
        if self._validate_args:
            self._validate_sample(value)
        return normal_cdf((value.log() - self.loc) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at a probability, ``[*batch]``."""
        return (self.loc + self.scale * torch.special.ndtri(value)).exp()
