"""A bound on rows that the fit does not see: measured on the way, the best values kept, the run stopped by it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyro
import torch
from torch.utils.data import DataLoader

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import DataError, OptionError
from pyro_vae.nets.modes import evaluating
from pyro_vae.particles.calls import call_arguments
from pyro_vae.particles.data import Particles
from pyro_vae.particles.tracing import draw
from pyro_vae.training.batches import Arguments
from pyro_vae.training.objective import Objective
from pyro_vae.training.parameters import Parameters, assign, copy_of
from pyro_vae.training.randomness import kept_randomness
from pyro_vae.training.scales import batch_size
from pyro_vae.training.shares import Share, epoch_of
from pyro_vae.training.storage import to_device
from pyro_vae.training.team import Team
from pyro_vae.training.terms import terms_of

EVERY = 500  # steps, without epochs
_SEED = 20_140_116  # of the draws of every check: values differ by the parameters alone


@dataclass(frozen=True)
class Validation:
    """What a fit is checked on while it runs, for ``fit(validation=...)``.

    The bound is the mean per row, in nats, with modules in evaluation mode, at beta 1 and without free bits, with the
    same random numbers at every check. Rows are counted in the plate around the observed sites. The values with the
    best bound are kept: they are the fit's, if those at its end are not better.

    Args:
        data: rows that are not trained on, as ``fit`` takes its data; a ``DataLoader`` is gone through once per check.
        every: steps between two checks; None is an epoch, or 500 steps without one.
        patience: end the run after this many checks without a better bound; None never does.
        terms: record the parts of the bound at each check too, as ``fit.terms``: the reconstruction, and the KL of
            every latent, of a VAE by dimension. They come from the draws of the check, so they cost next to nothing.
        best: a path to which the best values so far are written, as a checkpoint that
            :func:`~pyro_vae.load_fit` reads; with several starts, the best of all of them.

    Raises: ``OptionError`` naming the option.

    >>> import pyro_vae as pv, torch, pyro, pyro.distributions as dist
    >>> def model(x):
    ...     with pyro.plate("data", len(x)):
    ...         z = pyro.sample("z", dist.Normal(0.0, 1.0))
    ...         pyro.sample("x", dist.Normal(z, 1.0), obs=x)
    >>> def guide(x):
    ...     slope = pyro.param("slope", torch.tensor(0.0))
    ...     with pyro.plate("data", len(x)):
    ...         pyro.sample("z", dist.Normal(slope * x, 0.7))
    >>> x = torch.linspace(-2, 2, 40)
    >>> result = pv.fit(model, guide, x[::2], validation=Validation(x[1::2], every=50), steps=300, seed=0)
    >>> result.validation.shape[1], bool(result.validation[-1, 1] > result.validation[0, 1] - 0.01)
    (2, True)
    """

    data: Any
    every: int | None = None
    patience: int | None = 10
    best: str | Path | None = None
    terms: bool = False

    @classmethod
    def of(cls, given: Any) -> Validation | None:
        """What a person gave as ``validation``: this, or the data alone."""
        return given if given is None or isinstance(given, cls) else cls(given)

    def __post_init__(self) -> None:
        for name in ("every", "patience"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise OptionError(f"validation: {name} must be a positive whole number or None, got {value!r}.")
        if not isinstance(self.terms, bool):
            raise OptionError(f"validation: terms must be True or False, got {self.terms!r}.")


class Watch:
    """The checks of one run: ``rows`` has (step, bound per row, terms per row), of which ``names`` has the names;
    ``params`` and ``buffers`` are the best so far."""

    def __init__(self, validation: Validation, objective: Objective, team: Team, device: Any, every: int):
        self.validation, self.objective, self.team, self.device = validation, objective, team, device
        self.every = every
        self.rows: list[tuple[float, ...]] = []
        self.names: tuple[str, ...] = ()
        self.best: tuple[int, float] | None = None
        self.params: Parameters = {}
        self.buffers: Parameters = {}

    def look(self, step: int, params: Parameters) -> bool:
        """Check, if it is time to; whether the bound is the best so far."""
        if not step or step % self.every or (self.rows and self.rows[-1][0] == step):
            return False
        value, terms = self._value()
        self.rows.append((step, value, *terms))
        if not self._better(value):
            return False
        self.best, self.params, self.buffers = (step, value), copy_of(params), copy_of(self.objective.buffers())
        return True

    def reason_to_stop(self) -> str:
        """One sentence, when patience is at its end; nothing otherwise."""
        patience = self.validation.patience
        if patience is None or self.best is None:
            return ""
        since = sum(row[0] > self.best[0] for row in self.rows)
        if since < patience:
            return ""
        return f"stopped at step {self.rows[-1][0]:.0f}: the validation bound has been best at step {self.best[0]}"

    def put_back(self, step: int, params: Parameters) -> int | None:
        """Leave the best values in place; their step, if they are not those that were in place already."""
        value, terms = self._value()
        if self.best is None or self._better(value, equal=True):
            self.rows.append((step, value, *terms))
            return None
        assign({name: leaf for name, leaf in params.items() if name in self.params}, self.params)
        assign(self.objective.buffers(), self.buffers)
        checked = next(row for row in self.rows if row[0] == self.best[0])
        self.rows.append((step, *checked[1:]))
        return self.best[0]

    def _value(self) -> tuple[float, tuple[float, ...]]:
        """The bound per row, and its terms where these are asked for."""
        check = checked(self.objective, self.validation, self.team, self.device)
        self.names = check.names
        return check.bound, check.terms

    def _better(self, value: float, *, equal: bool = False) -> bool:
        if self.best is None:
            return math.isfinite(value)
        now, best = self.objective.worth(value), self.objective.worth(self.best[1])
        return now > best or (equal and now == best)

    def tree(self) -> dict[str, Any]:
        """Everything that the next check depends on."""
        return {
            "rows": list(self.rows),
            "names": list(self.names),
            "best": self.best,
            "params": self.params,
            "buffers": self.buffers,
        }

    def restore(self, tree: Mapping[str, Any]) -> None:
        """Go on from a :meth:`tree`."""
        self.rows, self.names = [tuple(row) for row in tree["rows"]], tuple(tree.get("names", ()))
        self.best, self.params, self.buffers = tree["best"], dict(tree["params"]), dict(tree["buffers"])


class Check(NamedTuple):
    """What one pass through the data found, per row in nats: the bound, and the ``terms`` that have ``names``."""

    bound: float
    names: tuple[str, ...]
    terms: tuple[float, ...]


def checked(objective: Objective, validation: Validation, team: Team | None = None, device: Any = None) -> Check:
    """The means per row over one pass through the data; processes share the batches out.

    Modules are in evaluation mode; buffers and random numbers stay as they were. Raises
    :class:`~pyro_vae.errors.DataError` when there are no rows.
    """
    team = Team() if team is None else team
    trained, objective, buffers = objective, objective.unweighted(), copy_of(objective.buffers())
    names: tuple[str, ...] = ()
    sums, rows = np.zeros(1), 0
    with kept_randomness(), torch.no_grad(), pyro.validation_enabled(False), evaluating(*objective.modules().values()):
        pyro.set_rng_seed(_SEED + team.rank)
        for arguments in _once(validation.data, Share(team.rank, team.size), device):
            bound, particles = _evaluated(objective, arguments)
            present, full = _rows(particles, arguments)
            found = terms_of(objective, particles, arguments) if validation.terms else {}
            names = tuple(found)
            sums = sums + np.array([bound, *found.values()]) * present / full
            rows += present
    live = trained.buffers()
    assign({name: live[name] for name in buffers}, buffers)
    parts = [part for part in team.gather((names, sums, rows)) if part[2]]
    if not parts:
        raise DataError("validation: the data have no rows. Give a DataLoader or tensor with some.")
    names, count = parts[0][0], sum(part[2] for part in parts)
    bound, *terms = (np.sum([part[1] for part in parts], axis=0) / count).tolist()
    return Check(bound, names, tuple(terms))


def bound_per_row(objective: Objective, data: Any, team: Team | None = None, device: Any = None) -> float:
    """The mean bound per row, see :func:`checked`."""
    return checked(objective, Validation(data), team, device).bound


def _once(data: Any, share: Share, device: Any) -> Iterator[Arguments]:
    own = data.generator.get_state() if isinstance(data, DataLoader) and data.generator is not None else None
    for batch in epoch_of(data, share, 0, share.rank, 0) if isinstance(data, DataLoader) else (data,):
        args, kwargs = call_arguments(batch)
        yield to_device(args, device), to_device(kwargs, device)
    if own is not None:  # the next check goes through the rows in the same order, with the same noise for each
        data.generator.set_state(own)


def _evaluated(objective: Objective, arguments: Arguments) -> tuple[float, Particles]:
    """The bound of a batch, and draws of it."""
    args, kwargs = arguments
    if isinstance(objective.elbo, TraceELBO):
        particles = objective.elbo.particles(objective.model, objective.guide, *args, **kwargs)
        return objective.elbo.estimate_from(particles).bound.item(), particles
    bound = objective(args, kwargs).bound
    return bound.item(), draw(objective.model, objective.guide, args, kwargs, num_particles=1)


def _rows(particles: Particles, arguments: Arguments) -> tuple[int, int]:
    """Of the plates around observed sites: that of the batch's rows, else one that is subsampled, else the first."""
    present = batch_size(arguments)
    plates = [plate for site in particles.observed for plate in site.plates if plate.vectorized]
    for suits in (lambda plate: plate.size == present, lambda plate: plate.size != plate.full_size, lambda plate: True):
        for plate in plates:
            if suits(plate):
                return plate.size, plate.full_size
    return 1, 1
