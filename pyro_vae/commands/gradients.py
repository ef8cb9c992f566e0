"""``pyro-vae gradients``: how good each estimator's gradient is, on a program and one of its guides."""

from __future__ import annotations

import argparse

from pyro_vae.commands import arguments as shared
from pyro_vae.commands.speaking import say, saying

HELP = "measure the gradient of each estimator: variance, bias, cost"
MORE = "At the start of a fit and at its end. With --out writes a folder: gradients.csv, parameters.csv, figures."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``gradients`` takes."""
    shared.program(parser)
    parser.add_argument(
        "--guide", metavar="A", help="an autoguide's name, or one of the program's own (its first, else auto_normal)"
    )
    parser.add_argument(
        "--estimators", metavar="A,B,...", help="reparameterized, score-function, ... (all that can take the sites)"
    )
    parser.add_argument("--particles", type=shared.count, default=16, metavar="K", help="draws per gradient (16)")
    parser.add_argument("--draws", type=shared.count, default=200, metavar="N", help="gradients of each (200)")
    parser.add_argument("--at", choices=("start", "fit"), help="one of the two places alone (both)")
    parser.add_argument("--steps", type=shared.count, metavar="N", help="the most steps of the fit (4000)")
    parser.add_argument(
        "--warmup", type=shared.count, default=300, metavar="N", help="steps for what an estimator learns (300)"
    )
    parser.add_argument("--out", metavar="DIR", help="the folder for tables and figures")
    shared.running(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, write."""
    from pyro_vae.catalogue import load_program
    from pyro_vae.studies.folder import check_folder

    out = None if arguments.out is None else check_folder(arguments.out)
    program = load_program(arguments.program, posteriordb=arguments.posteriordb)

    from pyro_vae.report import print_gradients
    from pyro_vae.studies import gradients

    with saying(arguments.quiet):
        study = gradients(
            program,
            arguments.guide,
            estimators=shared.names(arguments.estimators) or None,
            num_particles=arguments.particles,
            draws=arguments.draws,
            at=arguments.at,
            steps=arguments.steps,
            warmup=arguments.warmup,
            seed=arguments.seed,
            progress=False if arguments.quiet else None,
        )
    print_gradients(study.rows, study.entries, study.left_out, study.recommendation)
    if out is not None:
        say(f"\nTables and figures: {study.save(out)}")
    return 0
