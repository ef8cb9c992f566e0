"""``Reader``: hands a model's run its latent values from flat vectors of real numbers. Called by ``density``."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyro_vae.errors import ModelError, OptionError
from pyro_vae.particles.data import Plate
from pyro_vae.particles.handlers import is_delta
from pyro_vae.potential.sites import LatentSite, bijection, read


class Reader:
    """Hands each latent site its value from unconstrained vectors ``[K, D]``, and adds up the log-Jacobians, ``[K]``.

    With one vector the sum is a scalar. ``width`` is the number of batch dims of plates and particles.

    ``given`` are values on the supports that go before those of the vector; ``free`` is the vector with their images.
    """

    def __init__(
        self,
        sites: tuple[LatentSite, ...],
        where: Mapping[str, slice],
        discrete: Collection[str],
        width: int,
        free: Tensor,
        given: Mapping[str, Any] | None = None,
    ):
        self.sites = {site.name: site for site in sites}
        self.where, self.discrete, self.width = where, discrete, width
        self.free = free.to(torch.get_default_dtype())
        self.given = given or {}
        self.values: dict[str, Tensor] = {}
        self.log_jacobian: Tensor | float = 0.0

    def __call__(self, name: str, fn: Distribution, plates: tuple[Plate, ...]) -> Tensor | None:
        site = self.sites.get(name)
        if site is None:
            if name in self.discrete or is_delta(fn):
                return None
            raise ModelError(f"Site '{name}' is not in every run of the model: sample it always, whatever the values.")
        if name in self.given:
            self.free = self.free.clone()
            self.free[:, self.where[name]] = _free_value(site, fn, self.given[name])
        value, log_jacobian = read(site, self.free[:, self.where[name]], fn, self.width)
        self.log_jacobian = self.log_jacobian + (log_jacobian.squeeze(0) if len(self.free) == 1 else log_jacobian)
        self.values[name] = value
        return value


def _free_value(site: LatentSite, fn: Any, given: Any) -> Tensor:
    """A value on the support as unconstrained numbers, ``[size]``."""
    value = torch.as_tensor(given, dtype=torch.get_default_dtype())
    try:
        value = value.expand(site.shape)
    except RuntimeError:
        raise OptionError(
            f"Value for site '{site.name}': expected shape {site.shape}, got {tuple(value.shape)}."
        ) from None
    shaped = value.reshape(fn.shape()) if math.prod(fn.shape()) == value.numel() else value
    if not bool(fn.support.check(shaped).all()):  # type: ignore[union-attr]
        raise OptionError(f"Value for site '{site.name}': expected values in {fn.support}, got {value.tolist()}.")
    return bijection(site.name, fn).inv(shaped).reshape(-1)
