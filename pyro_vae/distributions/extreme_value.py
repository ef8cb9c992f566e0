"""What the Gumbel distributions for maxima and for minima share: one is the other's mirror image."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.distributions.beta_functions import EULER
from pyro_vae.distributions.gamma_functions import in_double
from pyro_vae.distributions.noise import FromNoise, Noise
from pyro_vae.distributions.parameters import broadcast
from pyro_vae.errors import OptionError


class ExtremeValue(FromNoise):
    """loc - sign * scale * log E with E exponential: sign is 1 for maxima and -1 for minima."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    noise = Noise.EXPONENTIAL
    sign: ClassVar[int]

    def __init__(self, loc: Tensor | float, scale: Tensor | float, *, validate_args: bool | None = None):
        self.loc, self.scale = broadcast(loc=loc, scale=scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @classmethod
    def from_rate(cls, alpha: Tensor | float, beta: Tensor | float, *, validate_args: bool | None = None):
        """The distribution with loc = log(alpha) / beta and scale = 1 / beta; alpha and beta are positive."""
        alpha, beta = broadcast(alpha=alpha, beta=beta)
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not (value > 0).all():
                raise OptionError(
                    f"Expected parameter {name} (Tensor of shape {tuple(value.shape)}) of {cls.__name__}.from_rate "
                    f"to be positive, but found invalid values:\n{value}"
                )
        return cls(in_double(lambda a, b: a.log() / b, alpha, beta), beta.reciprocal(), validate_args=validate_args)

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """loc - sign * scale * log(noise); noise is Exponential(1)."""
        log_noise = self.scale * noise.log()
        return self.loc - log_noise if self.sign > 0 else self.loc + log_noise

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        # No terms of like size cancel here, as y - e^y <= -1: single precision does in single.
        y = ((self.loc - value) if self.sign > 0 else (value - self.loc)) / self.scale
        return y - y.exp() - self.scale.log()

    def _log_noise(self, value: Tensor, function) -> Tensor:
        """``function`` of the log of the noise that gives ``value``, in double precision."""
        return in_double(
            lambda value, loc, scale: function(self.sign * (loc - value) / scale), value, self.loc, self.scale
        )

    @property
    def mean(self) -> Tensor:
        """loc + sign * γ * scale, with γ = 0.5772, Euler's constant."""
        return self.loc + self.sign * EULER * self.scale

    @property
    def variance(self) -> Tensor:
        """π² scale² / 6."""
        return (math.pi**2 / 6) * self.scale * self.scale

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    def entropy(self) -> Tensor:
        """log(scale) + 1 + γ."""
        return self.scale.log() + (1 + EULER)


def kl_extreme_value(p, q, sign: int) -> Tensor:
    """KL between two distributions for maxima (sign 1) or two for minima (-1).

    With r the ratio of scales and d = sign * (q.loc - p.loc) / q.scale: Γ(1 + r) e^d - d - log r + γ r - 1 - γ.
    """

    def kl(p_loc, p_scale, q_loc, q_scale):
        ratio, shift = p_scale / q_scale, sign * (q_loc - p_loc) / q_scale
        return (shift + torch.lgamma(1 + ratio)).exp() - shift - ratio.log() + EULER * (ratio - 1) - 1

    return in_double(kl, p.loc, p.scale, q.loc, q.scale)
