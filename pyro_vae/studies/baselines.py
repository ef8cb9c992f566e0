"""Where the baseline comes from: NUTS now, a run or a file that is there, a program's exact or reference draws."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from pyro.infer import MCMC

from pyro_vae.catalogue import Program, refuse_nuts
from pyro_vae.diagnostics import check_baseline, weights_baseline
from pyro_vae.errors import OptionError, ProgramError
from pyro_vae.particles import call_arguments
from pyro_vae.particles.plan import plan_pair
from pyro_vae.posterior.collecting import assemble
from pyro_vae.posterior.datatree import load
from pyro_vae.posterior.draws import model_groups
from pyro_vae.studies.options import Options
from pyro_vae.training.randomness import kept_randomness

WEIGHTS = "importance"
"""No MCMC: the guides are judged by their importance weights."""
Baseline = xr.DataTree | MCMC | str | os.PathLike | Callable[[], xr.DataTree] | None


def check_baseline_option(baseline: Baseline, program: Program) -> Baseline:
    """Refuse now what cannot be a baseline later; None becomes what it stands for. A file is read.

    Raises :class:`~pyro_vae.errors.OptionError`, :class:`~pyro_vae.errors.ProgramError` for NUTS on a VAE, or
    :class:`~pyro_vae.errors.OutputError` naming a file that cannot be read.
    """
    if program.vae is not None and (baseline is None or (isinstance(baseline, str) and baseline == "nuts")):
        refuse_nuts(program.name)
    if baseline is None:
        return "reference" if program.has_reference else "nuts"
    if isinstance(baseline, str) and baseline == "reference" and not program.has_reference:
        raise OptionError(f"baseline='reference': {_no_reference(program)}")
    if isinstance(baseline, str) and baseline in ("reference", "nuts", WEIGHTS):
        return baseline
    if isinstance(baseline, (str, os.PathLike)):
        tree = load(baseline)
        tree.attrs.setdefault("how", f"read from {baseline}")
        return tree
    if isinstance(baseline, (xr.DataTree, MCMC)) or callable(baseline):
        return baseline
    raise OptionError(
        "baseline: expected 'nuts', 'reference', 'importance', the path of a netCDF file, a DataTree, a function that "
        f"gives one, or a pyro.infer.MCMC that has run, got {type(baseline).__name__}."
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
        return reference_tree(program, data, options, labels)
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


def instead_of(
    drawn: xr.DataTree, given: Baseline, posteriors: Mapping[str, xr.DataTree], seed: int
) -> tuple[xr.DataTree, xr.DataTree | None]:
    """What to judge by, and what was set aside for it: a run of NUTS that does not count, for weighted draws.

    A baseline that somebody gave is not replaced, nor is one by weights that do not count either.
    """
    if isinstance(given, (xr.DataTree, MCMC)) or (health := check_baseline(drawn)).counts:
        return drawn, None
    weighted = weights_baseline(posteriors, seed)
    if not check_baseline(weighted).counts:
        return drawn, None
    why = f"NUTS does not count ({'; '.join(health.reasons)}), so that the weights have to do"
    how = str(weighted.attrs["how"])
    weighted.attrs["how"] = f"{why}. {how[0].upper()}{how[1:]}"
    return weighted, drawn


def reference_tree(program: Program, data: Any, options: Options, labels: dict[str, Any]) -> xr.DataTree:
    """A program's exact or reference draws, with what the model says about them, as NUTS's have.

    Exact draws are as many as NUTS was asked for, and independent. Reference draws are as many as there are, of chains
    that have to show that they count. Raises :class:`~pyro_vae.errors.ProgramError` naming a latent site that has none.
    """
    args, kwargs = call_arguments(data)
    with kept_randomness():
        latents = plan_pair(program.model, None, args, kwargs).latents
    samples, attrs = (_exact if program.exact_draws else _referred)(program, latents, options)
    return assemble(model_groups(program.model, args, kwargs, samples, seed=options.seed), attrs=attrs, **labels)


def _exact(program: Program, latents: Sequence[str], options: Options) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Exact draws ``{site: [chain, draw, *shape]}``, and what they are."""
    chains, draws = options.nuts["chains"], options.nuts["draws"]
    assert program.exact_draws is not None
    drawn = {name: np.asarray(value) for name, value in program.exact_draws(chains * draws, options.seed).items()}
    for name in latents:
        shape = drawn[name].shape if name in drawn else "nothing"
        if name not in drawn or drawn[name].shape[:1] != (chains * draws,):
            raise ProgramError(
                f"{program.path or program.name}: exact_draws({chains * draws}, seed) must give '{name}' an array "
                f"[{chains * draws}, *shape], got {shape}."
            )
    how = f"{chains * draws} exact draws, by the program's exact_draws"
    samples = {name: drawn[name].reshape(chains, draws, *drawn[name].shape[1:]) for name in latents}
    return samples, {"exact": True, "engine": "exact draws", "how": how, "seed": options.seed}


def _referred(
    program: Program, latents: Sequence[str], options: Options
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reference draws ``{site: [chain, draw, *shape]}``, and what they are."""
    assert program.reference_draws is not None
    drawn = {name: np.asarray(value) for name, value in program.reference_draws().items()}
    missing = [name for name in latents if name not in drawn]
    if missing:
        raise ProgramError(
            f"{program.path or program.name}: the reference draws have nothing for site '{missing[0]}', only "
            f"{sorted(drawn)}. Let from_reference(draws) in the program compute it from them."
        )
    samples = {name: drawn[name] for name in latents}
    chains, draws = next(iter(samples.values())).shape[:2]
    how = f"Reference draws of {program.name}: {chains} chains of {draws} draws that Stan made."
    return samples, {"reference": True, "engine": "reference draws", "how": how, "seed": options.seed}


def _no_reference(program: Program) -> str:
    if program.name.startswith("posteriordb:"):
        return f"posteriordb has no reference draws of {program.name.partition(':')[2]}. Leave it out to run NUTS."
    return (
        f"{program.name} has no exact draws. Leave it out to run NUTS, or give the program a function "
        "exact_draws(n, seed) that returns {name: array [n, *shape]}."
    )
