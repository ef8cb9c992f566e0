"""``pyro-vae reconstruct``: rows of data beside what a trained VAE makes of their codes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pyro_vae.commands.arguments as shared
from pyro_vae.commands import showing

if TYPE_CHECKING:
    from pyro_vae.datasets import Rows
    from pyro_vae.studies import Run

HELP = "show rows beside what a trained VAE makes of them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``reconstruct`` takes."""
    showing.add_arguments(parser, 16, "reconstructions")
    parser.add_argument("--data", metavar="PATH", help="other rows than those that were held out, or trained on")
    parser.add_argument("--image-size", type=shared.count, metavar="N", help="make the images of --data N x N")


def run(arguments: argparse.Namespace) -> int:
    """Reconstruct, and show or write."""
    showing.check_out(arguments.out)
    from pyro_vae.studies import open_run

    trained = open_run(arguments.run)
    rows = _rows(trained, arguments)
    x = rows.x[: arguments.n]
    with showing.seeded(arguments.seed):
        made = trained.vae.reconstruct(x)

    def lines() -> list[str]:
        pairs = zip(rows.as_sentences(x), rows.as_sentences(made), strict=True)
        return [line for data, model in pairs for line in (f"data   {data}", f"model  {model}")]

    def figure():
        from pyro_vae.plots import plot_reconstructions

        return plot_reconstructions(rows.as_images(x), rows.as_images(made), per_row=8, limits=rows.limits)

    arrays = {"x": rows.as_arrays(x), "reconstruction": rows.as_arrays(made)}
    showing.show(trained, arguments.out, "reconstructions", arrays, lines, figure)
    return 0


def _rows(trained: Run, arguments: argparse.Namespace) -> Rows:
    """The rows to reconstruct: those of ``--data``, those that were held out, those that were trained on."""
    from pyro_vae.studies.runs import other_rows

    if arguments.data is not None:
        return other_rows(trained, arguments.data, arguments.image_size)
    return trained.rows if trained.validation_rows is None else trained.validation_rows
