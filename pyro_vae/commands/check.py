"""``pyro-vae check``: what is wrong with a program's model and guides."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from pyro_vae.commands import FOUND
from pyro_vae.commands import arguments as shared
from pyro_vae.commands.speaking import say

if TYPE_CHECKING:
    from pyro_vae.catalogue import Program
    from pyro_vae.studies.checking import Check

HELP = "find what is wrong with a model and its guides, before fitting"
MORE = "Nothing is fitted. Exit code 0: no error was found, warnings perhaps. 1: errors were found."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``check`` takes."""
    shared.program(parser)
    parser.add_argument(
        "--guide",
        metavar="A,B,...",
        help="names of the program's own guides, autoguides' names, or none for the model alone, as NUTS would have it "
        "(all of the program's own, else auto_normal)",
    )
    parser.add_argument("--estimator", metavar="NAME", help="say also which sites this estimator cannot take")
    parser.add_argument("--particles", type=shared.count, metavar="K", help="draws per step of the fit to come (16)")
    parser.add_argument("--fix-hints", action="store_true", help="print the corrected line of code, where it is known")
    parser.add_argument("--seed", type=shared.seed, default=0, metavar="N", help="of the runs that are looked at (0)")


def run(arguments: argparse.Namespace) -> int:
    """Check every guide; 1 if one of them, or the model, has an error."""
    from pyro_vae.catalogue import load_program

    program = load_program(arguments.program)
    checks = _checks(arguments, program)
    for check in checks:
        _print(check, hints=arguments.fix_hints)
    if not arguments.fix_hints and any(finding.line for check in checks for finding in check):
        say("With --fix-hints the corrected lines are printed too.")
    return 0 if all(check.ok for check in checks) else FOUND


def _checks(arguments: argparse.Namespace, program: Program) -> list[Check]:
    from pyro_vae.studies.checking import check
    from pyro_vae.studies.inputs import guides_of

    asked = [name.strip() for name in arguments.guide.split(",")] if arguments.guide else None
    guides: dict[str, Any] = {}
    if asked is None:
        guides = dict(program.guides) or {"auto_normal": "auto_normal"}
    elif named := [name for name in asked if name != "none"]:
        guides = guides_of(named, program)
    if asked and "none" in asked:
        guides["none"] = None
    found = []
    for name, guide in guides.items():
        one = check(
            program.model,
            guide,
            program.data,
            estimator=arguments.estimator,
            num_particles=arguments.particles,
            seed=arguments.seed,
        )
        found.append(one.called(program.name, None if guide is None else name))
    return found


def _print(check: Check, *, hints: bool) -> None:
    """Errors, then warnings; what is said of each, and the line to write if ``hints``."""
    from pyro_vae.studies.checking.result import paragraph

    say(check.headline)
    for finding in check:
        print(f"\n{paragraph(finding, line=hints)}")  # noqa: T201 - folded already
    if check.findings:
        print()  # noqa: T201
