"""The container that everyone shares, an ``xarray.DataTree`` of labelled arrays: built, saved, read, flattened."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from pyro_vae.errors import OptionError, OutputError
from pyro_vae.files import written_beside

SAMPLE_DIMS = ("chain", "draw")
# Groups that hold data as they were given, without a chain or a draw.
_DATA_GROUPS = frozenset({"observed_data", "constant_data"})
# Differences of log densities, and means over draws, are taken of these: they are kept in 64 bits.
_WIDE_GROUPS = frozenset({"posterior", "sample_stats", "prior"})


def build(
    groups: Mapping[str, Mapping[str, ArrayLike]],
    *,
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Sequence] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    """A ``DataTree`` of the named groups, laid out as ArviZ expects it.

    Shapes: ``[chain, draw, *shape]`` for every variable, ``[*shape]`` in ``observed_data`` and ``constant_data``. A
    variable's own axes get the names in ``dims`` (else ``NAME_dim_0``, ...) and the labels in ``coords`` (else 0, 1,
    2, ...). Floating-point values of posterior, sample_stats and prior are stored in 64 bits, the rest as they are. A
    slash in a name becomes a dot. A group without variables is left out.

    ``attrs`` go on the root, in the form in which a netCDF file holds them: a bool as 0 or 1, a list or dict as JSON,
    None left out.

    Raises: ``OptionError`` naming the group and the variable, if its axes do not fit ``dims`` and ``coords``, or the
    number of draws differs within a group.

    >>> draws = np.zeros((4, 1000, 2))
    >>> coords = {"school": ["Choate", "Deerfield"]}
    >>> tree = build({"posterior": {"theta": draws}}, dims={"theta": ["school"]}, coords=coords)
    >>> dict(tree["posterior"].sizes)
    {'chain': 4, 'draw': 1000, 'school': 2}
    """
    datasets = {
        group: _dataset(group, variables, dims or {}, coords or {}) for group, variables in groups.items() if variables
    }
    tree = xr.DataTree.from_dict(datasets)
    tree.attrs = {name: _storable(value) for name, value in (attrs or {}).items() if value is not None}
    return tree


def _dataset(
    group: str, variables: Mapping[str, ArrayLike], dims: Mapping[str, Sequence[str]], coords: Mapping[str, Sequence]
) -> xr.Dataset:
    sample_dims = () if group in _DATA_GROUPS else SAMPLE_DIMS
    sizes: dict[str, int] = {}
    arrays = {}
    for name, value in variables.items():
        array = np.asarray(value)
        if group in _WIDE_GROUPS and array.dtype.kind == "f":
            array = array.astype(np.float64)
        names = (*sample_dims, *_own_dims(group, name, array, len(sample_dims), dims))
        for dim, size in zip(names, array.shape, strict=True):
            known = len(coords[dim]) if dim in coords else sizes.setdefault(dim, size)
            if size != known:
                where = "coords" if dim in coords else "the variables before it"
                raise OptionError(
                    f"{group}[{name!r}] has shape {array.shape}: its axis {dim!r} is {size} long, and {known} in "
                    f"{where}. Give the axis a name of its own in dims[{name!r}], or as many labels in coords[{dim!r}]."
                )
            sizes[dim] = size
        # A slash would make a group of the name, for xarray and for netCDF.
        arrays[name.replace("/", ".")] = (names, array)
    labels = {dim: np.asarray(coords[dim]) if dim in coords else np.arange(size) for dim, size in sizes.items()}
    return xr.Dataset(arrays, coords=labels)


def _own_dims(
    group: str, name: str, array: np.ndarray, sample_axes: int, dims: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    axes = array.ndim - sample_axes
    if axes < 0:
        raise OptionError(f"{group}[{name!r}] has shape {array.shape}; expected [chain, draw, *shape].")
    named = dims.get(name)
    if named is None:
        return tuple(f"{name}_dim_{axis}".replace("/", ".") for axis in range(axes))
    if isinstance(named, str) or len(named) != axes:
        raise OptionError(
            f"dims[{name!r}] is {named!r}, and {group}[{name!r}] has {axes} axes of its own "
            f"(shape {array.shape[sample_axes:]}): give a list with one name for each of them."
        )
    return tuple(named)


def _storable(value: object) -> object:
    """``value`` as a netCDF attribute can hold it, so that a tree is the same before it is saved and after."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value)
    return str(value)


