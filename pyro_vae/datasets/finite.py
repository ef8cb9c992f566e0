"""Numbers that are missing or infinite, named by where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pyro_vae.errors import DataError


def refuse_missing(array: np.ndarray, place: Callable[[int], str], columns: Sequence[str] = ()) -> None:
    """Raise :class:`~pyro_vae.errors.DataError` naming the first row of ``array`` ``[N, ...]`` with a NaN or infinity.

    ``place`` says where a row is; ``columns`` are the names of a table's.
    """
    if array.dtype.kind != "f":
        return
    wrong = ~np.isfinite(array)
    if not wrong.any():
        return
    row, *entry = (int(index) for index in np.argwhere(wrong)[0])
    where = f", column '{columns[entry[0]]}'" if len(columns) else f", entry {entry}"
    count = int(wrong.reshape(len(array), -1).any(-1).sum())
    raise DataError(
        f"{place(row)}{where}: expected a finite number, got {array[(row, *entry)]} ({count} of {len(array)} rows have "
        "such entries). Leave these rows out, or fill them in.",
        row,
    )
