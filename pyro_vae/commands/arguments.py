"""Arguments that several commands take, under the same names everywhere."""

from __future__ import annotations

import argparse


def program(command: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The model program."""
    command.add_argument(
        "program",
        metavar="NAME|FILE.py[:model]",
        nargs="?" if optional else None,
        help="a program of the catalogue, or a file of yours; posteriordb:NAME, a posterior of posteriordb",
    )
    posteriordb(command)


def posteriordb(command: argparse.ArgumentParser) -> None:
    """Where posteriordb lies."""
    command.add_argument("--posteriordb", metavar="PATH", help="a clone of stan-dev/posteriordb ($POSTERIORDB)")


def fitting(command: argparse.ArgumentParser, *, several: bool, several_estimators: bool | None = None) -> None:
    """How guides are fitted; ``several`` guides and (unless said otherwise) estimators, or one."""
    several_estimators = several if several_estimators is None else several_estimators
    group = command.add_argument_group("fitting")
    default = "the program's own, else auto_normal,auto_multivariate_normal" if several else "auto_normal"
    group.add_argument(
        "--guide",
        metavar="A,B,..." if several else "A",
        help=f"autoguides' names, or names of the program's own guides ({default})",
    )
    estimators = "reparameterized, analytic-kl, score-function, ..."
    if several_estimators:
        estimators += "; several, with commas between them, are compared: each fits the guide from the same start"
    group.add_argument("--estimator", metavar="A,B,..." if several_estimators else "NAME", help=estimators)
    group.add_argument("--particles", type=count, metavar="K", help="draws per step (16)")
    group.add_argument("--steps", type=count, metavar="N", help="the most steps to take (4000)")
    group.add_argument("--learning-rate", type=float, metavar="R", help="of Adam (0.05)")
    group.add_argument("--restarts", type=count, metavar="N", help="fit from N starts, keep the best (1)")


def sampling(command: argparse.ArgumentParser, *, chains: int = 4) -> None:
    """How NUTS is run."""
    group = command.add_argument_group("sampling")
    group.add_argument("--engine", choices=("nutpie", "pyro"), default="nutpie", help="of NUTS (nutpie)")
    apart = f"from starts that lie apart ({chains})"
    group.add_argument("--chains", type=count, default=chains, metavar="N", help=apart)
    group.add_argument("--draws", type=count, default=1000, metavar="N", help="of each chain (1000)")
    group.add_argument("--warmup", type=count, default=1000, metavar="N", help="steps before them (1000)")
    group.add_argument("--target-accept", type=float, default=0.8, metavar="P", help="acceptance to aim at (0.8)")


def running(command: argparse.ArgumentParser) -> None:
    """The seed, and silence."""
    command.add_argument("--seed", type=seed, default=0, metavar="N", help="the same seed gives the same result (0)")
    command.add_argument("--quiet", action="store_true", help="no progress, only the result")


def names(said: str | None) -> list[str]:
    """The names in a list with commas between them."""
    return [] if said is None else [name.strip() for name in said.split(",")]


def count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)
