"""Parameters seen from a Gaussian approximation of the posterior: what an optimiser moves is then of order one.

A location near -60 with a standard deviation of .01, or two with a correlation of -.99999, are as easy for it as any.
The values that a guide and a person see are the plain ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Transform, constraints, transform_to
from torch.distributions.constraints import Constraint

from pyro_vae.guides.approximation import approximate
from pyro_vae.guides.pathfinder import Gaussian


class Placed(Constraint):
    """A real vector ``[D]``, moved by an optimiser as u in x = centre + spread u; ``spread`` ``[D, D]`` or ``[D]``."""

    def __init__(self, centre: Tensor, spread: Tensor):
        super().__init__()
        self.centre, self.spread = centre, spread
        self.elementwise = spread.shape == centre.shape
        self.event_dim = 0 if self.elementwise else 1

    def check(self, value: Tensor) -> Tensor:
        """Every real number, and vectors of them."""
        real = value == value
        return real if self.elementwise else real.all(-1)


class Stretched(Constraint):
    """Scales, moved as u in spread exp u; or a ``cholesky`` factor: spread (strictly lower u + diag exp u)."""

    def __init__(self, spread: Tensor, *, cholesky: bool = False):
        super().__init__()
        self.spread, self.cholesky = spread, cholesky
        self.event_dim = 2 if cholesky else 0

    def check(self, value: Tensor) -> Tensor:
        """Whether its diagonal is positive."""
        return (torch.diagonal(value, dim1=-2, dim2=-1) > 0).all(-1) if self.cholesky else value > 0


class _Placing(Transform):
    bijective = True
    domain = constraints.real_vector
    codomain = constraints.real_vector

    def __init__(self, constraint: Placed):
        super().__init__()
        self.constraint = constraint

    def _call(self, x: Tensor) -> Tensor:
        centre, spread = self.constraint.centre.to(x.device), self.constraint.spread.to(x.device)
        return centre + (spread * x if self.constraint.elementwise else x @ spread.mT)

    def _inverse(self, y: Tensor) -> Tensor:
        centre, spread = self.constraint.centre.to(y.device), self.constraint.spread.to(y.device)
        if self.constraint.elementwise:
            return (y - centre) / spread
        return torch.linalg.solve_triangular(spread, (y - centre).unsqueeze(-1), upper=False).squeeze(-1)


class _Stretching(Transform):
    bijective = True
    domain = constraints.real
    codomain = constraints.real

    def __init__(self, constraint: Stretched):
        super().__init__()
        self.constraint = constraint

    def _call(self, x: Tensor) -> Tensor:
        spread = self.constraint.spread.to(x.device)
        if not self.constraint.cholesky:
            return spread * x.exp()
        return spread @ (x.tril(-1) + torch.diag_embed(torch.diagonal(x, dim1=-2, dim2=-1).exp()))

    def _inverse(self, y: Tensor) -> Tensor:
        spread = self.constraint.spread.to(y.device)
        if not self.constraint.cholesky:
            return (y / spread).log()
        relative = torch.linalg.solve_triangular(spread, y, upper=False)
        return relative.tril(-1) + torch.diag_embed(torch.diagonal(relative, dim1=-2, dim2=-1).log())


transform_to.register(Placed)(_Placing)
transform_to.register(Stretched)(_Stretching)


def approximation_of(guide: Any, args: tuple, kwargs: Mapping[str, Any], shapes: Mapping[str, Any]) -> Gaussian | None:
    """The approximation of the posterior of ``guide.source``, found as ``guide.how`` says; None where there is none."""
    if guide.how == "prior":
        return None
    (model,) = guide.source
    return approximate(model, args, kwargs, how=guide.how, shapes=shapes)