def save(tree: xr.DataTree, path: str | os.PathLike) -> Path:
    """Write ``tree`` as a netCDF file, which ArviZ reads too. Returns the path.

    The file is written beside ``path`` and then renamed: a file that is there is whole. Folders are made.

    Raises: ``OutputError`` naming the path.
    """
    path = Path(path)
    with written_beside(path, "the draws") as part:
        tree.to_netcdf(part, engine="h5netcdf")
    return path


def load(path: str | os.PathLike) -> xr.DataTree:
    """Read what :func:`save`, or ArviZ, has written. All of it is in memory afterwards, and the file closed.

    Raises: ``OutputError`` naming the path, if there is no such file, or it is not netCDF, or it has no posterior.
    """
    path = Path(path)
    if not path.is_file():
        raise OutputError(f"cannot read draws from {path}: there is no such file.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"cannot read draws from {path}: {error}. "
            "Expected a netCDF file, as `save` or ArviZ's `to_netcdf` writes it."
        ) from error
    tree.attrs = {name: _storable(value) for name, value in tree.attrs.items()}
    if "posterior" not in tree.children:
        raise OutputError(
            f"{path} has no posterior group, only {sorted(tree.children)}; expected draws of a posterior."
        )
    return tree


def variable_names(tree: xr.DataTree) -> list[str]:
    """The names of the posterior's variables, in their order.

    Raises: ``OptionError`` if ``tree`` has no posterior.
    """
    return [str(name) for name in _group(tree, "posterior").data_vars]


def scalar_parameters(
    tree: xr.DataTree, names: Iterable[str] | None = None, *, group: str = "posterior"
) -> dict[str, np.ndarray]:
    """Every scalar parameter by its label, ``{"mu": [chain, draw], "theta[Choate]": [chain, draw], ...}``.

    The labels are the coords' ("W[a, 0]" for a matrix), or positions where two coords look the same. The
    arrays are views. ``names``: of these variables only.

    Raises: ``OptionError`` if the group or a variable is missing, or has no chain or draw axis.

    >>> draws = {"theta": np.zeros((1, 10, 2))}
    >>> tree = build({"posterior": draws}, dims={"theta": ["school"]}, coords={"school": ["A", "B"]})
    >>> {name: draws.shape for name, draws in scalar_parameters(tree).items()}
    {'theta[A]': (1, 10), 'theta[B]': (1, 10)}
    """
    dataset = _group(tree, group)
    flat: dict[str, np.ndarray] = {}
    for name in dataset.data_vars if names is None else names:
        if name not in dataset.data_vars:
            raise OptionError(
                f"{group} has no variable {name!r}; it has {[str(other) for other in dataset.data_vars]}."
            )
        flat.update(_scalars(str(name), dataset[name], group))
    return flat


def _scalars(name: str, array: xr.DataArray, group: str) -> dict[str, np.ndarray]:
    if not set(SAMPLE_DIMS) <= set(array.dims):
        raise OptionError(f"{group}[{name!r}] has the axes {array.dims}; expected chain and draw among them.")
    own = [dim for dim in array.dims if dim not in SAMPLE_DIMS]
    values = array.transpose(*own, *SAMPLE_DIMS).values
    if not own:
        return {name: values}
    labels = product(*(_axis_labels(array, str(dim)) for dim in own))
    flat = values.reshape(-1, *values.shape[-2:])
    return {f"{name}[{', '.join(label)}]": draws for label, draws in zip(labels, flat, strict=True)}


def _axis_labels(array: xr.DataArray, dim: str) -> list[str]:
    positions = [str(position) for position in range(array.sizes[dim])]
    if dim not in array.coords:
        return positions
    labels = [str(label) for label in array.coords[dim].values]
    return positions if any(count > 1 for count in Counter(labels).values()) else labels


def _group(tree: xr.DataTree, group: str) -> xr.Dataset:
    if not isinstance(tree, xr.DataTree):
        raise OptionError(f"expected an xarray.DataTree of draws, got {type(tree).__name__}.")
    if group not in tree.children:
        raise OptionError(f"the DataTree has no {group} group, only {sorted(tree.children)}.")
    return tree[group].to_dataset()
