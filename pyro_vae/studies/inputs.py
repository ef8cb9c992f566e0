"""What a person gives to a study, made uniform: a program, and its guides by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyro_vae.catalogue import Program, load_program
from pyro_vae.errors import ModelError, OptionError
from pyro_vae.guides import autoguide, names

DEFAULT_GUIDES = ("auto_normal", "auto_multivariate_normal")


def program_of(
    model: Callable | Program | str | Path,
    data: Any = None,
    *,
    baseline_model: Callable | None = None,
    coords: Mapping[str, Any] | None = None,
    dims: Mapping[str, Any] | None = None,
) -> Program:
    """The program that was named, loaded or given as a bare model; what is given beside it takes precedence.

    >>> program_of("funnel").name
    'funnel'
    """
    if isinstance(model, (str, Path)):
        program = load_program(model)
    elif isinstance(model, Program):
        program = model
    elif callable(model):
        name = getattr(model, "__name__", type(model).__name__)
        program = Program(name=name, path=None, model=model, data=None, story=model.__doc__ or "")
    else:
        raise ModelError(
            f"model: expected a Pyro model, a program's name or path, or a Program, got {type(model).__name__}."
        )
    given = {"data": data, "baseline_model": baseline_model, "coords": coords, "dims": dims}
    changes = {key: value for key, value in given.items() if value is not None}
    if data is not None:
        # What is known exactly is known about the posterior given the program's own data.
        changes |= {"reference": None, "exact_draws": None, "reference_draws": None}
    return replace(program, **changes)


def guides_of(guides: Mapping[str, Any] | Iterable[Any] | Any | None, program: Program) -> dict[str, Any]:
    """The guides to judge, by name: the given ones, else the program's own, else mean-field and full-rank normals.

    A name stands for the program's guide of that name, or for an automatic guide. Raises
    :class:`~pyro_vae.errors.OptionError` with the nearest names.

    >>> list(guides_of(None, program_of("funnel")))
    ['auto_normal', 'auto_multivariate_normal']
    """
    if guides is None:
        guides = dict(program.guides) or DEFAULT_GUIDES
    if isinstance(guides, str) or callable(guides):
        guides = [guides]
    if not isinstance(guides, Mapping):
        guides = _by_name(guides)
    if not guides:
        raise OptionError("guides: expected at least one guide, got none.")
    return {str(name): _guide(guide, program) for name, guide in guides.items()}


def _by_name(guides: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for guide in guides:
        name = guide if isinstance(guide, str) else getattr(guide, "__name__", type(guide).__name__)
        if name in found:
            raise OptionError(
                f"guides: '{name}' is there twice. Give a dict whose keys tell the guides apart: "
                f"{{'{name} a': ..., '{name} b': ...}}."
            )
        found[name] = guide
    return found


def _guide(guide: Any, program: Program) -> Any:
    """A name of the program's own guides becomes that guide; a name of an automatic guide is checked; others pass."""
    if not isinstance(guide, str):
        if not callable(guide):
            raise OptionError(f"guides: expected a guide or an autoguide's name, got {type(guide).__name__}.")
        return guide
    if guide in program.guides:
        return program.guides[guide]
    try:
        autoguide(guide, program.model)
    except OptionError as error:
        near = difflib.get_close_matches(guide, program.guides, n=1)
        own = ", ".join(program.guides) or "none"
        hint = f" Nearest of the program's own: {near[0]}." if near else f" The program's own guides: {own}."
        raise OptionError(f"{error}{hint}") from error
    return guide


def guide_names(program: Program) -> list[str]:
    """Every name that ``guides`` may have for this program: its own, then the automatic ones."""
    return [*program.guides, *names()]


def rows_of(data: Any) -> Any:
    """The data as one batch: a ``DataLoader``'s whole dataset, anything else as it is."""
    from torch.utils.data import DataLoader

    from pyro_vae.training.batches import whole_dataset

    return whole_dataset(data) if isinstance(data, DataLoader) else data
