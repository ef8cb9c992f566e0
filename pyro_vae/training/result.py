"""What a fit leaves: history, fitted values, the bound with its standard error, and the way to posterior draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyro
from torch.utils.data import DataLoader

from pyro_vae.training.batches import whole_dataset
from pyro_vae.training.objective import Objective
from pyro_vae.training.parameters import Parameters, assign, copy_of
from pyro_vae.training.progress import smoothed
from pyro_vae.training.terms import Terms


@dataclass(frozen=True)
class History:
    """One entry per step: the objective's value before it (nats), seconds since the start, and how large the step was.

    ``smoothed`` is the bound's exponentially weighted mean over about 50 steps; ``gradient_norm`` is before clipping.
    ``seconds`` is a clock that starts at the first step and stands while a run that is resumed later rests: what is
    done before (looking at the pair) and after (evaluating the bound) is not in it, what a first step does once is.
    ``elbo`` is the mean of log p - log q over the step's draws, in nats: the plain ELBO, whatever bound is maximised.
    It is NaN with an ELBO of Pyro's and in fits that were saved before it was recorded.
    """

    bound: np.ndarray
    gradient_norm: np.ndarray
    learning_rate: np.ndarray
    seconds: np.ndarray
    elbo: np.ndarray

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[float]] | np.ndarray) -> History:
        """From (bound, gradient norm, learning rate, seconds, ELBO) per step; the last may be missing."""
        table = np.full((len(rows), 5), np.nan)
        if len(rows):
            table[:, : len(rows[0])] = rows
        return cls(*(table[:, column].copy() for column in range(5)))

    def rows(self) -> np.ndarray:
        """``[steps, 5]``, the inverse of :meth:`from_rows`."""
        return np.stack([self.bound, self.gradient_norm, self.learning_rate, self.seconds, self.elbo], axis=1)

    @property
    def smoothed(self) -> np.ndarray:
        """The smoothed bound, ``[steps]``."""
        return smoothed(self.bound)

    def __len__(self) -> int:
        return len(self.bound)


@dataclass(frozen=True, repr=False)
class Fit:
    """A fitted guide (and model), made by :func:`~pyro_vae.fit`; its values are in the modules and the param store.

    ``params`` are the fitted values as the programs see them (a scale is positive); ``values`` and ``leaves`` are the
    same unconstrained, as copies and as the live tensors. ``bound`` is the mean of fresh draws (16 384 where
    that is cheap) with standard error ``bound_se``, in nats at full-data scale, at beta 1 and without free bits.
    ``converged`` says that the objective had stopped moving; ``reason`` why the run ended, in one sentence.
    ``averaged`` says that the values are the mean of the run's tail. ``seconds`` covers the steps. ``validation``
    ``[checks, 2]`` has the step and the bound per row (nats) of each check on validation data, last of all those of
    the values that were kept, and ``terms`` the parts of those bounds, if they were asked for.
    """

    model: Callable
    guide: Callable
    data: Any
    objective: Objective
    history: History
    params: Parameters
    bound: float
    bound_se: float
    converged: bool
    reason: str
    averaged: bool
    seconds: float
    seed: int | None
    guide_name: str
    leaves: Parameters = field(default_factory=dict)
    values: Parameters = field(default_factory=dict)
    constraints: dict[str, Any] = field(default_factory=dict)
    device: Any = None
    validation: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    terms: Terms | None = None

    def __repr__(self) -> str:
        bound = f"{'upper ' * self.upper_bound}bound {self.bound:.4f} +- {self.bound_se:.4f}"
        return f"Fit({self.guide_name}: {bound}; {self.reason})"

    @property
    def steps(self) -> int:
        """The steps taken."""
        return len(self.history)

    @property
    def upper_bound(self) -> bool:
        """Whether ``bound`` lies above the log evidence (:class:`~pyro_vae.CUBO`) and smaller is better."""
        return self.objective.upper_bound

    @property
    def estimator(self) -> Any:
        """The estimator, or the Pyro ELBO that was given as one."""
        return getattr(self.objective.elbo, "estimator", self.objective.elbo)

    @property
    def num_particles(self) -> int:
        """K, the draws per step."""
        return self.objective.elbo.num_particles

    def posterior(self, draws: int = 4000, *, data: Any = None, seed: int | None = None, **options: Any) -> Any:
        """Draws from the fitted guide as a ``DataTree``; groups and options: :func:`~pyro_vae.sample_posterior`.

        Args:
            draws: S, the number of draws.
            data: arguments of model and guide if not those of the fit. A fit on a ``DataLoader`` uses its whole
                dataset as one batch.
            seed: None takes the fit's.

        The draws are the fit's own, even if the param store was cleared or the guide trained on since.
        """
        from pyro_vae.posterior.draws import sample_posterior

        if data is None:
            data = whole_dataset(self.data, self.device) if isinstance(self.data, DataLoader) else self.data
        attrs = {**self.attributes(), **options.pop("attrs", {})}
        with self.in_place():
            return sample_posterior(
                self.model,
                self.guide,
                data,
                draws=draws,
                seed=self.seed if seed is None else seed,
                attrs=attrs,
                **options,
            )

    def corrected(self, draws: int = 4000, *, from_draws: int = 20_000, seed: int | None = None, **options: Any) -> Any:
        """The guide's draws, drawn again by their importance weights, as a ``DataTree``: :func:`~pyro_vae.reweight`.

        ``attrs["khat"]`` says whether they can be used: below 0.7 they stand for the posterior, where the guide has
        draws.

        Args:
            draws: S, the number of draws to return.
            from_draws: how many of the guide's to weigh.
            seed: of both; None takes the fit's.
            options: see :meth:`posterior`.

        Raises :class:`~pyro_vae.errors.DataError` for a guide whose draws have no density (``auto_delta``).
        """
        from pyro_vae.diagnostics.correction import reweight

        seed = self.seed if seed is None else seed
        drawn = self.posterior(from_draws, seed=seed, **options)
        return reweight(drawn, draws=draws, seed=0 if seed is None else seed)

    def checks(self) -> np.ndarray:
        """``validation`` with the terms beside it, ``[checks, 2 + terms]``."""
        if self.terms is None:
            return self.validation
        return np.column_stack([self.validation, self.terms.reconstruction, self.terms.kl])

    def attributes(self) -> dict[str, Any]:
        """How the fit was made, as plain values: the attributes of its draws."""
        return {
            "estimator": self.objective.name,
            "guide": self.guide_name,
            "num_particles": self.num_particles,
            "steps": self.steps,
            "seconds": self.seconds,
            "seed": -1 if self.seed is None else self.seed,
            "bound": self.bound,
            "bound_se": self.bound_se,
            "upper_bound": int(self.upper_bound),
            "converged": int(self.converged),
            "reason": self.reason,
        }

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The fitted values in modules and param store for a block; afterwards both are as they were."""
        store = pyro.get_param_store()
        state: Any = store.get_state()
        ours = {name: leaf for name, leaf in self.leaves.items() if name in self.constraints}
        state = {
            "params": {**state["params"], **ours},
            "constraints": {**state["constraints"], **{name: self.constraints[name] for name in ours}},
        }
        before = copy_of(self.leaves)
        assign(self.leaves, self.values)
        try:
            with store.scope(state):
                yield
        finally:
            assign(self.leaves, before)

    def save(self, path: str | Path) -> Path:
        """Write the fit as one safetensors file (no pickle, written beside and then renamed); returns the path.

        :func:`~pyro_vae.load_fit` reads it. Raises :class:`~pyro_vae.errors.OutputError` naming the path.
        """
        from pyro_vae.training.saved import fit_tree
        from pyro_vae.training.storage import write_tree

        return write_tree(path, fit_tree(self))


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C during a fit. ``fit`` holds the fit so far; its values are in the modules and the param store.

    It is a ``KeyboardInterrupt``: a program that does not ask for it ends, as Ctrl-C says.
    """

    def __init__(self, message: str, fit: Fit):
        super().__init__(message)
        self.fit = fit
