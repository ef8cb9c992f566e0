"""Which arguments of a model hold what it observes: found by where in memory the observed values lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyro_vae.errors import ModelError

Path = tuple[Any, ...]  # keys from (args, kwargs) down to a tensor

REMEDY = (
    "Pass the observed values as an argument and use them as they are (obs=y, or a slice of y); or give "
    "simulate=, a function of (sites, data) that returns the data with simulated values in their place, where "
    "sites[name] is the value of each site in one run of the model."
)


@dataclass(frozen=True)
class Slot:
    """Where an observed site's value goes: ``path`` leads to the argument, ``index`` are its places there, flat."""

    site: str
    path: Path
    index: Tensor

    @property
    def argument(self) -> str:
        """What a person calls that argument."""
        first, *rest = self.path[1:]
        name = f"'{first}'" if self.path[0] == 1 else f"number {first + 1}"
        return name + "".join(f"[{key!r}]" for key in rest)


def find_slots(observed: Mapping[str, Tensor], args: tuple, kwargs: Mapping[str, Any]) -> list[Slot]:
    """The places of all observed values among the arguments.

    A value that is an argument, or a view of one, is recognised by its memory; a converted copy (``y.double()``) of the
    same shape by its numbers. Raises :class:`~pyro_vae.errors.ModelError` naming the site that is neither.

    >>> y = torch.arange(6.0).reshape(2, 3)
    >>> [slot.index.tolist() for slot in find_slots({"a": y[:, 0], "b": y[1, 1:]}, (), {"y": y})]
    [[0, 3], [4, 5]]
    """
    leaves = dict(_leaves((args, dict(kwargs))))
    slots = []
    for site, value in observed.items():
        inside = {path: _inside(value, leaf) for path, leaf in leaves.items()}
        found = [Slot(site, path, index) for path, index in inside.items() if index is not None]
        if not found:
            found = [
                Slot(site, path, torch.arange(leaf.numel())) for path, leaf in leaves.items() if _same(value, leaf)
            ]
            if len(found) > 1:
                raise ModelError(
                    f"Site '{site}': its observed value is equal to more than one of the model's arguments "
                    f"({' and '.join(slot.argument for slot in found)}). {REMEDY}"
                )
        if not found:
            names = ", ".join(Slot(site, path, torch.empty(0)).argument for path in leaves) or "none"
            raise ModelError(
                f"Site '{site}': its observed value is neither one of the model's arguments ({names}) nor a view of "
                f"one, so simulated data cannot be put in its place. {REMEDY}"
            )
        slots += found
    return slots


def filled(
    slots: list[Slot], drawn: Mapping[str, Tensor], args: tuple, kwargs: Mapping[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """The arguments with drawn values in the places of the observed ones; everything else is shared.

    Raises :class:`~pyro_vae.errors.ModelError` naming a site whose draws have another size than what it observes.
    """
    new: dict[Path, Tensor] = {}
    for slot in slots:
        old = _at((args, kwargs), slot.path)
        if slot.path not in new:
            new[slot.path] = _tensor(old).detach().clone().contiguous()
        value = drawn[slot.site]
        if value.numel() != slot.index.numel():
            raise ModelError(
                f"Site '{slot.site}': it observes {slot.index.numel()} numbers, and a draw of it has "
                f"{value.numel()} (shape {tuple(value.shape)}): the observed value is broadcast. Give one that has the "
                "distribution's shape."
            )
        flat = new[slot.path].view(-1)
        flat[slot.index] = value.detach().reshape(-1).to(flat.dtype)
    whole: Any = (args, dict(kwargs))
    for path, value in new.items():
        whole = _replaced(whole, path, value.numpy() if isinstance(_at(whole, path), np.ndarray) else value)
    return whole


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    if isinstance(value, (Tensor, np.ndarray)):
        if isinstance(value, Tensor) or value.dtype.kind in "biuf":
            yield path, _tensor(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, (tuple, list)):
        for position, item in enumerate(value):
            yield from _leaves(item, (*path, position))


def _tensor(value: Any) -> Tensor:
    return torch.from_numpy(np.require(value, requirements="W")) if isinstance(value, np.ndarray) else value


def _inside(value: Tensor, leaf: Tensor) -> Tensor | None:
    """The flat places in ``leaf`` of the numbers of ``value``, if all of them lie in its memory."""
    if value.numel() == 0 or value.dtype != leaf.dtype or value.layout != leaf.layout:
        return None
    if value.untyped_storage().data_ptr() != leaf.untyped_storage().data_ptr():
        return None
    size = leaf.untyped_storage().nbytes() // leaf.element_size()
    where = torch.arange(size)
    places = torch.full((size,), -1)
    own = where.as_strided(leaf.shape, leaf.stride(), leaf.storage_offset()).reshape(-1)
    places[own] = torch.arange(leaf.numel())
    index = places[where.as_strided(value.shape, value.stride(), value.storage_offset()).reshape(-1)]
    return index if bool((index >= 0).all()) and len(index.unique()) == len(index) else None


def _same(value: Tensor, leaf: Tensor) -> bool:
    return value.shape == leaf.shape and value.numel() > 0 and bool((value == leaf.to(value.dtype)).all())


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of nested containers with one item exchanged."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, Mapping):
        return {**value, key: _replaced(value[key], tuple(rest), new)}
    items = [_replaced(item, tuple(rest), new) if place == key else item for place, item in enumerate(value)]
    if hasattr(value, "_fields"):
        return type(value)(*items)
    return tuple(items) if isinstance(value, tuple) else items
