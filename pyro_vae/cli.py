"""``pyro-vae``: the command line. It parses and reports errors; what a command does is in ``commands/``.

Nothing heavy is imported before a command needs it: ``pyro-vae --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pyro_vae
from pyro_vae.commands import INTERRUPTED, WRONG
from pyro_vae.errors import PyroVaeError

WIDTH = 80


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 (a verdict, with --fail-on), 2 (an error), 130 (Ctrl-C)."""
    arguments = parser().parse_args(argv)
    # torch's threads wait for work by spinning; where the cores are shared, that makes small fits many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    command = import_module(f"pyro_vae.commands.{arguments.command}")
    with warnings.catch_warnings():
        _say_warnings_plainly()
        try:
            return command.run(arguments)
        except PyroVaeError as error:
            _tell(f"pyro-vae: {error}")
            return WRONG
        except KeyboardInterrupt as stop:
            _tell(f"pyro-vae: {stop or 'interrupted; nothing was written.'}")
            return INTERRUPTED
        except BrokenPipeError:  # `pyro-vae list | head`: the reader has left, which is not an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


def parser() -> argparse.ArgumentParser:
    """The whole command line, as argparse knows it."""
    top = argparse.ArgumentParser(
        prog="pyro-vae",
        description="Fit a Pyro model by variational inference, sample it with NUTS, and hear whether to trust it.",
        epilog="pyro-vae COMMAND --help says more. "
        "Exit codes: 0; 1, a verdict at or below --fail-on; 2, an error; 130, Ctrl-C.",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"pyro-vae {pyro_vae.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _compare(commands)
    _fit(commands)
    _nuts(commands)
    _command(commands, "list", "show the model programs that come along")
    new = _command(commands, "new", "write a commented model program to start from")
    new.add_argument("file", metavar="FILE.py", help="the file to write; one that is there is not overwritten")
    return top


class _Formatter(argparse.HelpFormatter):
    """Help at 80 columns, or fewer on a narrow terminal."""

    def __init__(self, prog: str, **options: Any):
        super().__init__(prog, width=min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns), **options)


def _command(commands: Any, name: str, what: str, more: str = "") -> argparse.ArgumentParser:
    about = f"{what[0].upper()}{what[1:]}. {more}".strip()
    return commands.add_parser(name, help=what, description=about, formatter_class=_Formatter, allow_abbrev=False)


def _compare(commands: Any) -> None:
    compare = _command(
        commands,
        "compare",
        "fit guides, sample with NUTS, and judge each guide",
        "Prints the verdicts and writes a folder: report.html, figures, draws (netCDF), summary.csv.",
    )
    _program(compare)
    _fitting(compare, several=True)
    _sampling(compare)
    compare.add_argument(
        "--baseline",
        metavar="WHAT",
        help="nuts; reference (the program's exact draws, the default where it has them); or a netCDF file of draws",
    )
    compare.add_argument("--guide-draws", type=_count, default=10_000, metavar="N", help="draws of each guide (10000)")
    compare.add_argument("--out", metavar="DIR", help="the folder for the report (NAME-report)")
    compare.add_argument(
        "--fail-on",
        choices=("reweight", "untrusted", "none"),
        help="exit with 1 if a verdict is this or worse: trusted, reweight, untrusted, none",
    )
    _running(compare)


def _fit(commands: Any) -> None:
    fit = _command(commands, "fit", "fit one guide and show its posterior")
    _program(fit)
    _fitting(fit, several=False)
    weighting = fit.add_argument_group("weights on the latents' terms, while fitting")
    weighting.add_argument("--beta", type=float, metavar="B", help="times their KL (1)")
    weighting.add_argument("--annealing", type=_count, metavar="N", help="bring beta up from 0 over the first N steps")
    weighting.add_argument("--free-bits", type=float, metavar="R", help="nats per latent below which its KL is free")
    fit.add_argument("--draws", type=_count, default=4000, metavar="N", help="draws of the fitted guide (4000)")
    fit.add_argument("--out", metavar="FILE.nc", help="write the draws to this netCDF file")
    fit.add_argument("--save", metavar="FILE", help="write the fit to this file (safetensors), for pv.load_fit")
    _running(fit)


def _nuts(commands: Any) -> None:
    nuts = _command(
        commands,
        "nuts",
        "sample with NUTS and show the posterior",
        "What --out writes can be the --baseline of compare.",
    )
    _program(nuts)
    _sampling(nuts)
    nuts.add_argument("--out", metavar="FILE.nc", help="write the draws to this netCDF file")
    _running(nuts)


def _program(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "program", metavar="NAME|FILE.py[:model]", help="a program of the catalogue, or a file of yours"
    )


def _fitting(command: argparse.ArgumentParser, *, several: bool) -> None:
    group = command.add_argument_group("fitting")
    default = "the program's own, else auto_normal,auto_multivariate_normal" if several else "auto_normal"
    group.add_argument(
        "--guide",
        metavar="A,B,..." if several else "A",
        help=f"autoguides' names, or names of the program's own guides ({default})",
    )
    estimators = "reparameterized, analytic-kl, score-function, ..."
    if several:
        estimators += "; several, with commas between them, are compared: each fits the guide from the same start"
    group.add_argument("--estimator", metavar="A,B,..." if several else "NAME", help=estimators)
    group.add_argument("--particles", type=_count, metavar="K", help="draws per step (16)")
    group.add_argument("--steps", type=_count, metavar="N", help="the most steps to take (4000)")
    group.add_argument("--learning-rate", type=float, metavar="R", help="of Adam (0.05)")
    group.add_argument("--restarts", type=_count, metavar="N", help="fit from N starts, keep the best (1)")


def _sampling(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("sampling")
    group.add_argument("--engine", choices=("nutpie", "pyro"), default="nutpie", help="of NUTS (nutpie)")
    group.add_argument("--chains", type=_count, default=4, metavar="N", help="from starts that lie apart (4)")
    group.add_argument("--draws", type=_count, default=1000, metavar="N", help="of each chain (1000)")
    group.add_argument("--warmup", type=_count, default=1000, metavar="N", help="steps before them (1000)")
    group.add_argument("--target-accept", type=float, default=0.8, metavar="P", help="acceptance to aim at (0.8)")


def _running(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=_seed, default=0, metavar="N", help="the same seed gives the same result (0)")
    command.add_argument("--quiet", action="store_true", help="no progress, only the result")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)


def _tell(message: str) -> None:
    """A message to standard error, its lines folded at 80 columns; paths and code are not cut."""
    for line in message.splitlines():
        print(textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False), file=sys.stderr)  # noqa: T201


def _say_warnings_plainly() -> None:
    """A warning on the command line is a note, without the line of code that raised it."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.showwarning = lambda message, *_, **__: _tell(f"note: {message}")


if __name__ == "__main__":
    sys.exit(main())
