"""``Gaussian``: real numbers, with a scale that is fixed, learned, or decoded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pyro_vae.distributions import Normal
from pyro_vae.errors import OptionError
from pyro_vae.vae.likelihoods.base import Elementwise
from pyro_vae.vae.positive import positive

LEARNED = ("shared", "per_output", "decoded")


class Gaussian(Elementwise):
    r"""p(x | z) = N(μ(z), σ²), the entries of x independent.

    Args:
        shape: of one row of data.
        scale: σ. A number is fixed; ``"shared"`` learns one for all entries, ``"per_output"`` one for each;
            ``"decoded"`` has the decoder give one for each entry of each row, beside μ.

    Shapes: of the decoder's output ``[*lead, *raw_shape]``; with ``"decoded"`` that has twice the first size of
    ``shape``, the second half for σ. x ``[*lead, *shape]``.

    A decoded scale has no maximum likelihood: where a row can be reconstructed exactly, σ falls to 1e-6 and the bound
    grows without end. Prefer a learned one unless the noise truly differs from row to row.

    Raises:
        OptionError: a scale that is none of these.

    Source: Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix C.2; on the scale: Rybkin,
    Daniilidis, Levine, "Simple and effective VAE training with calibrated decoders", ICML 2021.

    >>> Gaussian((1, 8, 8), scale="decoded").raw_shape
    torch.Size([2, 8, 8])
    """

    def __init__(self, shape: int | Sequence[int], scale: float | str = "shared"):
        super().__init__(shape, 2 if scale == "decoded" else 1)
        if isinstance(scale, str) and scale not in LEARNED:
            raise OptionError(f"scale: expected a positive number or one of {', '.join(LEARNED)}, got {scale!r}.")
        if not isinstance(scale, str):
            if not scale > 0:
                raise OptionError(f"scale: expected a positive number or one of {', '.join(LEARNED)}, got {scale!r}.")
            self.register_buffer("fixed_scale", torch.tensor(float(scale)), persistent=False)
        elif scale != "decoded":
            self.raw_scale = nn.Parameter(torch.zeros(self.event_shape if scale == "per_output" else ()))
        self.kind = scale if isinstance(scale, str) else "fixed"

    @property
    def scale(self) -> Tensor:
        """σ where it is fixed or learned, ``[]`` or ``[*shape]``."""
        if self.kind == "decoded":
            raise OptionError("scale: this likelihood's scale is decoded, another for every row: see decode(z).stddev.")
        return self.get_buffer("fixed_scale") if self.kind == "fixed" else positive(self.raw_scale)

    def distribution(self, *parameters: Tensor):
        """N(μ, σ²), ``[*lead]`` with events ``[*shape]``."""
        loc = parameters[0]
        scale = positive(parameters[1]) if self.kind == "decoded" else self.scale
        return Normal(loc, scale).to_event(len(self.event_shape))

    def check_values(self, x: Tensor) -> tuple[Tensor, str]:
        """Finite numbers."""
        return ~torch.isfinite(x), "finite numbers"
