"""Draws of a standard Gamma variable in log space, with their pathwise derivatives.

Torch's own sampler draws x itself. With concentration 1e-3, 92 % of all x are below the smallest float32 (and a half
below the smallest float64): it returns that smallest number, and everything built on it (Beta, Dirichlet) collapses.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyro_vae.distributions.closed_gradient import in_blocks
from pyro_vae.distributions.noise import Noise

_SMALL = -30.0  # below this log x, log F(x) = a log x - log Γ(a + 1) to working precision
# ψ(2 + a) for 0 <= a <= 1, within 1.1e-8; from the constant up
_DIGAMMA = (
    0.42278434647155494,
    0.6449326054995276,
    -0.20202561356981671,
    0.08206327605238621,
    -0.035839060432078136,
    0.01475753826971377,
    -0.004653631683317788,
    0.0007648821196700992,
)


def log_gamma_over_mean(concentration: Tensor) -> Tensor:
    r"""log(G / a) for G ~ Gamma(a, 1), one draw per entry of ``concentration``, differentiable in it once.

    With a >= 1 it is the log of torch's draw. With a < 1 the draw is boosted (Marsaglia and Tsang 2000) in log
    space, where nothing underflows:

    .. math:: \log G_a = \log G_{a+1} - E / a, \qquad E \sim \text{Exponential}(1)

    The gradient is the implicit one, that of the quantile function at the draw's own level (Figurnov, Mohamed and Mnih
    2018), and not that of the two factors, which is right on average but noisier:

    .. math:: \frac{d \log x}{da} = -\frac{\partial F(x; a) / \partial a}{x f(x; a)}

    It is torch's, which is within 1.2e-4 of the exact one, relative; for log x < -30, where torch's x would underflow,
    it is (ψ(a + 1) - log x) / a. The mean of a is taken off the log because log G alone would lose the digits of a
    narrow Gamma.
    """
    with torch.no_grad():
        a = concentration.detach()
        small = a < 1
        boosted = torch._standard_gamma(a + small)
        exponential = Noise.EXPONENTIAL.draw(a.shape, dtype=a.dtype, device=a.device)
        draw = boosted.div_(a).log_().sub_(exponential.div_(a).mul_(small))
    return _WithPathwiseGradient.apply(concentration, draw)  # type: ignore[return-value]


class _WithPathwiseGradient(torch.autograd.Function):
    """Hands a draw of log(G / a) on, and gives it its derivative by a."""

    generate_vmap_rule = True

    @staticmethod
    def forward(concentration: Tensor, draw: Tensor) -> Tensor:  # type: ignore[override]
        return draw.clone()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):  # type: ignore[override]
        a, draw = ctx.saved_tensors
        return in_blocks(_derivative, grad_output, a, draw), None


def _derivative(grad_output: Tensor, a: Tensor, draw: Tensor) -> Tensor:
    return grad_output * (_log_derivative(a, draw + a.log()) - a.reciprocal())


def _log_derivative(a: Tensor, log_x: Tensor) -> Tensor:
    """d log x / da with the level F(x; a) held."""
    x = log_x.clamp(min=_SMALL).exp_()
    unit = a.clamp(max=1.0)  # with log x < -30, a > 1 has probability 1e-13
    digamma = unit * _DIGAMMA[-1]
    for coefficient in reversed(_DIGAMMA[1:-1]):
        digamma.add_(coefficient).mul_(unit)
    digamma.add_(_DIGAMMA[0]).sub_(unit.add_(1).reciprocal_())
    far = digamma.sub_(log_x).div_(a)
    return torch.where(log_x < _SMALL, far, torch._standard_gamma_grad(a, x).div_(x))
