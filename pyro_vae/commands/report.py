"""``pyro-vae report``: whether a trained VAE is any good."""

from __future__ import annotations

import argparse
from pathlib import Path

from pyro_vae.commands import arguments as shared
from pyro_vae.commands.speaking import say, saying

HELP = "say whether a trained VAE is any good"
MORE = (
    "Prints what was found of its code, its encoder, its samples and its evidence, and writes a folder: report.html, "
    "figures, latents.csv, rows.csv."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``report`` takes."""
    parser.add_argument("run", metavar="DIR", help="the folder of a run, as pyro-vae fit makes them")
    parser.add_argument("--out", metavar="DIR", help="the folder for the report (report, in that of the run)")
    parser.add_argument(
        "--rows", type=shared.count, default=500, metavar="N", help="to look at, of those held out if there are (500)"
    )
    parser.add_argument(
        "--nuts-rows", type=shared.seed, default=3, metavar="N", help="of them, to judge on NUTS; 0 for none (3)"
    )
    parser.add_argument(
        "--gap-rows", type=shared.seed, default=32, metavar="N", help="to optimise q(z) of by itself; 0 for none (32)"
    )
    parser.add_argument("--particles", type=shared.count, default=256, metavar="K", help="for the evidence (256)")
    shared.running(parser)


def run(arguments: argparse.Namespace) -> int:
    """Examine, print, write."""
    from pyro_vae.studies.folder import check_folder

    out = check_folder(arguments.out or Path(arguments.run) / "report")
    from pyro_vae.report import print_vae_report
    from pyro_vae.studies import examine, open_run

    trained = open_run(arguments.run)
    with saying(arguments.quiet):
        found = examine(
            trained.vae,
            trained.rows if trained.validation_rows is None else trained.validation_rows,
            fit=trained.fit,
            rows=arguments.rows,
            gap_rows=arguments.gap_rows,
            nuts_rows=arguments.nuts_rows,
            num_particles=arguments.particles,
            title=trained.program.name,
            story=trained.program.story,
            seed=arguments.seed,
            progress=False if arguments.quiet else None,
        )
    print_vae_report(found.content)
    found.save(out)
    say(f"\nThe report: {out / 'report.html'}\nFigures and tables: {out}")
    return 0
