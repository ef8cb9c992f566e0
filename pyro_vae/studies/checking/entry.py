"""``check``: look at a pair once, and say all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch.utils.data import DataLoader

from pyro_vae.errors import DataError, ModelError
from pyro_vae.guides.automatic import as_guide
from pyro_vae.particles.calls import call_arguments
from pyro_vae.particles.handlers import prepare_autoguides
from pyro_vae.studies.checking.finding import Finding, sentences
from pyro_vae.studies.checking.look import Look, arrays_of
from pyro_vae.studies.checking.registry import ROWS, row
from pyro_vae.studies.checking.result import Check
from pyro_vae.studies.checking.untouched import untouched
from pyro_vae.training.batches import Minibatches
from pyro_vae.training.prepare import forget_made


def check(
    model: Callable,
    guide: Callable | str | None = None,
    data: Any = None,
    *,
    estimator: Any = None,
    num_particles: int | None = None,
    seed: int = 0,
) -> Check:
    """Say what is wrong with a model and guide, before anything is fitted.

    The pair is run a few times; random numbers, the param store, modules, data and switches are then as they were.
    All findings are collected, where :func:`~pyro_vae.fit` stops at the first.

    Args:
        model: a Pyro program.
        guide: a Pyro program, an autoguide or its name. None looks at the model alone, and at what NUTS would trip on.
        data: what both are called with, as for :func:`~pyro_vae.fit`: a dict, a tuple, a tensor, or a ``DataLoader``,
            of which the first batch is taken.
        estimator: an estimator, its name or an ELBO of Pyro's; given one, the sites that it cannot take are found too.
        num_particles: the draws per step that a fit would take (16).
        seed: of the random numbers that the runs draw.

    Returns:
        the :class:`~pyro_vae.studies.checking.Check`: ``print`` it, iterate over it, ask ``ok``.

    Raises:
        ModelError: when the model cannot be called at all.
        OptionError: for a guide or an estimator whose name is not known.

    >>> import pyro, torch, pyro.distributions as dist, pyro_vae as pv
    >>> def model(x):
    ...     scale = pyro.sample("scale", dist.HalfNormal(1.0))
    ...     with pyro.plate("data", len(x)):
    ...         pyro.sample("x", dist.Normal(0.0, scale), obs=x)
    >>> def guide(x):
    ...     pyro.sample("scale", dist.Normal(pyro.param("loc", torch.tensor(1.0)), 0.5))
    >>> found = pv.check(model, guide, torch.tensor([0.5, 1.5]))
    >>> [(finding.code, finding.site) for finding in found], found.ok
    ([('support', 'scale')], False)
    """
    if not callable(model):
        raise ModelError(f"model: expected a callable, got {type(model).__name__}.")
    names = _name(model), None if guide is None else _name(guide)
    made = None if guide is None else as_guide(guide, model)
    try:
        args, kwargs = _first_arguments(data)
    except DataError as error:
        return Check((_stamped("data", Finding(*sentences(error))),), *names)
    arrays = arrays_of(model, args, kwargs)
    programs = [program for program in (model, made) if program is not None]
    with untouched(programs, arrays.values(), seed):
        if isinstance(guide, str):
            forget_made(f"{type(made).__name__}.")
        if made is not None:
            prepare_autoguides(made)
        look = Look(model, made, args, kwargs, data, estimator, num_particles, seed).collect()
        for entry in ROWS:
            look.found.extend(_stamped(entry.code, finding) for finding in entry.find(look))
        findings = sorted(look.found, key=lambda finding: finding.severity != "error")
    return Check(tuple(findings), *names)


def _stamped(code: str, finding: Finding) -> Finding:
    entry = row(code)
    return replace(finding, code=code, severity=entry.severity, why=finding.why or entry.why)


def _first_arguments(data: Any) -> tuple[tuple, dict[str, Any]]:
    """The first batch of a loader; other data as they are, impossible numbers too."""
    return Minibatches(data).peek() if isinstance(data, DataLoader) else call_arguments(data, check=False)


def _name(program: Callable | str) -> str:
    if isinstance(program, str):
        return program
    return getattr(program, "__name__", type(program).__name__)
