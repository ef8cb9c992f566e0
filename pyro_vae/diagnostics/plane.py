"""The plane on which codes of many dimensions are shown, and how it was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Plane:
    """``points`` ``[N, 2]``, the names of the two ``axes``, and ``how`` they were chosen, in one sentence."""

    points: np.ndarray
    axes: tuple[str, str]
    how: str


def plane_of(means: ArrayLike, names: Sequence[str], kl: ArrayLike | None = None) -> Plane:
    """Two dimensions as they are; of more the two with most KL, if they have most of it, else principal components.

    Args:
        means: ``[N, D]``, where each row's code is.
        names: of the D dimensions.
        kl: ``[D]`` nats, where each dimension has a KL of its own.

    >>> plane_of(np.eye(3), ["z[0]", "z[1]", "z[2]"], kl=[2.0, 0.0, 1.0]).axes
    ('z[0]', 'z[2]')
    """
    points = np.asarray(means, dtype=np.float64)
    D, names = points.shape[1], list(names)
    if D == 1:
        flat = np.column_stack([points[:, 0], np.zeros(len(points))])
        return Plane(flat, (names[0], ""), "There is one dimension.")
    if D == 2:
        return Plane(points, (names[0], names[1]), "The two dimensions that there are.")
    if kl is not None and len(each := np.asarray(kl, dtype=np.float64)) == D and each.sum() > 0:
        first, second = np.sort(np.argsort(-each, kind="stable")[:2]).tolist()
        share = each[[first, second]].sum() / each.sum()
        if share >= 0.6:
            how = f"Of {D} dimensions, the two with most KL: {100 * share:.0f} % of it."
            return Plane(points[:, [first, second]], (names[first], names[second]), how)
    centred = points - points.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2] * np.sign(directions[:2][np.arange(2), np.abs(directions[:2]).argmax(1)])[:, None]
    share = (sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-300)
    how = f"Of {D} dimensions, the posterior means' two principal components: {100 * share:.0f} % of their variance."
    return Plane(centred @ directions.T, ("first component", "second component"), how)
