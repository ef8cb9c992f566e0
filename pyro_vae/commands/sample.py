"""``pyro-vae sample``: rows that a trained VAE makes up."""

from __future__ import annotations

import argparse
import math

from pyro_vae.commands import showing

HELP = "show what a trained VAE makes up"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``sample`` takes."""
    showing.add_arguments(parser, 64, "samples")
    parser.add_argument(
        "--noise",
        action=argparse.BooleanOptionalAction,
        help="draw from p(x | z), or show its mean (images: its mean; others: a draw)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw, and show or write."""
    showing.check_out(arguments.out)
    from pyro_vae.studies import open_run

    trained = open_run(arguments.run)
    noise = trained.kind != "images" if arguments.noise is None else arguments.noise
    with showing.seeded(arguments.seed):
        x = trained.vae.generate(arguments.n, noise=noise)

    def figure():
        from pyro_vae.plots import in_grid, plot_images

        images = trained.rows.as_images(x)
        return plot_images(in_grid(images, max(8, math.isqrt(len(images) - 1) + 1)), limits=trained.rows.limits)

    arrays = {"x": trained.rows.as_arrays(x)}
    showing.show(trained, arguments.out, "samples", arrays, lambda: trained.rows.as_sentences(x), figure)
    return 0
