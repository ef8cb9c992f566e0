"""``Potential``: the log density of a model's latent sites on the unconstrained scale, with a compiled gradient."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor

from pyro_vae.errors import ModelError, OptionError
from pyro_vae.particles.plan import Plan, plan_pair
from pyro_vae.particles.state import unobserved
from pyro_vae.particles.tracing import run_model
from pyro_vae.potential.compiled import TOLERANCE, Gradient, as_numpy, compile_gradient, disagreement
from pyro_vae.potential.enumerated import enumerated_log_joint
from pyro_vae.potential.precision import double_precision, widest
from pyro_vae.potential.reading import Reader
from pyro_vae.potential.sites import LatentSite, find_latents

_TRIES = 100  # starting points per chain before the model is said to have none
_RADIUS = 2.0  # starts are uniform within this of 0 on the unconstrained scale, as Stan's
_lock = threading.RLock()  # Pyro's handler stack belongs to the whole process: one evaluation at a time


class Potential:
    r"""log p(x, z) + log |dz/du| as a function of one flat vector u of real numbers, ``[D]``.

    Every continuous latent site is mapped from the real line by ``biject_to(support)``, with its support as it is at
    the current values of the sites before it. Discrete latent sites are summed out. Computes in 64 bits whatever the
    model's data and modules are. Flat priors (``dist.ImproperUniform``) add nothing.

    Args:
        model: a Pyro program.
        args: its positional arguments.
        kwargs: its keyword arguments.
        compiled: False keeps the gradient in eager mode.

    Raises:
        ModelError: no latent site, a subsampled plate, a discrete site that cannot be summed out, or a density that
            is random; names the site or plate.

    >>> import pyro, pyro.distributions as dist
    >>> def model():
    ...     pyro.sample("scale", dist.Exponential(1.0))
    >>> potential = Potential(model, compiled=False)
    >>> potential.names, potential.size
    (('scale',), 1)
    >>> value, gradient = potential.value_and_grad(np.array([0.0]))  # u - exp(u) at u = 0
    >>> round(value, 3), gradient.round(3).tolist()
    (-1.0, [0.0])
    """

    def __init__(
        self, model: Callable, args: tuple = (), kwargs: Mapping[str, Any] | None = None, *, compiled: bool = True
    ):
        self.model, self.args, self.kwargs = model, tuple(args), dict(kwargs or {})
        self._compiled = compiled
        with unobserved(model), torch.no_grad():
            latents = find_latents(model, self.args, self.kwargs)
        self.sites: tuple[LatentSite, ...] = latents.sites
        self.discrete: tuple[str, ...] = latents.discrete
        self._plan = latents.plan
        ends = np.cumsum([0, *(site.size for site in self.sites)]).tolist()
        self._where = {site.name: slice(*pair) for site, pair in zip(self.sites, pairwise(ends), strict=True)}
        self.size: int = ends[-1]
        self.precision = widest(self._probe, model)

    @property
    def names(self) -> tuple[str, ...]:
        """The continuous latent sites, in the model's order."""
        return tuple(site.name for site in self.sites)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """``[*plates, *event]`` of each site on its own support."""
        return {site.name: site.shape for site in self.sites}

    @property
    def fixed(self) -> bool:
        """Whether every support is always the same; Uniform(0, 1 - α) beside a latent α is not."""
        return all(site.fixed for site in self.sites)

    def log_density(self, flat: Tensor) -> Tensor:
        """The log density at ``flat``, ``[D]``, as a differentiable scalar; eager."""
        with self._evaluating():
            return self._joint(flat.unsqueeze(0))

    def value_and_grad(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """The log density at ``flat``, ``[D]``, and its gradient, ``[D]``; compiled at the first call."""
        return self.gradient.evaluate(flat)

    def values_and_grads(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The log densities at ``points`` ``[K, D]``, as ``[K]``, and their gradients ``[K, D]``; eager.

        One run of the model for many points, where it allows a further axis of its batch dims, and one for each where
        it does not. Where linear algebra breaks down at one of many points, each is run by itself.
        """
        points = np.asarray(points, dtype=np.float64)
        if len(points) > 1 and self.at_once:
            try:
                return self._at_once(points)
            except (torch.linalg.LinAlgError, ModelError):
                pass
        evaluate = as_numpy(self._pair)
        values, gradients = zip(*(evaluate(point) for point in points), strict=True)
        return np.array(values), np.stack(gradients)

    @property
    def at_once(self) -> bool:
        """Whether many points are evaluated in one run of the model."""
        return self._many.vectorize and not self.discrete

    def _at_once(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with self._evaluating(), torch.enable_grad():
            leaf = torch.from_numpy(points.copy()).requires_grad_(True)
            reader = self._reader(leaf, width=self._many.max_plate_nesting + 1)
            run = run_model(
                self.model, self.args, self.kwargs, num_particles=len(points), values=reader, plan=self._many
            )
            values = run.log_p() + reader.log_jacobian
            (gradients,) = torch.autograd.grad(values.sum(), leaf)
        return values.detach().double().numpy(), gradients.numpy()

    @cached_property
    def _many(self) -> Plan:
        """How the model is run at many points."""
        with unobserved(self.model), torch.no_grad(), self._evaluating(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the loop is what a fit or a draw would tell of
            return plan_pair(self.model, None, self.args, self.kwargs)

    @cached_property
    def gradient(self) -> Gradient:
        """The compiled value and gradient; ``.backend`` says how it is run and ``.why`` why not faster."""
        rng = np.random.default_rng(0)
        points = [rng.uniform(-radius, radius, self.size) for radius in (0.1, 0.5, 1.0, 1.0, 2.0, 2.0, 2.0, 4.0)]
        eager = as_numpy(self._pair)
        first, second = eager(points[1]), eager(points[1])
        if disagreement(lambda _: first, points[1:2], [second]) > 0:
            raise ModelError(
                "The model's log density is random: it differed between two evaluations at the same point. NUTS needs "
                "one density: put dropout and the like in eval mode, and draw random numbers only in pyro.sample."
            )
        if not self._compiled:
            return Gradient(eager, "eager", "not asked for")
        tolerance = TOLERANCE if self.precision is double_precision else 1e-4
        return compile_gradient(self._pair, points, tolerance=tolerance)

    def check(self, points: Sequence[np.ndarray]) -> float:
        """The largest relative difference between compiled and eager at ``points``, ``[D]`` each: 0 up to rounding."""
        eager = as_numpy(self._pair)
        return disagreement(self.gradient.evaluate, points, [eager(point) for point in points])

    def use_eager(self, why: str) -> None:
        """Give the compiled gradient up for the eager one from now on."""
        self.gradient = Gradient(as_numpy(self._pair), "eager", why)

    def constrain(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Unconstrained draws ``[S, D]`` as values on the sites' supports, ``{site: [S, *plates, *event]}``."""
        free = torch.as_tensor(np.asarray(flat, dtype=np.float64))
        values: dict[str, Tensor] = {}
        with torch.no_grad(), self._evaluating():
            if self.fixed:
                for site in self.sites:
                    part = free[:, self._where[site.name]].reshape(len(free), *site.unconstrained)
                    values[site.name] = site.transform(part).reshape(len(free), *site.shape)
            else:  # a support that moves is known only where its model is run
                rows = [self._values_at(row.unsqueeze(0)) for row in free]
                values = {site.name: torch.cat([row[site.name] for row in rows]) for site in self.sites}
        return {name: value.double().cpu().numpy() for name, value in values.items()}

    def unconstrain(self, values: Mapping[str, Any]) -> np.ndarray:
        """One value per site, ``{site: [*plates, *event]}``, as one unconstrained vector ``[D]``.

        Raises: :class:`~pyro_vae.errors.OptionError` for a site that is missing, of another shape, or outside its
        support.
        """
        missing = [name for name in self.names if name not in values]
        if missing:
            raise OptionError(f"Values: expected one for each of {list(self.names)}, and {missing} are missing.")
        return self._start(values, np.zeros(self.size))

    def initial(self, chains: int, seed: int, init: Mapping[str, Any] | None = None) -> np.ndarray:
        """Starting points far apart, ``[chains, D]``: uniform within 2 of 0 on the unconstrained scale, as Stan's.

        ``init`` gives values ``{site: [*plates, *event]}`` (or what broadcasts to it) for some or all sites; chains
        then start within 1/2 of these. Points where density or gradient are not finite are drawn again.

        Raises: :class:`~pyro_vae.errors.ModelError` naming the site when a hundred points per chain are all impossible.
        """
        streams = [np.random.default_rng([seed, chain]) for chain in range(chains)]
        return np.stack([self.start(stream, init) for stream in streams])

    def start(self, rng: np.random.Generator, init: Mapping[str, Any] | None = None) -> np.ndarray:
        """One starting point ``[D]``, see :meth:`initial`."""
        point = np.zeros(self.size)
        for _ in range(_TRIES):
            point = rng.uniform(-_RADIUS, _RADIUS, self.size)
            if init:
                near = self._start(init, point)
                point = np.where(near == point, point, near + point / (2 * _RADIUS))
            value, gradient = self.value_and_grad(point)
            if np.isfinite(value) and np.isfinite(gradient).all():
                return point
        raise ModelError(self._impossible(point))

    def _impossible(self, point: np.ndarray) -> str:
        where = "its gradient is not finite"
        if not self.discrete:
            with torch.no_grad(), self._evaluating():
                run = self._run(self._reader(torch.as_tensor(point).unsqueeze(0)))
            totals = {site.name: site.log_p.total().item() for site in run.sites.values() if site.log_p is not None}
            bad = [name for name, total in totals.items() if not math.isfinite(total)]
            where = f"site '{bad[0]}' has log-probability {totals[bad[0]]}" if bad else where
        return (
            f"No starting point with a finite density after {_TRIES} tries: at the last one, {where}. Check that "
            "site's parameters and data, or give starting values with init={site: value}."
        )

    def _start(self, init: Mapping[str, Any], point: np.ndarray) -> np.ndarray:
        """``point`` with the given sites' entries replaced; sites are visited in order: supports are current."""
        unknown = [name for name in init if name not in self._where]
        if unknown:
            raise OptionError(
                f"init: the model has no continuous latent site '{unknown[0]}'; it has {list(self.names)}."
            )
        reader = self._reader(torch.as_tensor(point).unsqueeze(0), init)
        with torch.no_grad(), self._evaluating():
            self._run(reader)
        return reader.free[0].double().cpu().numpy()

    def _values_at(self, free: Tensor) -> dict[str, Tensor]:
        reader = self._reader(free)
        self._run(reader)
        return reader.values

    def _pair(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Density and gradient through autograd: what is traced and compiled, and what that is held against."""
        with self._evaluating(), torch.enable_grad():
            leaf = flat.detach().requires_grad_(True)
            value = self._joint(leaf.unsqueeze(0))
            if not value.requires_grad:
                return value.detach().double(), torch.zeros_like(flat)
            (gradient,) = torch.autograd.grad(value, leaf)
        return value.detach().double(), gradient

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        store = pyro.get_param_store()
        with _lock, store.scope(store.get_state()), self.precision(), pyro.validation_enabled(False):
            yield

    def _reader(self, free: Tensor, given: Mapping[str, Any] | None = None, width: int | None = None) -> Reader:
        width = self._plan.max_plate_nesting if width is None else width
        return Reader(self.sites, self._where, self.discrete, width, free, given)

    def _probe(self) -> None:
        with pyro.validation_enabled(False):
            self._joint(torch.zeros(1, self.size))

    def _joint(self, free: Tensor) -> Tensor:
        """log p and log-Jacobian at ``free``, ``[1, D]``; scalar."""
        reader = self._reader(free)
        if self.discrete:
            nesting = self._plan.max_plate_nesting
            joint = enumerated_log_joint(self.model, self.args, self.kwargs, reader, self.discrete, nesting)
        else:
            joint = self._run(reader).log_p().squeeze(0)
        missing = [name for name in self.names if name not in reader.values]
        if missing:
            raise ModelError(
                f"Site '{missing[0]}' is not in every run of the model: sample it always, whatever the values."
            )
        return joint + reader.log_jacobian

    def _run(self, reader: Reader) -> Any:
        return run_model(self.model, self.args, self.kwargs, values=reader, plan=self._plan)
