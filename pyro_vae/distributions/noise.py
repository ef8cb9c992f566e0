"""Draws as a function of parameters and of noise that does not depend on them.

A compiled fit draws the noise of many steps at once and passes it in; a test passes the noise that it wants.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from pyro_vae.distributions.parameters import expand_parameters, parameter_names


class Noise(enum.Enum):
    """The standard distribution that every entry of a noise tensor follows, independently."""

    EXPONENTIAL = "the exponential with rate 1; dense near 0 and never 0, so that a tail on either side is reached"
    NORMAL = "the normal with mean 0 and standard deviation 1"
    UNIFORM = "the uniform on (0, 1), its ends left out"

    def draw(self, shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Fresh noise of ``shape`` from torch's generator."""
        if self is Noise.NORMAL:
            return torch.randn(shape, dtype=dtype, device=device)
        # 53 random bits reach as far on either side as any draw will; the 24 of a float32 end at 1e-7. A device
        # without float64 (Apple's) does with those.
        wide = dtype if device.type == "mps" else torch.float64
        uniform = torch.rand(shape, dtype=wide, device=device).clamp_(min=torch.finfo(wide).eps / 4)
        if self is Noise.EXPONENTIAL:
            # A quarter of the time of torch's exponential_, of which no float64 is left over either.
            return uniform.log_().neg_().to(dtype)
        return uniform.to(dtype).clamp(max=1 - torch.finfo(dtype).eps / 2)


class FromNoise(TorchDistribution):
    """A distribution whose draw is ``sample_from_noise(noise)``, differentiable in the parameters.

    A subclass sets ``arg_constraints``, ``support`` and ``noise``, assigns its parameters before it calls
    ``super().__init__``, and writes ``sample_from_noise`` and ``log_prob``. Where a draw takes more noise than it has
    entries, it overrides ``noise_shape``. ``expand``, ``rsample`` and the dtype and device of the noise are here.
    """

    if TYPE_CHECKING:
        # Torch declares these two as properties, and every distribution sets them as attributes.
        arg_constraints: Any
        support: Any
    has_rsample = True
    noise: ClassVar[Noise]

    def noise_shape(self, sample_shape: tuple[int, ...] = ()) -> torch.Size:
        """The shape of the noise for draws of ``sample_shape``: ``[*sample_shape, *batch_shape, *event_shape]``."""
        return self._extended_shape(torch.Size(sample_shape))

    def draw_noise(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh noise for draws of ``sample_shape``, in the parameters' dtype and on their device."""
        like = getattr(self, parameter_names(self)[0])
        return self.noise.draw(self.noise_shape(sample_shape), dtype=like.dtype, device=like.device)

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """The draws that ``noise`` gives; gradients flow to the parameters."""
        raise NotImplementedError

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape, *event_shape]``, through which gradients flow."""
        return self.sample_from_noise(self.draw_noise(sample_shape))

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its parameters expanded to ``batch_shape``."""
        return expand_parameters(self, batch_shape, _instance)
