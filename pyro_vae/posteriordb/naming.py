"""Stan's names of scalars, ``beta[1]``, as arrays of a variable: ``beta`` with an axis that counts from 0."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from pyro_vae.errors import OutputError

_NAME = re.compile(r"(?P<variable>[A-Za-z]\w*)(?:\[(?P<indices>\d+(?:,\s*\d+)*)\])?")


def arrays_of(scalars: Mapping[str, np.ndarray], *, file: object) -> dict[str, np.ndarray]:
    """``{"beta[1]": [...], "beta[2]": [...]}`` as ``{"beta": [..., 2]}``; variables in their order.

    Raises: ``OutputError`` naming ``file``, for a name that is none of Stan's or an array with gaps.

    >>> arrays_of({"mu": np.zeros(3), "w[1,1]": np.ones(3), "w[1,2]": np.ones(3)}, file="draws.json")["w"].shape
    (3, 1, 2)
    """
    found: dict[str, dict[tuple[int, ...], np.ndarray]] = {}
    for name, values in scalars.items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise OutputError(f"{file}: expected names such as mu or beta[1], got {name!r}.")
        index = tuple(int(part) for part in match["indices"].split(",")) if match["indices"] else ()
        found.setdefault(match["variable"], {})[index] = np.asarray(values)
    return {name: _array(name, entries, file) for name, entries in found.items()}


def _array(name: str, entries: Mapping[tuple[int, ...], np.ndarray], file: object) -> np.ndarray:
    shape = tuple(np.max(list(entries), axis=0).astype(int)) if () not in entries else ()
    if len({len(index) for index in entries}) > 1 or set(entries) != set(_indices(shape)):
        raise OutputError(f"{file}: the entries of {name} are not a whole array: {sorted(entries)}.")
    values = np.stack([entries[index] for index in _indices(shape)], -1)
    return values.reshape((*values.shape[:-1], *shape))


def _indices(shape: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
    return (tuple(int(i) + 1 for i in index) for index in np.ndindex(*shape))
