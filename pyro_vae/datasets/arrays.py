"""NumPy's files: ``.npy`` with one array, ``.npz`` with one called ``x`` or only one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pyro_vae.datasets.finite import refuse_missing
from pyro_vae.datasets.rows import Rows, numbered
from pyro_vae.errors import DataError, OptionError


def read_arrays(path: Path, label: str | None = None, names: tuple[str, ...] = (), *, needed: bool = True) -> Rows:
    """Rows ``[N, D]``, or images: ``[N, H, W]`` grey, ``[N, C, H, W]`` or ``[N, H, W, C]`` with C = 1 or 3.

    Images of 8 bits are divided by 255. ``label`` is the name of another array of the file.

    Raises :class:`~pyro_vae.errors.DataError` naming the file.
    """
    arrays = _arrays(path)
    if label not in arrays and not needed:
        label = None
    if label is not None and label not in arrays:
        raise OptionError(f"label: {path} has no array called '{label}'; it has {', '.join(arrays)}.")
    rest = [name for name in arrays if name != label]
    name = "x" if "x" in rest else rest[0] if len(rest) == 1 else None
    if name is None:
        raise DataError(f"{path}: expected an array called x, or only one, got {', '.join(arrays) or 'none'}.")
    array = arrays[name]
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: array '{name}' has dtype {array.dtype}; expected numbers.")
    if array.ndim < 2 or array.ndim > 4 or 0 in array.shape:
        raise DataError(
            f"{path}: array '{name}' has shape {array.shape}; expected at least one row of [N, D], or "
            "images [N, H, W], [N, C, H, W] or [N, H, W, C]."
        )
    refuse_missing(array, lambda row: f"{path}, row {row}")
    labels, known = (None, ()) if label is None else _labels(path, label, arrays[label], len(array), names)
    rows = {"labels": labels, "label_names": known, "source": str(path), "places": range(len(array))}
    if array.ndim == 2:
        return Rows(_tensor(array), **rows)
    image = _channels_first(path, name, array)
    x = _tensor(image) / 255 if array.dtype == np.uint8 else _tensor(image)
    return Rows(x, "images", tuple(x.shape[1:]), **rows)  # type: ignore[arg-type]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # cut short, no NumPy file, Python objects: zipfile and NumPy raise many kinds
        raise DataError(f"{path}: cannot be read as arrays of numbers ({error}).") from error


def _channels_first(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        return array[:, None]
    if array.shape[1] in (1, 3):
        return array
    if array.shape[3] in (1, 3):
        return np.moveaxis(array, 3, 1)
    raise DataError(f"{path}: array '{name}' has shape {array.shape}; expected images with 1 or 3 channels.")


def _labels(
    path: Path, label: str, array: np.ndarray, rows: int, names: tuple[str, ...]
) -> tuple[torch.Tensor, tuple[str, ...]]:
    if array.shape != (rows,):
        raise DataError(f"{path}: array '{label}' has shape {array.shape}; expected a label for each of {rows} rows.")
    return numbered([str(value) for value in array.tolist()], names)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(array)).to(torch.get_default_dtype())
