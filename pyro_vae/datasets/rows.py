"""``Rows``: data as a VAE takes them, with what is needed to show them and to say where a row came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyro_vae.datasets.scaling import Scaling
from pyro_vae.vae.vocabulary import Vocabulary

KINDS = ("images", "sentences", "arrays")


@dataclass(frozen=True)
class Rows:
    """N rows of data and what they are.

    ``x`` is ``[N, *event]``: numbers, images ``[N, C, H, W]`` (or flattened, where a program wants them so), or
    sentences as int64 ``[N, T]``. ``kind`` is ``"images"``, ``"sentences"`` or ``"arrays"``; of images ``image`` is
    (C, H, W), of sentences ``vocabulary`` has the words. ``labels`` ``[N]`` are whole numbers that ``label_names``
    explains. ``columns`` are a table's. ``scaling`` is what was done to the numbers. ``source`` is the file or folder,
    and ``places`` what each row is called in it.
    """

    x: Tensor
    kind: str = "arrays"
    image: tuple[int, int, int] | None = None
    vocabulary: Vocabulary | None = None
    labels: Tensor | None = None
    label_names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    scaling: Scaling | None = None
    source: str = ""
    places: Sequence[Any] = ()
    placed: str = ", row "  # what stands between the source and a place

    def __len__(self) -> int:
        return len(self.x)

    def place(self, row: int) -> str:
        """Where a row came from, in words.

        >>> Rows(torch.zeros(3, 2), source="mine.csv", places=range(2, 5), placed=", line ").place(0)
        'mine.csv, line 2'
        """
        return f"{self.source}{self.placed}{self.places[row] if len(self.places) else row}"

    def at(self, index: Tensor) -> Rows:
        """These rows alone."""
        labels = None if self.labels is None else self.labels[index]
        places = [self.places[row] for row in index.tolist()] if len(self.places) else index.tolist()
        return replace(self, x=self.x[index], labels=labels, places=places)

    @property
    def limits(self) -> tuple[float, float]:
        """What is black and what is white in a picture: 0 and 1, where the numbers lie there, else their range."""
        low, high = float(self.x.min()), float(self.x.max())
        return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)

    def as_images(self, x: Tensor) -> np.ndarray:
        """Rows like these, ``[*lead, *event]``, as a figure takes images: ``[*lead, H, W, C]``."""
        assert self.image is not None, "these rows are no images"
        lead = x.shape[: x.dim() - (self.x.dim() - 1)]
        return x.reshape(*lead, *self.image).movedim(-3, -1).detach().cpu().double().numpy()

    def as_sentences(self, x: Tensor) -> list[str]:
        """Rows like these ``[N, T]`` as text."""
        assert self.vocabulary is not None, "these rows are no sentences"
        return self.vocabulary.decode(x)

    def as_arrays(self, x: Tensor) -> np.ndarray:
        """Rows like these in the units of the file that they came from."""
        whole = x if self.scaling is None or not x.is_floating_point() else self.scaling.undo(x)
        return whole.detach().cpu().numpy()


def numbered(labels: Sequence[str], names: Sequence[str] = ()) -> tuple[Tensor, tuple[str, ...]]:
    """Labels as whole numbers, and the names that these stand for: sorted as numbers if they are such, else as text.

    ``names`` are known already, and come first.

    >>> numbered(["10", "9", "10"])
    (tensor([1, 0, 1]), ('9', '10'))
    """
    new = set(labels) - set(names)
    known = (*names, *sorted(new, key=_order))
    number = {name: index for index, name in enumerate(known)}
    return torch.tensor([number[label] for label in labels]), known


def _order(name: str) -> tuple[int, float, str]:
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
