"""``MultivariateNormal`` as location plus L times noise that can be drawn ahead."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Independent, register_kl

from pyro_vae.distributions.noise import FromNoise, Noise


class MultivariateNormal(FromNoise, dist.MultivariateNormal):
    r"""The multivariate normal distribution, :math:`x = \mu + L \epsilon` with :math:`L L^\top = \Sigma`.

    Torch's own with ``sample_from_noise``; the density, moments and KL rules are torch's, with
    one more: that from a diagonal normal, ``Normal(...).to_event(1)``. A covariance enters a draw by
    its Cholesky factor: :math:`\mu + \Sigma \epsilon` would be right only if Σ held standard deviations.

    Args:
        loc: the mean μ, ``[*batch, D]``.
        covariance_matrix: Σ, ``[*batch, D, D]``; or
        precision_matrix: its inverse; or
        scale_tril: its lower Cholesky factor L.

    Raises:
        ValueError: a matrix that is not of its kind, or not exactly one of them; names the argument and the value.

    >>> import torch
    >>> d = MultivariateNormal(torch.zeros(2), scale_tril=torch.tensor([[1.0, 0.0], [2.0, 3.0]]))
    >>> d.sample_from_noise(torch.tensor([1.0, 1.0]))
    tensor([1., 5.])
    """

    noise = Noise.NORMAL

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        *,
        validate_args: bool | None = None,
    ):
        dist.MultivariateNormal.__init__(
            self, loc, covariance_matrix, precision_matrix, scale_tril, validate_args=validate_args
        )

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its parameters expanded to ``batch_shape``."""
        new = self._get_checked_instance(MultivariateNormal, _instance)
        return dist.MultivariateNormal.expand(self, batch_shape, new)

    def draw_noise(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh noise ``[*sample_shape, *batch, D]``, in the parameters' dtype and on their device."""
        return self.noise.draw(self.noise_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Draws from standard normal noise, ``[..., D]``."""
        return self.loc + (self._unbroadcasted_scale_tril @ noise.unsqueeze(-1)).squeeze(-1)


# Pyro has the rule for the other way round.
@register_kl(torch.distributions.MultivariateNormal, Independent)
def _kl_to_diagonal(p: torch.distributions.MultivariateNormal, q: Independent) -> Tensor:
    """Σ log(σ / L_kk) + (Σ_kk / σ² + (μ_p - μ_q)² / σ² - 1) / 2, where q is a row of normals."""
    normal = q.base_dist
    if not isinstance(normal, torch.distributions.Normal) or q.reinterpreted_batch_ndims != 1:
        raise NotImplementedError(
            f"No KL(MultivariateNormal || Independent of {type(normal).__name__} over {q.reinterpreted_batch_ndims} "
            "dimensions): there is one for Normal(...).to_event(1)"
        )
    tril = p._unbroadcasted_scale_tril / normal.scale.unsqueeze(-1)
    shift = (p.loc - normal.loc) / normal.scale
    spread = tril.square().sum((-2, -1)) + shift.square().sum(-1) - shift.shape[-1]
    return spread / 2 - tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
