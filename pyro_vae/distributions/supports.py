"""The supports that torch lacks: the open unit interval and the log-simplex.

The log-simplex has the vectors of logarithms of weights that sum to one.

A density on it is given with respect to Lebesgue measure on the log-ratios log w_k - log w_K, k < K. That is
symmetric in the coordinates, for two weights it is the logit scale of the first, and to unconstrain costs no Jacobian.
The density of w itself, with respect to Lebesgue measure on w_1 ... w_{K-1}, is this one divided by the product of all
K weights.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints, transform_to
from torch.distributions.transforms import SigmoidTransform, Transform


class _LogSimplex(constraints.Constraint):
    """Finite vectors whose exponentials sum to one."""

    event_dim = 1
    is_discrete = False

    def check(self, value: Tensor) -> Tensor:
        # In single precision the largest logarithm is rounded to about 1e-7, and with it the sum.
        return torch.isfinite(value).all(-1) & (value.logsumexp(-1).abs() < 1e-5)


log_simplex = _LogSimplex()


class _OpenUnitInterval(constraints.Constraint):
    """Numbers between 0 and 1, both left out: where a density may be 0 or infinite, no draw lies."""

    def check(self, value: Tensor) -> Tensor:
        return (value > 0) & (value < 1)


open_unit_interval = _OpenUnitInterval()


@biject_to.register(_OpenUnitInterval)
@transform_to.register(_OpenUnitInterval)
def _sigmoid(constraint: _OpenUnitInterval) -> SigmoidTransform:
    return SigmoidTransform()


class LogRatioTransform(Transform):
    """From K - 1 log-ratios r to K log-weights: (r, 0) - logsumexp(r, 0). Its log-Jacobian is 0, see the module."""

    domain = constraints.real_vector
    codomain = log_simplex
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LogRatioTransform)

    __hash__ = None  # type: ignore[assignment]

    def _call(self, x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x, (0, 1)).log_softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y[..., :-1] - y[..., -1:]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size((*shape[:-1], shape[-1] - 1))


@biject_to.register(_LogSimplex)
@transform_to.register(_LogSimplex)
def _log_ratios(constraint: _LogSimplex) -> LogRatioTransform:
    return LogRatioTransform()
