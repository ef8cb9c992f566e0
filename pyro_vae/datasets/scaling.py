"""``Scaling``: numbers as people have them -> numbers as a likelihood wants them, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pyro_vae.errors import OptionError

SCALES = ("unit", "standard")


@dataclass(frozen=True)
class Scaling:
    """x -> (x - shift) / size, with a shift and a size for each column of a table, or one for all pixels.

    >>> x = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    >>> scaling = Scaling.of(x, "unit")
    >>> scaling(x), bool((scaling.undo(scaling(x)) == x).all())
    (tensor([[0., 0.],
            [1., 0.]]), True)
    """

    kind: str
    shift: tuple[float, ...]
    size: tuple[float, ...]

    @classmethod
    def of(cls, x: Tensor, kind: str) -> Scaling:
        """The scaling that these rows ask for.

        ``"unit"`` brings them to between 0 and 1; ``"standard"`` to mean 0 and standard deviation 1. Rows ``[N, D]``
        are scaled column by column, images as a whole; what does not vary is only shifted. Raises
        :class:`~pyro_vae.errors.OptionError` for another kind.
        """
        if kind not in SCALES:
            raise OptionError(f"scale: expected {' or '.join(SCALES)}, got {kind!r}.")
        flat = x.double() if x.dim() == 2 else x.double().reshape(-1, 1)
        if kind == "unit":
            shift = flat.amin(0)
            size = flat.amax(0) - shift
        else:
            shift, size = flat.mean(0), flat.std(0, correction=0)
        size = torch.where(size > 0, size, torch.ones_like(size))
        return cls(kind, tuple(shift.tolist()), tuple(size.tolist()))

    def __call__(self, x: Tensor) -> Tensor:
        """Rows as they are trained on, in the dtype of ``x``."""
        shift, size = self._parts(x)
        return ((x.double() - shift) / size).to(x.dtype)

    def undo(self, x: Tensor) -> Tensor:
        """Rows as they were."""
        shift, size = self._parts(x)
        return (x.double() * size + shift).to(x.dtype)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shift, size = (torch.tensor(part, dtype=torch.float64) for part in (self.shift, self.size))
        return (shift, size) if len(self.shift) > 1 else (shift.squeeze(), size.squeeze())
