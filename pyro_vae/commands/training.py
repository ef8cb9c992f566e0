"""``pyro-vae fit`` of a program that builds a VAE: its options, training it in a folder, and going on with that."""

from __future__ import annotations

import argparse
import ast
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_vae.commands import arguments as shared
from pyro_vae.commands.files import check_file
from pyro_vae.commands.speaking import say, saying
from pyro_vae.errors import OptionError

if TYPE_CHECKING:
    from pyro_vae.studies import Run

DATA = ("data", "label", "image_size", "scale")
OWN = ("epochs", "batch_size", "schedule", "size", "validation", "patience", *DATA)  # of programs that build a VAE
SHARED = ("estimator", "particles", "steps", "learning_rate", "restarts", "beta", "annealing", "free_bits")
OTHERS = ("guide", "draws")  # of programs that do not


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What only a program that builds a VAE can be told."""
    group = parser.add_argument_group(
        "programs that build a VAE",
        "are trained in a folder, --out. They have defaults of their own: 50 epochs, 1 particle, a rate of 0.001.",
    )
    group.add_argument("--epochs", type=shared.count, metavar="N", help="passes through the rows (50), not --steps")
    group.add_argument("--batch-size", type=shared.count, metavar="N", help="rows per step (128)")
    group.add_argument("--schedule", metavar="NAME", help="of the learning rate: constant (the default), cosine, ...")
    group.add_argument("--size", action="append", metavar="NAME=VALUE", help="of the program's build(), any number")
    group.add_argument("--validation", type=float, metavar="F", help="hold out this share of the rows, keep the best")
    group.add_argument("--patience", type=shared.count, metavar="N", help="stop after N epochs without a better one")
    group.add_argument("--resume", metavar="DIR", help="go on with a run, to the same end; --epochs may be raised")
    data = parser.add_argument_group("rows of your own, for programs that build a VAE")
    data.add_argument("--data", metavar="PATH", help=".npz, .npy, .csv, .parquet, .txt, or a folder of images")
    data.add_argument("--label", metavar="COLUMN", help="the column, or array, that is a label and no feature")
    data.add_argument("--image-size", type=shared.count, metavar="N", help="make the images N x N")
    data.add_argument("--scale", choices=("unit", "standard"), help="to between 0 and 1; to mean 0 and sd 1")


def refuse_options(arguments: argparse.Namespace) -> None:
    """Say that a program builds no VAE, where an option for those was given."""
    for name in OWN:
        if getattr(arguments, name) is not None:
            hint = " Say --steps." if name == "epochs" else ""
            raise OptionError(
                f"--{name.replace('_', '-')} is for programs that build a VAE, and {arguments.program} does not.{hint}"
            )


def train(arguments: argparse.Namespace) -> int:
    """Train a VAE in a new folder."""
    for name in OTHERS:
        if getattr(arguments, name) is not None:
            raise OptionError(
                f"--{name}: {arguments.program} builds a VAE, which is trained with the guide that it brings. Draws of "
                "what it makes: pyro-vae sample DIR."
            )
    sizes = dict(map(_size, arguments.size or ()))
    folder = Path(arguments.out or f"{Path(arguments.program).stem}-run")
    if arguments.save is not None:
        check_file(arguments.save)
    from pyro_vae.studies import train_run

    names = (*(name for name in OWN if name != "size"), *SHARED)
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return _finish(
        arguments, folder,
        lambda: train_run(
            arguments.program, folder, sizes=sizes, seed=arguments.seed, progress=_progress(arguments), **options
        ),
    )  # fmt: skip


def resume(arguments: argparse.Namespace) -> int:
    """Go on with a run."""
    if arguments.program is not None:
        raise OptionError(f"--resume {arguments.resume} knows its program: leave out {arguments.program}.")
    for name in (*OWN, *SHARED, *OTHERS, "out"):
        if name not in ("epochs", "steps", "data") and getattr(arguments, name) is not None:
            raise OptionError(
                f"--{name.replace('_', '-')}: a run goes on as it was begun. With --resume, --epochs (or --steps) "
                "may be raised, and --data says where the data are now."
            )
    from pyro_vae.studies import resume_run

    more = {name: getattr(arguments, name) for name in ("epochs", "steps", "data")}
    folder = Path(arguments.resume)
    return _finish(arguments, folder, lambda: resume_run(folder, progress=_progress(arguments), **more))


def _finish(arguments: argparse.Namespace, folder: Path, work: Callable[[], Run]) -> int:
    """Do the work and say what came out; Ctrl-C leaves a run, and says how to go on."""
    try:
        with saying(arguments.quiet):
            logging.getLogger(__name__).info("training in %s", folder)
            run = work()
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(_how_to_go_on(folder, getattr(stop, "fit", None))) from stop
    _tell(run)
    if arguments.save is not None:
        say(f"The fit: {run.fit.save(arguments.save)}")
    return 0


def _how_to_go_on(folder: Path, fit: Any) -> str:
    from pyro_vae.studies.runs import is_run, steps_kept

    if not is_run(folder):
        return "interrupted; nothing was written."
    at = "interrupted" if fit is None else f"interrupted at step {fit.steps}"
    kept = steps_kept(folder)
    what = f"The run is kept up to step {kept}." if kept else "The run is kept; its first epoch had not ended."
    return f"{at}. {what}\nGo on: pyro-vae fit --resume {folder}"


def _tell(run: Run) -> None:
    fit, name = run.fit, run.program.name
    what = "rows" if run.kind == "arrays" else run.kind
    say(f"{name}, trained on {len(run.rows)} {what} in {fit.seconds:.1f} s: {fit.reason}.")
    say(f"Estimator {fit.estimator!r}, {fit.num_particles} particle{'s' * (fit.num_particles != 1)}.")
    label = "Upper bound" if fit.upper_bound else "Bound"
    say(f"{label} {fit.bound / len(run.rows):.3f} ± {fit.bound_se / len(run.rows):.3f} nats per row.")
    if run.validation_rows is not None and len(fit.validation):
        say(f"On {len(run.validation_rows)} rows that were held out: {fit.validation[-1, 1]:.3f} nats per row.")
    say(f"\nThe run: {run.folder}")
    for command in ("sample", "reconstruct"):
        say(f"Look at it: pyro-vae {command} {run.folder}")


def _progress(arguments: argparse.Namespace) -> bool | None:
    return False if arguments.quiet else None


def _size(said: str) -> tuple[str, Any]:
    """``latents=3`` or ``net=conv``: a number, a tuple of them, None, or a word.

    >>> [_size("latents=3"), _size("net=conv"), _size("channels=16,32"), _size("temperature=none")]
    [('latents', 3), ('net', 'conv'), ('channels', (16, 32)), ('temperature', None)]
    """
    name, equals, value = said.partition("=")
    if not (equals and name.isidentifier() and value):
        raise OptionError(f"--size {said}: expected NAME=VALUE, as in --size latents=3 --size net=conv.")
    if value.lower() in ("none", "true", "false"):
        value = value.capitalize()
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
