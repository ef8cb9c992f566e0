"""``GumbelMin``: the smallest of many, on the whole real line."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import register_kl

from pyro_vae.distributions.extreme_value import ExtremeValue, kl_extreme_value
from pyro_vae.distributions.gamma_functions import in_double
from pyro_vae.distributions.log_space import log1mexpexp


class GumbelMin(ExtremeValue):
    r"""The Gumbel distribution for minima: F(x) = 1 - exp(-e^z) with z = (x - loc) / scale.

    .. math:: \log p(x) = z - e^z - \log(\text{scale})

    A draw comes from exponential noise E: x = loc + scale log E. :meth:`from_rate` takes (α, β) of
    F(x) = 1 - exp(-e^(βx) / α), with mean (log α - γ) / β. -X is :class:`Gumbel` at -loc, and e^X is Weibull with
    scale e^loc and concentration 1/scale; exponential if scale is 1.

    Args:
        loc: the mode, ``[*batch]``.
        scale: positive, ``[*batch]``.

    Raises:
        ValueError: a scale that is not positive, or shapes that do not broadcast; names the argument and the value.

    Source: Gumbel, "Statistics of Extremes", 1958. SciPy's ``gumbel_l``.

    >>> d = GumbelMin.from_rate(torch.tensor(2.0), torch.tensor(1.0))
    >>> d.cdf(torch.tensor(0.0)) == -torch.expm1(torch.tensor(-0.5))
    tensor(True)
    """

    sign = -1

    def cdf(self, value: Tensor) -> Tensor:
        """P(X <= value), for any real value; 0 at -inf and 1 at inf."""
        return self._log_noise(value, lambda log_e: -torch.expm1(-log_e.exp()))

    def log_cdf(self, value: Tensor) -> Tensor:
        """log P(X <= value), about z far to the left."""
        return self._log_noise(value, log1mexpexp)

    def log_survival(self, value: Tensor) -> Tensor:
        """log P(X > value)."""
        return self._log_noise(value, lambda log_e: -log_e.exp())

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile loc + scale log(-log(1 - value)); -inf at 0 and inf at 1."""
        return in_double(lambda u, loc, scale: loc + scale * (-torch.log1p(-u)).log(), value, self.loc, self.scale)


register_kl(GumbelMin, GumbelMin)(lambda p, q: kl_extreme_value(p, q, -1))
