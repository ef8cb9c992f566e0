"""The history of a run while it grows: a row of numbers for every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyro_vae.training.step import Taken

COLUMNS = 5  # bound, gradient norm, learning rate, seconds, ELBO


class Rows(Sequence[list[float]]):
    """``[steps, 5]`` in memory that doubles: looking at the whole of it costs nothing, however long it is.

    >>> rows = Rows()
    >>> rows.extend([Taken(-3.0, 1.0, 0.05, -3.5), Taken(-2.0, 0.5, 0.05, -2.5)], np.array([0.1, 0.2]))
    >>> len(rows), rows[-1]
    (2, [-2.0, 0.5, 0.05, 0.2, -2.5])
    """

    def __init__(self, rows: Sequence[Sequence[float]] | np.ndarray = ()):
        self._room = np.array(rows, dtype=float).reshape(-1, COLUMNS)
        self._count = len(self._room)

    def extend(self, taken: Sequence[Taken], seconds: np.ndarray) -> None:
        """Further steps, and when each was over."""
        begin, end = self._count, self._count + len(taken)
        if end > len(self._room):
            room = np.empty((max(2 * end, 1024), COLUMNS))
            room[:begin] = self._room[:begin]
            self._room = room
        if taken:
            self._room[begin:end, [0, 1, 2, 4]] = np.array(taken)
            self._room[begin:end, 3] = seconds
        self._count = end

    @property
    def array(self) -> np.ndarray:
        """What is there, ``[steps, 5]``, not copied."""
        return self._room[: self._count]

    @property
    def bound(self) -> np.ndarray:
        """The bound at every step, nats, not copied."""
        return self._room[: self._count, 0]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return self.array[index].tolist()
