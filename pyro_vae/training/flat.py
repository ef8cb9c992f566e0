"""Many tensors as a few flat ones, one for each dtype: a compiled function takes few arguments that way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Flat:
    """Flat tensors with room for copies of ``tensors``; ``views`` are those copies, in the tensors' shapes.

    A tensor of ``alone`` elements or more is flat by itself: packing it together with others would copy it.

    >>> import torch
    >>> flat = Flat([torch.zeros(2), torch.tensor(3), torch.ones(())])
    >>> [(tuple(whole.shape), whole.dtype) for whole in flat.wholes]
    [((3,), torch.float32), ((1,), torch.int64)]
    """

    def __init__(self, tensors: Sequence[Tensor], alone: int | None = None):
        self.shapes = [tensor.shape for tensor in tensors]
        self.places: dict[object, list[int]] = {}
        for place, tensor in enumerate(tensors):
            by_itself = alone is not None and tensor.numel() >= alone
            self.places.setdefault(place if by_itself else tensor.dtype, []).append(place)
        self.wholes = [whole.clone() for whole in self.pack([tensor.detach() for tensor in tensors])]
        self.views = self.unpack(self.wholes)

    def pack(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """New flat tensors with these values."""
        return [
            torch.cat([tensors[place].reshape(-1) for place in places])
            if len(places) > 1
            else tensors[places[0]].reshape(-1)
            for places in self.places.values()
        ]

    def unpack(self, wholes: Sequence[Tensor]) -> list[Tensor]:
        """The tensors in their order, as views of flat ones."""
        found: dict[int, Tensor] = {}
        for whole, places in zip(wholes, self.places.values(), strict=True):
            parts = whole.split([self.shapes[place].numel() for place in places])
            found.update({place: part.view(self.shapes[place]) for place, part in zip(places, parts, strict=True)})
        return [found[place] for place in range(len(self.shapes))]

    @torch.no_grad()
    def load(self, tensors: Sequence[Tensor]) -> None:
        """Copy the values of ``tensors`` in, none of which may require a gradient."""
        torch._foreach_copy_(self.views, list(tensors))

    @torch.no_grad()
    def store(self, tensors: Sequence[Tensor]) -> None:
        """Copy the values out into ``tensors``, none of which may require a gradient."""
        torch._foreach_copy_(list(tensors), self.views)
