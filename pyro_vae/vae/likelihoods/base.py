"""What a family of likelihoods is: a decoder's numbers in, a distribution of the data out, and a check of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pyro_vae.errors import DataError, ModelError
from pyro_vae.nets.rows import as_shape


class Likelihood(nn.Module):
    """A family of distributions p(x | z) of data of shape ``event_shape``, ``[N, *event_shape]`` for N rows."""

    event_shape: torch.Size

    def given(self, decoder: Any, code: Tensor) -> Any:
        """p(x | z) of codes ``[*lead, code_size]``, by way of the decoder; its batch shape is ``lead``.

        Raises :class:`~pyro_vae.errors.ModelError` when the decoder does not fit.
        """
        raise NotImplementedError

    def point(self, p: Any) -> Tensor:
        """The one x that is shown for p."""
        raise NotImplementedError

    def check(self, x: Any, first_row: int = 0) -> None:
        """Raise :class:`~pyro_vae.errors.DataError` naming the first row of x that the likelihood cannot take.

        Rows are counted from ``first_row``.
        """
        raise NotImplementedError


class Elementwise(Likelihood):
    """A likelihood whose decoder gives some numbers for every entry of x, at once.

    They come as a tensor ``[*lead, *raw_shape]``: ``event_shape`` with its first size times ``per_output`` (an image's
    channels), so that convolutions can give it too. A subclass writes ``distribution`` and ``check_values``.
    """

    def __init__(self, shape: int | Sequence[int], per_output: int = 1):
        super().__init__()
        self.event_shape = as_shape("shape", shape)
        self.per_output = per_output
        self.raw_shape = torch.Size((per_output * self.event_shape[0], *self.event_shape[1:]))

    def distribution(self, *parameters: Tensor) -> Any:
        """p(x | z) from ``per_output`` tensors ``[*lead, *event_shape]``; its batch shape is ``lead``."""
        raise NotImplementedError

    def check_values(self, x: Tensor) -> tuple[Tensor, str]:
        """Which entries of x cannot be, as booleans in the shape of x, and in words what was expected."""
        raise NotImplementedError

    def point(self, p: Any) -> Tensor:
        """The mean."""
        return p.mean

    def given(self, decoder: Callable[[Tensor], Tensor], code: Tensor) -> Any:
        """The distribution that a decoder, ``[*lead, code_size]`` -> ``[*lead, *raw_shape]``, makes of a code."""
        raw = decoder(code)
        expected = code.shape[:-1] + self.raw_shape
        if raw.shape != expected:
            raise ModelError(
                f"decoder: expected a tensor of shape {tuple(expected)} for codes of shape {tuple(code.shape)}, got "
                f"{tuple(raw.shape)}. Make it with out_shape=likelihood.raw_shape, which is {tuple(self.raw_shape)}."
            )
        parts = raw.unflatten(code.dim() - 1, (self.per_output, self.event_shape[0])).unbind(code.dim() - 1)
        return self.distribution(*parts)

    def check(self, x: Any, first_row: int = 0) -> None:
        """Shape and values, see ``check_values``."""
        check_rows(x, self.event_shape)
        wrong, expected = self.check_values(x)
        refuse(x, wrong, expected, first_row)


def check_rows(x: Any, event_shape: Sequence[int | str]) -> None:
    """Raise :class:`~pyro_vae.errors.DataError` unless x is a tensor ``[N, *event_shape]`` with at least one row.

    A size that is a string may be any.
    """
    shape = ", ".join(["N", *map(str, event_shape)])
    if not isinstance(x, Tensor):
        raise DataError(f"x: expected a tensor of shape [{shape}], got {type(x).__name__}.{_remedy(x)}")
    sizes = zip(x.shape[1:], event_shape, strict=False)
    if x.dim() != len(event_shape) + 1 or any(isinstance(want, int) and size != want for size, want in sizes):
        one = " One row alone is x[None]." if x.dim() == len(event_shape) else ""
        raise DataError(
            f"x: expected shape [{shape}], got {tuple(x.shape)}.{one} Reshape the data, or make the "
            "likelihood and the nets for rows of this shape."
        )
    if len(x) == 0:
        raise DataError(f"x: expected at least one row, got an empty batch of shape {tuple(x.shape)}.")


def refuse(x: Tensor, wrong: Tensor, expected: str, first_row: int = 0) -> None:
    """Raise :class:`~pyro_vae.errors.DataError` naming the first row with an entry that is ``wrong``."""
    if not bool(wrong.any()):
        return
    index = [int(i) for i in wrong.nonzero()[0]]
    where = f", entry {index[1:]}" if len(index) > 1 else ""
    rows = int(wrong.reshape(len(x), -1).any(-1).sum())
    raise DataError(
        f"x: row {first_row + index[0]}{where}: expected {expected}, got {x[tuple(index)].item()} "
        f"({rows} of {len(x)} rows have such entries).",
        first_row + index[0],
    )


def _remedy(x: Any) -> str:
    ragged = isinstance(x, (list, tuple)) and len({len(row) for row in x if hasattr(row, "__len__")}) > 1
    return " Pad sequences of different lengths with Vocabulary.encode." if ragged else ""
