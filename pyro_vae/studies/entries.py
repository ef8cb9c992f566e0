"""What a comparison has a row for: a guide, or a guide and one of several gradient estimators, by a readable name."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyro.infer
from torch import nn

from pyro_vae.catalogue import Program
from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import OptionError
from pyro_vae.estimators import Estimator, by_name, name_of
from pyro_vae.studies.inputs import guides_of


@dataclass(frozen=True)
class Entry:
    """One fit of a comparison. ``guide_name`` is the guide's name, ``estimator`` as ``fit`` takes it."""

    guide_name: str
    guide: Any
    estimator: Any = None

    def objective(self) -> Any:
        """The estimator for one fit. An ELBO learns and remembers (a baseline, say), so each fit has a copy."""
        if not isinstance(self.estimator, pyro.infer.ELBO):
            return self.estimator
        own = copy.copy(self.estimator)
        for name, value in vars(own).items():
            if isinstance(value, nn.Module):
                setattr(own, name, copy.deepcopy(value))
        return own


@dataclass(frozen=True)
class Entries:
    """The entries of a comparison by name. ``kind`` says what a name is the name of, ``several`` whether gradient
    estimators are compared, that is, whether a list or dict of them was given."""

    by_name: Mapping[str, Entry]
    kind: str = "guide"
    several: bool = False

    @property
    def estimators(self) -> str:
        """The names of the estimators, each once."""
        return ", ".join(dict.fromkeys(name.rpartition(" / ")[2] for name in self.by_name))


def entries_of(guides: Any, estimator: Any, program: Program) -> Entries:
    """The entries for what a person gave.

    One estimator: an entry per guide, under the guide's name. A list or dict of estimators: an entry per guide and
    estimator, called "guide / estimator", or like the estimator if there is one guide; with no guide given, the
    program's first, else ``auto_normal``. Raises :class:`~pyro_vae.errors.OptionError` for a name that is not known.

    >>> from pyro_vae.studies.inputs import program_of
    >>> list(entries_of(None, ["dreg", by_name("iwae")], program_of("funnel")).by_name)
    ['dreg', 'iwae']
    """
    chosen = _estimators(estimator)
    if chosen is None:
        return Entries({name: Entry(name, guide, estimator) for name, guide in guides_of(guides, program).items()})
    found = guides_of([next(iter(program.guides), "auto_normal")] if guides is None else guides, program)
    one = len(found) == 1
    entries = {
        estimator_name if one else f"{name} / {estimator_name}": Entry(name, guide, given)
        for name, guide in found.items()
        for estimator_name, given in chosen.items()
    }
    return Entries(entries, "estimator" if one else "guide / estimator", several=True)


def _estimators(given: Any) -> dict[str, Any] | None:
    """Several estimators by name; None if it is one, or the default."""
    if given is None or isinstance(given, (str, Estimator, pyro.infer.ELBO)) or not isinstance(given, Iterable):
        return None
    return estimators_by_name(given, "estimator")


def estimators_by_name(given: Any, option: str) -> dict[str, Any]:
    """Estimators by the names to show, from one, a list or a dict of them; ``option`` is what the person gave them as.

    Raises :class:`~pyro_vae.errors.OptionError` for none, for a name that is there twice, and for what is none.
    """
    if isinstance(given, (str, Estimator, pyro.infer.ELBO)) or not isinstance(given, Iterable):
        given = [given]
    pairs = list(given.items()) if isinstance(given, Mapping) else [(_name(one), one) for one in given]
    if not pairs:
        raise OptionError(f"{option}: expected at least one estimator, got none.")
    found: dict[str, Any] = {}
    for name, one in pairs:
        if name in found:
            raise OptionError(
                f"{option}: '{name}' is there twice. Give a dict whose keys tell the two apart: "
                f"{{'{name} a': ..., '{name} b': ...}}."
            )
        found[str(name)] = _estimator(str(name), one)
    return found


def _estimator(name: str, given: Any) -> Any:
    if isinstance(given, pyro.infer.ELBO):
        return given
    if isinstance(given, (str, Estimator)):
        return by_name(given)
    raise OptionError(
        f"estimator '{name}': expected an estimator, its name or a pyro.infer.ELBO, got {type(given).__name__}."
    )


def _name(given: Any) -> str:
    if isinstance(given, (str, Estimator)):
        return name_of(by_name(given))
    if isinstance(given, TraceELBO):
        return f"{name_of(given.estimator)} (K={given.num_particles})"
    return type(given).__name__
