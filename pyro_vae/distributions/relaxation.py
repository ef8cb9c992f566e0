"""What the relaxations of discrete variables share: their parameters, and a draw in log space from exponential noise.

Both write a discrete variable as a comparison of noisy scores, and divide the scores by a temperature: as it falls to
0 the draws go to the corners of the simplex, and their logarithms or logits to infinity like its inverse.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import lazy_property

from pyro_vae.distributions.noise import FromNoise, Noise
from pyro_vae.distributions.parameters import broadcast, vector
from pyro_vae.errors import OptionError


class CategoricalRelaxation(FromNoise):
    """A distribution with a temperature and the probabilities of K classes, given as ``probs`` or as ``logits``.

    ``temperature`` broadcasts against ``logits`` as it does in torch: one number, or ``[*batch, 1]``.
    """

    arg_constraints = {
        "temperature": constraints.independent(constraints.positive, 1),
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    noise = Noise.EXPONENTIAL

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        *,
        validate_args: bool | None = None,
    ):
        name, given = one_of(probs, logits)
        given = vector(**{name: given})
        temperature = torch.as_tensor(temperature, dtype=given.dtype, device=given.device)
        if temperature.dim() > 0 and temperature.shape[-1] != 1:
            raise OptionError(
                f"Expected parameter temperature as one number or of shape [*batch, 1], but found the shape "
                f"{tuple(temperature.shape)}: write temperature.unsqueeze(-1) for one temperature per row"
            )
        broadcast(temperature=temperature, **{name: given})  # an error that says so, where they do not
        batch_shape = torch.broadcast_shapes(temperature.shape[:-1], given.shape[:-1])
        self.temperature = temperature.expand(*batch_shape, 1)
        setattr(self, name, given.expand(*batch_shape, given.shape[-1]))
        super().__init__(batch_shape, given.shape[-1:], validate_args=validate_args)

    @lazy_property
    def probs(self) -> Tensor:
        """The probabilities of the classes, ``[*batch, K]``."""
        return self.logits.softmax(-1)

    @lazy_property
    def logits(self) -> Tensor:
        """The log-probabilities of the classes up to a constant, ``[*batch, K]``."""
        return self.probs.clamp(min=torch.finfo(self.probs.dtype).tiny).log()

    def log_weights(self, noise: Tensor) -> Tensor:
        """The logarithms of the relaxed weights: log-softmax of (logits + Gumbel) / temperature, ``[..., K]``."""
        return ((self.logits - noise.log()) / self.temperature).log_softmax(-1)


class BernoulliRelaxation(FromNoise):
    """A distribution with a temperature and the probability of a one, given as ``probs`` or as ``logits``."""

    arg_constraints = {
        "temperature": constraints.positive,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    noise = Noise.EXPONENTIAL

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        *,
        validate_args: bool | None = None,
    ):
        name, given = one_of(probs, logits)
        self.temperature, given = broadcast(temperature=temperature, **{name: given})
        setattr(self, name, given)
        super().__init__(given.shape, validate_args=validate_args)

    @lazy_property
    def probs(self) -> Tensor:
        """The probability of a one, ``[*batch]``."""
        return self.logits.sigmoid()

    @lazy_property
    def logits(self) -> Tensor:
        """The log-odds of a one, ``[*batch]``."""
        probs = self.probs.clamp(torch.finfo(self.probs.dtype).tiny, 1 - torch.finfo(self.probs.dtype).eps / 2)
        return probs.log() - torch.log1p(-probs)

    def relaxed_logit(self, noise: Tensor) -> Tensor:
        """The logit of the relaxed variable: (logits + logistic noise) / temperature, ``[...]``."""
        logistic = noise + (-torch.expm1(-noise)).log()
        return (self.logits + logistic) / self.temperature


def one_of(probs, logits) -> tuple[str, Tensor]:
    """The name and value of whichever is given; ``OptionError`` (a ``ValueError``) if not exactly one is."""
    if (probs is None) == (logits is None):
        raise OptionError("Expected either probs or logits, but found " + ("neither" if probs is None else "both"))
    return ("logits", logits) if probs is None else ("probs", probs)
