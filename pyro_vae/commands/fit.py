"""``pyro-vae fit``: one guide, fitted; of a program that builds a VAE, the VAE, trained in a folder."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_vae.commands import arguments as shared
from pyro_vae.commands import training
from pyro_vae.commands.files import check_file
from pyro_vae.commands.speaking import say, saying
from pyro_vae.commands.tables import print_parameters
from pyro_vae.errors import OptionError

if TYPE_CHECKING:
    from pyro_vae.catalogue import Program
    from pyro_vae.training import Fit


HELP = "fit one guide and show its posterior, or train a VAE in a folder"
DRAWS = 4000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``fit`` takes."""
    shared.program(parser, optional=True)
    shared.fitting(parser, several=False)
    weighting = parser.add_argument_group("weights on the latents' terms, while fitting")
    weighting.add_argument("--beta", type=float, metavar="B", help="times their KL (1)")
    weighting.add_argument("--annealing", type=shared.count, metavar="N", help="bring beta up from 0 over N steps")
    weighting.add_argument("--free-bits", type=float, metavar="R", help="nats per latent below which its KL is free")
    training.add_arguments(parser)
    parser.add_argument("--draws", type=shared.count, metavar="N", help=f"draws of the fitted guide ({DRAWS})")
    parser.add_argument(
        "--out",
        metavar="FILE.nc|DIR",
        help="write the draws to this netCDF file; of a VAE, the run's folder (NAME-run)",
    )
    parser.add_argument("--save", metavar="FILE", help="write the fit to this file (safetensors), for pv.load_fit")
    shared.running(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fit or train, say what came out, write what was asked for."""
    from pyro_vae.catalogue import builds_vae

    if arguments.resume is not None:
        return training.resume(arguments)
    if arguments.program is None:
        raise OptionError("fit: say which program to fit, or which run to go on with: --resume DIR.")
    if builds_vae(arguments.program):
        return training.train(arguments)
    training.refuse_options(arguments)
    return _fit_guide(arguments)


def _fit_guide(arguments: argparse.Namespace) -> int:
    for path in (arguments.out, arguments.save):
        if path is not None:
            check_file(path)
    from pyro_vae.catalogue import load_program

    program = load_program(arguments.program, posteriordb=arguments.posteriordb)

    from pyro_vae.posterior.datatree import save
    from pyro_vae.studies.inputs import guides_of
    from pyro_vae.studies.parameters import look_at_model

    look_at_model(program.model, program.data)
    default = next(iter(program.guides), "auto_normal")
    [(name, guide)] = guides_of([arguments.guide or default], program).items()
    result = _fitted(arguments, program, name, guide)
    draws = DRAWS if arguments.draws is None else arguments.draws
    tree = result.posterior(draws=draws, seed=arguments.seed + 1, coords=dict(program.coords), dims=dict(program.dims))
    say(f"{name}, fitted to {program.name} in {result.seconds:.1f} s: {result.reason}.")
    say(f"Estimator {result.estimator!r}, {result.num_particles} particles.")
    say(f"{'Upper bound' if result.upper_bound else 'Bound'} {result.bound:.3f} ± {result.bound_se:.3f} nats.\n\n")
    print_parameters(tree, chains=False)
    if arguments.save is not None:
        say(f"The fit: {result.save(arguments.save)}")
    if arguments.out is not None:
        say(f"The draws: {save(tree, arguments.out)}")
    return 0


def _fitted(arguments: argparse.Namespace, program: Program, name: str, guide: Any) -> Fit:
    """The fit; on Ctrl-C, the fit so far is written and the message says where."""
    from pyro_vae.estimators import LinearAnnealing
    from pyro_vae.training import FitInterrupted, fit

    said = {
        "estimator": arguments.estimator,
        "num_particles": arguments.particles,
        "steps": arguments.steps,
        "learning_rate": arguments.learning_rate,
        "restarts": arguments.restarts,
        "beta": arguments.beta,
        "annealing": None if arguments.annealing is None else LinearAnnealing(arguments.annealing),
        "free_bits": arguments.free_bits,
    }
    given = {key: value for key, value in said.items() if value is not None}
    progress = False if arguments.quiet else None
    try:
        with saying(arguments.quiet):
            logging.getLogger(__name__).info("fitting %s", name)
            return fit(program.model, guide, program.data, seed=arguments.seed, progress=progress, **given)
    except FitInterrupted as stop:
        stem = program.path.stem if program.path else "fit"
        path = stop.fit.save(arguments.save or Path(f"{stem}-interrupted.safetensors"))
        raise KeyboardInterrupt(
            f"interrupted at step {stop.fit.steps}, bound {stop.fit.bound:.2f}. "
            f"The fit so far is kept in {path} (pv.load_fit reads it)."
        ) from stop
