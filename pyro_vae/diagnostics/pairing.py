"""Which parameter of a guide's draws is which of the baseline's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pyro_vae.errors import OptionError
from pyro_vae.posterior.datatree import scalar_parameters, variable_names


@dataclass(frozen=True)
class Paired:
    """The scalar parameters that two trees share, each ``[chain, draw]``, and what only one of them has, in words."""

    posterior: dict[str, np.ndarray]
    baseline: dict[str, np.ndarray]
    not_compared: tuple[str, ...]


def pair(posterior: xr.DataTree, baseline: xr.DataTree) -> Paired:
    """Match the parameters of two trees by variable and label, or by position where they have no label in common.

    Raises: ``OptionError`` if they share no variable, or a variable's shape or some of its labels differ.

    >>> from pyro_vae.posterior import build
    >>> guide = build({"posterior": {"x": np.zeros((1, 5)), "auxiliary": np.zeros((1, 5))}})
    >>> pair(guide, build({"posterior": {"x": np.ones((4, 9))}})).not_compared
    ('auxiliary is not in the baseline',)
    """
    ours, theirs = variable_names(posterior), variable_names(baseline)
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise OptionError(
            f"posterior and baseline have no parameter in common: {ours} and {theirs}. "
            "Are they draws of the same model?"
        )
    left: dict[str, np.ndarray] = {}
    right: dict[str, np.ndarray] = {}
    for name in shared:
        _check_shapes(name, posterior, baseline)
        mine = scalar_parameters(posterior, [name])
        left |= mine
        right |= _in_order(name, list(mine), scalar_parameters(baseline, [name]))
    return Paired(
        left,
        right,
        (
            *(f"{name} is not in the baseline" for name in ours if name not in theirs),
            *(f"{name} is only in the baseline" for name in theirs if name not in ours),
        ),
    )


def _in_order(name: str, labels: list[str], draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``draws`` under ``labels``: the same ones in another order, or (numbers for names) others in the same order."""
    if draws.keys() == set(labels):
        return {label: draws[label] for label in labels}
    if shared := draws.keys() & set(labels):
        raise OptionError(
            f"posterior and baseline share some labels of {name} ({', '.join(sorted(shared)[:3])}) and not others "
            f"({', '.join(sorted(draws.keys() ^ set(labels))[:3])}). Are they draws of the same model on the same data?"
        )
    return dict(zip(labels, draws.values(), strict=True))


def _check_shapes(name: str, posterior: xr.DataTree, baseline: xr.DataTree) -> None:
    ours, theirs = (
        tuple(size for dim, size in tree["posterior"][name].sizes.items() if dim not in ("chain", "draw"))
        for tree in (posterior, baseline)
    )
    if ours != theirs:
        raise OptionError(
            f"{name} has shape {ours} in the posterior and {theirs} in the baseline. "
            "Are they draws of the same model on the same data?"
        )
