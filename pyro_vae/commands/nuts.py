"""``pyro-vae nuts``: the model, sampled."""

from __future__ import annotations

import argparse

from pyro_vae.commands import INTERRUPTED
from pyro_vae.commands import arguments as shared
from pyro_vae.commands.files import check_file
from pyro_vae.commands.speaking import say, saying
from pyro_vae.commands.tables import print_parameters

HELP = "sample with NUTS and show the posterior"
MORE = "What --out writes can be the --baseline of compare."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``nuts`` takes."""
    shared.program(parser)
    shared.sampling(parser)
    parser.add_argument("--out", metavar="FILE.nc", help="write the draws to this netCDF file")
    shared.running(parser)


def run(arguments: argparse.Namespace) -> int:
    """Sample, print the posterior and whether the chains count, write the draws if asked to."""
    if arguments.out is not None:
        check_file(arguments.out)
    from pyro_vae.catalogue import builds_vae, load_program, refuse_nuts

    if builds_vae(arguments.program):
        refuse_nuts(arguments.program)
    program = load_program(arguments.program, posteriordb=arguments.posteriordb)

    from pyro_vae.mcmc import nuts
    from pyro_vae.posterior.convergence import chain_health
    from pyro_vae.posterior.datatree import save

    with saying(arguments.quiet):
        tree = nuts(
            program.model,
            program.data,
            chains=arguments.chains,
            draws=arguments.draws,
            warmup=arguments.warmup,
            target_accept=arguments.target_accept,
            seed=arguments.seed,
            engine=arguments.engine,
            progress=False if arguments.quiet else None,
            baseline_model=program.baseline_model,
            coords=dict(program.coords),
            dims=dict(program.dims),
        )
    health = chain_health(tree)
    print_parameters(tree, chains=True)
    say(str(tree.attrs.get("how", "")))
    say("The chains count as a baseline." if health.counts else "The chains do not count as a baseline:")
    for reason in health.reasons:
        say(f"  {reason}", indent="  ")
    if arguments.out is not None:
        say(f"The draws: {save(tree, arguments.out)}")
    return INTERRUPTED if tree.attrs.get("interrupted") else 0
