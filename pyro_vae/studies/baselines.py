"""Where the baseline comes from: NUTS now, a run or a file that is there already, or a program's exact draws."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from pyro.infer import MCMC

from pyro_vae.catalogue import Program
from pyro_vae.errors import OptionError, ProgramError
from pyro_vae.particles import call_arguments
from pyro_vae.particles.plan import plan_pair
from pyro_vae.posterior.collecting import assemble
from pyro_vae.posterior.datatree import load
from pyro_vae.posterior.draws import model_groups
from pyro_vae.studies.options import Options
from pyro_vae.training.randomness import kept_randomness

Baseline = xr.DataTree | MCMC | str | os.PathLike | Callable[[], xr.DataTree] | None


def check_baseline_option(baseline: Baseline, program: Program) -> Baseline:
    """Refuse now what cannot be a baseline later; None becomes what it stands for. A file is read.

    Raises :class:`~pyro_vae.errors.OptionError`, or :class:`~pyro_vae.errors.OutputError` naming a file that cannot
    be read.
    """
    if baseline is None:
        return "reference" if program.exact_draws is not None else "nuts"
    if isinstance(baseline, str) and baseline == "reference" and program.exact_draws is None:
        raise OptionError(
            f"baseline='reference': {program.name} has no exact draws. Leave it out to run NUTS, or give the program "
            "a function exact_draws(n, seed) that returns {name: array [n, *shape]}."
        )
    if isinstance(baseline, str) and baseline in ("reference", "nuts"):
        return baseline
    if isinstance(baseline, (str, os.PathLike)):
        tree = load(baseline)
        tree.attrs.setdefault("how", f"read from {baseline}")
        return tree
    if isinstance(baseline, (xr.DataTree, MCMC)) or callable(baseline):
        return baseline
    raise OptionError(
        "baseline: expected 'nuts', 'reference', the path of a netCDF file, a DataTree, a function that gives one, or "
        f"a pyro.infer.MCMC that has run, got {type(baseline).__name__}."
    )


def baseline_draws(baseline: Baseline, program: Program, data: Any, options: Options) -> xr.DataTree:
    """The baseline's draws as a ``DataTree``; ``baseline`` as :func:`check_baseline_option` returned it."""
    labels = {"coords": dict(program.coords), "dims": dict(program.dims)}
    if isinstance(baseline, xr.DataTree):
        return baseline
    if callable(baseline):
        return baseline()
    if isinstance(baseline, MCMC):
        from pyro_vae.mcmc import from_mcmc

        return from_mcmc(baseline, program.model, data, **labels)
    if baseline == "reference":
        assert program.exact_draws is not None
        return exact_tree(program.exact_draws, program, data, options, labels)
    from pyro_vae.mcmc import nuts

    return nuts(
        program.model,
        data,
        seed=options.seed,
        progress=options.progress,
        baseline_model=program.baseline_model,
        **options.nuts,
        **labels,
    )


def exact_tree(
    exact_draws: Callable, program: Program, data: Any, options: Options, labels: dict[str, Any]
) -> xr.DataTree:
    """A program's exact draws, with what the model says about them (predictive draws, log-likelihood), as NUTS's have.

    Raises :class:`~pyro_vae.errors.ProgramError` naming a latent site that the program does not draw.
    """
    args, kwargs = call_arguments(data)
    chains, draws = options.nuts["chains"], options.nuts["draws"]
    drawn = {name: np.asarray(value) for name, value in exact_draws(chains * draws, options.seed).items()}
    with kept_randomness():
        latents = plan_pair(program.model, None, args, kwargs).latents
    for name in latents:
        shape = drawn[name].shape if name in drawn else "nothing"
        if name not in drawn or drawn[name].shape[:1] != (chains * draws,):
            raise ProgramError(
                f"{program.path or program.name}: exact_draws({chains * draws}, seed) must give '{name}' an array "
                f"[{chains * draws}, *shape], got {shape}."
            )
    samples = {name: drawn[name].reshape(chains, draws, *drawn[name].shape[1:]) for name in latents}
    how = f"{chains * draws} exact draws, by the program's exact_draws"
    return assemble(
        model_groups(program.model, args, kwargs, samples, seed=options.seed),
        attrs={"exact": True, "engine": "exact draws", "how": how, "seed": options.seed},
        **labels,
    )
