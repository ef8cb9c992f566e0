"""A person's own rows for a program that builds a VAE: the sizes that they decide, and the arguments of its model.

The parameters of ``build`` with these names are filled from the data: ``features`` (how many numbers a row has),
``shape`` (a row's shape), ``vocabulary`` (a :class:`~pyro_vae.vae.Vocabulary`) and ``max_length`` (words of the longest
sentence, its end included).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from torch import Tensor

from pyro_vae.datasets.rows import Rows
from pyro_vae.errors import DataError, ProgramError

TAKEN = ("features", "shape", "vocabulary", "max_length")


def sizes_of(build: Callable, rows: Rows, program: str) -> dict[str, Any]:
    """The arguments of ``build`` that the rows decide.

    Raises :class:`~pyro_vae.errors.ProgramError` naming the ``program`` when it has no place for rows of this kind.
    """
    parameters = inspect.signature(build).parameters
    if not any(name in parameters for name in TAKEN):
        raise ProgramError(
            f"{program} takes no data but its own: its build() has none of the parameters {', '.join(TAKEN)}, which "
            "are filled from the data. Give build() those that it needs, or write load() so that it reads the data."
        )
    if rows.kind == "sentences":
        if "vocabulary" not in parameters:
            raise ProgramError(
                f"{program} takes no sentences: its build() has no parameter `vocabulary`. {rows.source}"
            )
        found = {"vocabulary": rows.vocabulary, "max_length": rows.x.shape[1]}
    else:
        if "features" not in parameters and "shape" not in parameters:
            raise ProgramError(
                f"{program} takes sentences alone, one per line of a .txt file: its build() has neither `features` nor "
                f"`shape`. {rows.source} has {rows.kind}."
            )
        found = {"features": math.prod(rows.x.shape[1:]), "shape": tuple(rows.x.shape[1:])}
    return {name: value for name, value in found.items() if name in parameters}


def data_of(module: ModuleType, rows: Rows) -> dict[str, Any]:
    """What the model is called with: what the file's ``from_rows(rows)`` makes of them, else ``x`` alone.

    Rows are flattened for a program whose ``build`` has ``features`` and no ``shape``.
    """
    if hasattr(module, "from_rows"):
        return dict(module.from_rows(rows))
    parameters = inspect.signature(module.build).parameters
    flat = rows.kind != "sentences" and "features" in parameters and "shape" not in parameters
    return {"x": rows.x.flatten(1) if flat else rows.x}


def rows_of(module: ModuleType, data: Mapping[str, Any], own: Rows | None) -> Rows | None:
    """The rows ``x`` of the data with what is known about them: a person's own, or the file's.

    Of the file's own, ``vocabulary()``, ``labels()`` and ``image``, an image's shape where its pixels are in one row,
    say what they are.
    """
    x = data.get("x")
    if not isinstance(x, Tensor):
        return None
    if own is not None:
        if own.vocabulary is not None and x.is_floating_point():  # bags of words: a column each
            return replace(own, x=x, kind="arrays", columns=own.vocabulary.words)
        return replace(own, x=x)
    labels = module.labels() if callable(getattr(module, "labels", None)) else data.get("y")
    known: dict[str, Any] = {"labels": labels, "source": str(module.__file__), "placed": ", load(): row "}
    names = tuple(str(name) for name in getattr(module, "LABELS", ()))
    known["label_names"] = names or (() if labels is None else tuple(map(str, range(int(labels.max()) + 1))))
    if callable(getattr(module, "vocabulary", None)):
        return Rows(x, "sentences", vocabulary=module.vocabulary(), **known)
    image = tuple(getattr(module, "image", ())) or _image(x)
    return Rows(x, "images", image=image, **known) if image else Rows(x, **known)


def _image(x: Tensor) -> tuple[int, int, int] | None:
    shape = tuple(x.shape[1:])
    return shape if x.is_floating_point() and len(shape) == 3 and shape[0] in (1, 3) else None


def check_rows_of(rows: Rows, data: Mapping[str, Any], vae: Any) -> None:
    """Let the VAE look at a person's own rows, and say where in their file the first that it cannot take is.

    Raises :class:`~pyro_vae.errors.DataError` naming file and row.
    """
    try:
        vae.check_data(data["x"])
    except DataError as error:
        remedy = ""
        if "from 0 to 1" in str(error):
            remedy = (
                ' Scale them with --scale unit (scale="unit"), or take a program with a Gaussian likelihood (vae_digits'
                " has --size likelihood=gaussian)."
            )
        where = rows.source if error.row is None else rows.place(error.row)
        raise DataError(f"{where}: {error}{remedy}", error.row) from error


def part_of(data: Mapping[str, Any], index: Tensor, rows: int) -> dict[str, Any]:
    """Of every tensor that has a first size of ``rows``, these rows; anything else as it is.

    >>> import torch
    >>> part_of({"x": torch.arange(4), "scale": 2.0}, torch.tensor([0, 2]), 4)
    {'x': tensor([0, 2]), 'scale': 2.0}
    """
    return {
        name: value[index] if isinstance(value, Tensor) and value.dim() and len(value) == rows else value
        for name, value in data.items()
    }
