"""Leading dimensions and the checks that every net makes: torch's convolutions and cells take one dimension of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyro_vae.errors import DataError, OptionError


def on_rows(function: Callable[[Tensor], Tensor], x: Tensor, event_dim: int) -> Tensor:
    """``function`` of the leading dims as one: ``[*lead, *event]`` -> ``[rows, *event]`` -> ``[*lead, *out]``.

    >>> on_rows(lambda rows: rows.sum(-1), torch.ones(2, 3, 4), 1).shape
    torch.Size([2, 3])
    """
    lead = x.shape[: x.dim() - event_dim]
    out = function(x.reshape(math.prod(lead), *x.shape[x.dim() - event_dim :]))
    return out.reshape(*lead, *out.shape[1:])


def as_shape(name: str, size: int | Sequence[int]) -> torch.Size:
    """An event's shape from a number or a tuple of positive numbers; ``name`` is the argument that the error names."""
    shape = (size,) if isinstance(size, int) else tuple(size)
    if not shape or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape):
        raise OptionError(f"{name}: expected a positive whole number or a tuple of them, got {size!r}.")
    return torch.Size(shape)


def check_positive(**options: int) -> None:
    """Raise :class:`~pyro_vae.errors.OptionError` naming an option that is not a positive whole number."""
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise OptionError(f"{name}: expected a positive whole number, got {value!r}.")


def check_event(net: object, x: Tensor, shape: Sequence[int]) -> None:
    """Raise :class:`~pyro_vae.errors.DataError` unless ``x`` is ``[*lead, *shape]``."""
    if tuple(x.shape[max(x.dim() - len(shape), 0) :]) != tuple(shape):
        wanted = ", ".join(["*", *map(str, shape)])
        raise DataError(
            f"{type(net).__name__}: expected a tensor of shape [{wanted}], got {tuple(x.shape)}. "
            "Reshape the input, or make the net for inputs of this shape."
        )
