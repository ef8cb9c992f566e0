"""The data of the benchmarks, as NumPy arrays: a contender must not import our libraries, or torch, to have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


def data_of(program: str, folder: Path) -> str:
    """The data of a program of the catalogue, written to ``folder``; returns the path."""
    import pyro_vae as pv

    path = folder / f"{program}.npz"
    np.savez(path, **{name: value.numpy() for name, value in pv.load_program(program).data.items()})
    return str(path)


def read(path: str) -> Arrays:
    """What :func:`data_of` wrote."""
    with np.load(path) as arrays:
        return dict(arrays)


def regression(rows: int, columns: int = 31) -> Arrays:
    """A logistic regression of any length, ``x`` ``[rows, columns]`` and ``y`` ``[rows]`` of 0 and 1, float32."""
    random = np.random.default_rng(0)
    x = random.standard_normal((rows, columns), dtype=np.float32)
    x[:, 0] = 1.0
    slopes = random.standard_normal(columns, dtype=np.float32) / columns**0.5
    y = random.random(rows, dtype=np.float32) < 1 / (1 + np.exp(-x @ slopes))
    return {"x": x, "y": y.astype(np.float32)}


def digits(rows: int, pixels: int) -> np.ndarray:
    """Images of 0 and 1, ``[rows, pixels]`` float32: what is in them has no part in how long a step takes."""
    return (np.random.default_rng(0).random((rows, pixels)) < 0.3).astype(np.float32)
