"""``LogStickBreaking``: the logarithms of weights that are broken off a stick, one after the other."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints, kl_divergence, register_kl
from torch.nn.functional import logsigmoid, pad

from pyro_vae.distributions.logit_beta import LogitBeta
from pyro_vae.distributions.noise import Noise
from pyro_vae.distributions.parameters import broadcast, widen
from pyro_vae.distributions.supports import log_simplex
from pyro_vae.errors import OptionError


class LogStickBreaking(TorchDistribution):
    r"""The logarithms of K weights: each takes a fraction of what is left of a stick, the last takes the rest.

    .. math:: w_k = x_k \prod_{j < k} (1 - x_j), \quad k < K, \qquad w_K = \prod_{j < K} (1 - x_j)

    It is the truncated GEM (Griffiths, Engen, McCloskey) distribution if the fractions are Beta(1, α), see
    :meth:`gem`. The fractions are given on the logit scale, v = log x - log(1 - x), by a :class:`LogKumaraswamy`, a
    :class:`LogitBeta` or any other distribution on the real line: log x and log(1 - x) follow to the last digit, so
    that no stick is lost and none is broken off a stick of length 0.

    The density is with respect to Lebesgue measure on the log-ratios log w_k - log w_K, and is then the product of the
    densities of the fractions' logits, as they stand: the change of variables has determinant 1. (In weights: the
    Jacobian of w by x is :math:`\prod_k (1 - x_k)^{K - 1 - k}`, that of x by v is :math:`\prod_k x_k (1 - x_k)`, and
    their product is :math:`\prod_{k \le K} w_k`, which is that of w by the log-ratios.) The divergence of one from
    another is the sum of those of the fractions.

    Args:
        fractions: a scalar distribution on the real line, with batch shape ``[*batch, K - 1]``.

    Raises:
        ValueError: fractions without a last dimension over the sticks, or not on the real line; says what was given.

    Source: Sethuraman, "A constructive definition of Dirichlet priors", Statistica Sinica 4, 1994; Ishwaran and James,
    "Gibbs sampling methods for stick-breaking priors", JASA 96, 2001; Nalisnick and Smyth, "Stick-breaking variational
    autoencoders", ICLR 2017.

    >>> _ = torch.manual_seed(0)
    >>> log_w = LogStickBreaking.gem(torch.tensor(0.01), 5).sample()
    >>> log_w.shape, bool(torch.isfinite(log_w).all())
    (torch.Size([5]), True)
    """

    arg_constraints: Any = {}  # type: ignore[assignment]
    support: Any = log_simplex  # type: ignore[assignment]
    fractions: Any

    def __init__(self, fractions: TorchDistribution, *, validate_args: bool | None = None):
        if not fractions.batch_shape or fractions.event_shape or fractions.support is not constraints.real:
            raise OptionError(
                "Expected fractions on the logit scale, a scalar distribution on the real line with a last batch "
                f"dimension over the sticks, but found {fractions} with batch shape {tuple(fractions.batch_shape)}, "
                f"event shape {tuple(fractions.event_shape)} and support {fractions.support}: "
                "give a LogKumaraswamy or a LogitBeta with parameters of shape [*batch, K - 1]"
            )
        self.fractions = fractions
        event_shape = torch.Size((fractions.batch_shape[-1] + 1,))
        super().__init__(fractions.batch_shape[:-1], event_shape, validate_args=validate_args)

    @classmethod
    def gem(cls, concentration: Tensor | float, num_weights: int):
        """The truncated GEM(α) of ``num_weights`` weights: every fraction is Beta(1, α), α ``[*batch]``."""
        (alpha,) = broadcast(concentration=concentration)
        alpha = alpha.unsqueeze(-1).expand((*alpha.shape, num_weights - 1))
        return cls(LogitBeta(torch.ones_like(alpha), alpha))

    @property
    def has_rsample(self) -> bool:
        """Whether the fractions' draws are differentiable."""
        return self.fractions.has_rsample

    @property
    def noise(self) -> Noise:
        """What the fractions' noise follows, if they are drawn from noise."""
        return self.fractions.noise

    def noise_shape(self, sample_shape: tuple[int, ...] = ()) -> torch.Size:
        """The fractions': ``[*sample_shape, *batch_shape, K - 1]``."""
        return self.fractions.noise_shape(sample_shape)

    def draw_noise(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh noise for the fractions."""
        return self.fractions.draw_noise(sample_shape)

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """The log-weights whose fractions' logits are ``fractions.sample_from_noise(noise)``."""
        return log_weights(self.fractions.sample_from_noise(noise))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape, K]``, through which gradients flow."""
        return log_weights(self.fractions.rsample(sample_shape))

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape, K]``."""
        with torch.no_grad():
            return log_weights(self.fractions.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value`` by the log-ratios, ``[*batch]``; ``value`` is taken up to a constant."""
        if self._validate_args:
            self._validate_sample(value)
        return self.fractions.log_prob(fraction_logits(*widen(value))).sum(-1).to(value.dtype)

    @property
    def mean(self) -> Tensor:
        """E log w_k = E log x_k + Σ E log(1 - x_j), for Kumaraswamy and Beta fractions."""
        return _sum(*self._of_fractions("mean_logs"))

    @property
    def variance(self) -> Tensor:
        """Var log w_k = Var log x_k + Σ Var log(1 - x_j), for Kumaraswamy and Beta fractions."""
        return _sum(*self._of_fractions("variance_logs"))

    @property
    def mode(self) -> Tensor:
        """The highest point of the density by the log-ratios: what the fractions' modes on the logit scale give."""
        return log_weights(self.fractions.mode)

    def _of_fractions(self, moment: str) -> tuple[Tensor, Tensor]:
        if not hasattr(self.fractions, moment):
            raise NotImplementedError(
                f"The moments of log x and log(1 - x) for fractions from {type(self.fractions).__name__} are not in "
                "closed form: give a LogKumaraswamy or a LogitBeta, or average over draws"
            )
        return getattr(self.fractions, moment)()

    def entropy(self) -> Tensor:
        """The entropy in nats of the log-ratios, ``[*batch]``: the sum of the fractions' on the logit scale."""
        return self.fractions.entropy().sum(-1)

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its fractions expanded to ``[*batch_shape, K - 1]``."""
        new: Any = self._get_checked_instance(type(self), _instance)
        new.fractions = self.fractions.expand((*batch_shape, self.event_shape[0] - 1))
        torch.distributions.Distribution.__init__(
            new, torch.Size(batch_shape), self.event_shape, validate_args=self._validate_args
        )
        return new


def _sum(taken: Tensor, left: Tensor) -> Tensor:
    """``taken`` of each stick, and nothing of the last, plus what is ``left`` by those before it."""
    return pad(taken, (0, 1)) + pad(left.cumsum(-1), (1, 0))


def log_weights(logits: Tensor) -> Tensor:
    """The K log-weights, ``[..., K]``, of K - 1 fractions' logits."""
    (wide,) = widen(logits)
    return _sum(logsigmoid(wide), logsigmoid(-wide)).to(logits.dtype)


def fraction_logits(log_w: Tensor) -> Tensor:
    """The logits of the K - 1 fractions that K log-weights are made of: log w_k less the log of all that is left."""
    return log_w[..., :-1] - log_w.flip(-1).logcumsumexp(-1).flip(-1)[..., 1:]


@register_kl(LogStickBreaking, LogStickBreaking)
def _kl_of_fractions(p: LogStickBreaking, q: LogStickBreaking) -> Tensor:
    return kl_divergence(p.fractions, q.fractions).sum(-1)
