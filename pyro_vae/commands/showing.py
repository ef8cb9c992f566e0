"""Rows that a VAE makes, shown as what they are: a grid of images, sentences as text, arrays in a file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyro_vae.commands.arguments as shared
from pyro_vae.commands.files import check_file
from pyro_vae.commands.speaking import say
from pyro_vae.errors import OptionError
from pyro_vae.files import written_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyro_vae.studies import Run

KINDS = {".png": "images", ".npz": "rows of any kind", ".txt": "sentences"}


def add_arguments(parser: argparse.ArgumentParser, n: int, name: str) -> None:
    """What both commands take: a run, how many rows, where to write them."""
    parser.add_argument("run", metavar="DIR", help="the folder of a run, as pyro-vae fit makes them")
    parser.add_argument("-n", type=shared.count, default=n, metavar="N", help=f"how many ({n})")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help=f"a .png (images), .txt (sentences) or .npz (any). Images are in DIR/{name}.png and arrays in "
        f"DIR/{name}.npz, if you do not say; sentences are printed",
    )
    parser.add_argument(
        "--seed", type=shared.seed, default=0, metavar="N", help="the same seed gives the same rows (0)"
    )


def check_out(out: str | None) -> None:
    """See before the work whether ``--out`` can be written; raises an error that names it."""
    if out is None:
        return
    if Path(out).suffix not in KINDS:
        raise OptionError(f"--out {out}: expected a file that ends in {', '.join(KINDS)}.")
    check_file(out)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's random numbers from ``seed``; afterwards as they were."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def show(
    run: Run, out: str | None, name: str, arrays: dict[str, Any], lines: Callable[[], list[str]],
    figure: Callable[[], Figure],
) -> None:  # fmt: skip
    """Print or write rows in the form that their kind has, or that ``out`` asks for."""
    path = Path(out).expanduser() if out is not None else None
    if path is not None and path.suffix in (".png", ".txt") and KINDS[path.suffix] != run.kind:
        raise OptionError(
            f"--out {out}: is for {KINDS[path.suffix]}, and {run.folder} has {run.kind}. Say --out FILE.npz."
        )
    if run.kind == "sentences" and (path is None or path.suffix == ".txt"):
        text = lines()
        for line in text:
            say(line or "\n", indent="    ")  # a sentence may have no words
        if path is not None:
            with written_beside(path, "the sentences") as part:
                part.write_text("\n".join(text) + "\n", encoding="utf-8")
        return
    if path is None:
        path = run.folder / f"{name}{'.png' if run.kind == 'images' else '.npz'}"
    if path.suffix == ".png":
        from pyro_vae.plots import style

        with written_beside(path, "the figure") as part:
            style.save(figure(), part, "png")
    else:
        import numpy as np

        with written_beside(path, "the rows") as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)
    say(f"{', '.join(f'{key} {value.shape}' for key, value in arrays.items())}: {path}")
