"""One simulation of a study: draw, fit, rank. It depends on its number and on nothing that was simulated before."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyro
import xarray as xr

from pyro_vae.diagnostics.calibration import LOG_LIKELIHOOD
from pyro_vae.diagnostics.ranks import rank_among, thinned
from pyro_vae.errors import ModelError
from pyro_vae.mcmc import nuts
from pyro_vae.mcmc.threads import one_thread
from pyro_vae.posterior.convergence import chain_health
from pyro_vae.posterior.datatree import build, scalar_parameters
from pyro_vae.studies.calibration.simulating import Simulate, Simulated, Simulator
from pyro_vae.studies.feasible import Start
from pyro_vae.training import fit
from pyro_vae.training.objective import elbo_from
from pyro_vae.training.prepare import prepare
from pyro_vae.training.randomness import own_randomness

Record = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """All that a simulation depends on beside its number: what is sent to the processes."""

    model: Callable
    guide: Any  # "nuts", a guide, or an autoguide's name
    data: Any
    seed: int
    draws: int
    simulate: Simulate | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)
    nuts: Mapping[str, Any] = field(default_factory=dict)
    coords: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, Any] = field(default_factory=dict)


class Study:
    """A setup made ready in this process: the model looked at, the guide's start remembered.

    Raises as :func:`~pyro_vae.fit` and :class:`Simulator` do, when the pair or the model cannot be used.
    """

    def __init__(self, setup: Setup):
        self.setup = setup
        self.simulator = Simulator(setup.model, setup.data, setup.simulate)
        self.start = None if setup.guide == "nuts" else self._prepared()

    def _prepared(self) -> Start:
        setup = self.setup
        elbo = elbo_from(setup.fit.get("estimator"), setup.fit.get("num_particles"), None)
        with _silence(), pyro.get_param_store().scope(), own_randomness(setup.seed):
            return Start.of(prepare(setup.model, setup.guide, setup.data, elbo), None)

    def run(self, index: int) -> Record:
        """The record of simulation ``index``: plain numbers and words. What goes wrong in it is in ``error``."""
        began = time.perf_counter()
        # Own streams for the data, the fit, its draws, and the ties: none is another's continuation.
        stream = np.random.SeedSequence(self.setup.seed, spawn_key=(index,))
        seeds = [int(seed) for seed in stream.generate_state(4)]
        record: Record = {"index": index, "ranks": {}, "truth": {}, "facts": {}, "error": None}
        try:
            with one_thread(), _silence():
                simulated = self.simulator.draw(seeds[0])
                tree, record["facts"] = self._posterior(simulated, *seeds[1:3])
                record |= self._ranked(simulated, tree, np.random.default_rng(seeds[3]))
        except Exception as error:  # whatever goes wrong is counted: to leave it out in silence would be a bias
            record["error"] = _said(error)
        return record | {"seconds": round(time.perf_counter() - began, 3)}

    def _posterior(self, simulated: Simulated, seed: int, draws_seed: int) -> tuple[xr.DataTree, Record]:
        if self.start is None:
            return self._sampled(simulated, seed)
        setup = self.setup
        labels = {"coords": setup.coords, "dims": setup.dims}
        with self.start.kept(), pyro.get_param_store().scope():
            fitted = fit(setup.model, setup.guide, simulated.data, seed=seed, progress=False, **setup.fit)
            tree = fitted.posterior(setup.draws, seed=draws_seed, predictive=False, prior=0, **labels)
        return tree, {"converged": fitted.converged, "steps": fitted.steps, "bound": fitted.bound}

    def _sampled(self, simulated: Simulated, seed: int) -> tuple[xr.DataTree, Record]:
        setup = self.setup
        tree = nuts(
            setup.model,
            simulated.data,
            draws=setup.draws,
            seed=seed,
            progress=False,
            predictive=False,
            prior=0,
            coords=setup.coords,
            dims=setup.dims,
            **setup.nuts,
        )
        if tree.attrs.get("interrupted"):
            raise KeyboardInterrupt
        health = chain_health(tree)
        facts = {"divergences": health.divergences, "min_ess": min(health.min_ess_bulk, health.min_ess_tail)}
        return tree, facts | ({"max_rhat": health.max_rhat} if setup.nuts.get("chains", 1) > 1 else {})

    def _ranked(self, simulated: Simulated, tree: xr.DataTree, rng: np.random.Generator) -> Record:
        """Rank and truth of every scalar quantity that both sides have."""
        known = {name: value for name, value in simulated.truth.items() if name in tree["posterior"].data_vars}
        if not known:
            raise ModelError("The posterior has no site whose true value is known.")
        truths = build(
            {"posterior": {name: value[None, None] for name, value in known.items()}},
            coords=self.setup.coords,
            dims={name: dims for name, dims in self.setup.dims.items() if name in known},
        )
        truth = {label: value.item() for label, value in scalar_parameters(truths).items()}
        posterior = scalar_parameters(tree, known)
        if set(simulated.latents) <= set(known) and "log_likelihood" in tree.children:
            truth[LOG_LIKELIHOOD] = simulated.log_likelihood
            posterior[LOG_LIKELIHOOD] = _joint(tree["log_likelihood"].to_dataset())
        ranks = {}
        for label, value in truth.items():
            draws = posterior[label]
            if not np.isfinite(draws).all():
                raise ModelError(f"The draws of {label} are not all finite.")
            kept = thinned(draws) if self.start is None else draws
            rank = rank_among(value, kept, rng)
            ranks[label] = [rank.rank, rank.draws, rank.pit]
        return {"ranks": ranks, "truth": {label: float(value) for label, value in truth.items()}}


def _joint(scores: xr.Dataset) -> np.ndarray:
    """The log-likelihood of all data, ``[chain, draw]``."""
    total = 0.0
    for score in scores.data_vars.values():
        own = [dim for dim in score.dims if dim not in ("chain", "draw")]
        total = total + score.astype(np.float64).sum(own)
    return np.asarray(xr.DataArray(total).transpose("chain", "draw"))


def _said(error: Exception) -> str:
    """The kind of an error and the first line of what it says, the same in every process."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


@contextmanager
def _silence() -> Iterator[None]:
    """What one fit warns of, hundreds would."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
