"""``pyro-vae list``: the catalogue."""

from __future__ import annotations

import argparse

from pyro_vae.catalogue import POSTERIORDB, catalogue, catalogue_folder, posterior_programs
from pyro_vae.commands import arguments as shared
from pyro_vae.commands.speaking import say

HELP = "show the model programs that come along"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``list`` takes."""
    shared.posteriordb(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every program's name and what it is about, and the posteriors of posteriordb that have a program."""
    programs = catalogue()
    width = max(map(len, programs), default=0) + 2
    for name, story in programs.items():
        say(f"{name:<{width}}{story}", indent=" " * width)
    _posteriors(arguments.posteriordb)
    say(f"\nThe files are in {catalogue_folder()}. Compare one: pyro-vae compare NAME")
    return 0


def _posteriors(path: str | None) -> None:
    """The names alone: there are many, and they tell. Where a clone is named, those that it has."""
    from pyro_vae.posteriordb import open_database

    names = list(posterior_programs())
    if path is not None:
        there = open_database(path).names()
        names = [name for name in names if name in there]
    say(f"\n{POSTERIORDB}:NAME is a posterior of posteriordb; --posteriordb is the path of a clone of it. NAME:")
    say(f"  {', '.join(names) or 'none of those with a program'}", indent="  ")
