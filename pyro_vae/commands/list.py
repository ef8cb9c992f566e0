"""``pyro-vae list``: the catalogue."""

from __future__ import annotations

import argparse

from pyro_vae.catalogue import catalogue, catalogue_folder
from pyro_vae.commands.speaking import say

HELP = "show the model programs that come along"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``list`` takes nothing."""


def run(arguments: argparse.Namespace) -> int:
    """Print every program's name and what it is about."""
    programs = catalogue()
    width = max(map(len, programs), default=0) + 2
    for name, story in programs.items():
        say(f"{name:<{width}}{story}", indent=" " * width)
    say(f"\nThe files are in {catalogue_folder()}. Compare one: pyro-vae compare NAME")
    return 0
