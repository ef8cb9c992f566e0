"""Findings about programs that are not the same program twice: they count, draw elsewhere, or write into their data."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.look import Look
from pyro_vae.studies.checking.source import definition


def changed_data(look: Look) -> Iterator[Finding]:
    """A program writes into what it was given."""
    for visit in look.visits:
        program = look.guide if visit.role == "guide" else look.model
        for label in visit.changed:
            yield Finding(
                f"The {visit.role} writes into its argument '{label}': after one run the data are others.",
                "Make a new tensor, x = x - x.mean(), in place of x -= x.mean(), x[...] = or x.add_(); or work on "
                "x.clone().",
                where=definition(program) if program is not None else None,
                line=f"{label} = {label}.clone()" if label.isidentifier() else None,
            )


def counts_its_runs(look: Look) -> Iterator[Finding]:
    """Two runs from one seed differ."""
    if look.run is None:
        return
    found = _first_difference(look.again(look.seed), look.again(look.seed, repeat=1))
    if found is not None:
        role, name = found
        yield Finding(
            f"Two runs from the same seed give site '{name}' of the {role} different densities: something outside the "
            "program changes from run to run.",
            "Take the counter, clock, generator or list that the program changes out of it, or keep it in a module's "
            "buffer; for a KL that grows use annealing= of pv.fit.",
            site=name,
            where=_where(look, role, name),
        )


def draws_elsewhere(look: Look) -> Iterator[Finding]:
    """The program draws from NumPy's or Python's generator."""
    if look.run is None or look.has("changes-between-runs"):
        return
    found = _first_difference(look.again(look.seed), look.again(look.seed, python_seed=look.seed + 1))
    if found is not None:
        role, name = found
        yield Finding(
            f"Site '{name}' of the {role} depends on random numbers of NumPy or Python.",
            "Draw them with pyro.sample if they are unknowns of the model, with torch (torch.randn) if not, or once, "
            "before the fit.",
            site=name,
            where=_where(look, role, name),
        )


def _first_difference(
    one: dict[tuple[str, str], Tensor], other: dict[tuple[str, str], Tensor]
) -> tuple[str, str] | None:
    for key, value in one.items():
        if key not in other or value.shape != other[key].shape:
            return key
        if not torch.allclose(value, other[key], rtol=1e-4, atol=1e-4, equal_nan=True):
            return key
    return None


def _where(look: Look, role: str, name: str):
    return (look.of_guide if role == "guide" else look.of_model).where(name)
