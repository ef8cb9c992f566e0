"""``pyro-vae list``: the catalogue."""

from __future__ import annotations

import argparse
import textwrap

from pyro_vae.catalogue import catalogue, catalogue_folder


def run(arguments: argparse.Namespace) -> int:
    """Print every program's name and what it is about."""
    programs = catalogue()
    width = max(map(len, programs), default=0) + 2
    for name, story in programs.items():
        _say(textwrap.fill(f"{name:<{width}}{story}", 80, subsequent_indent=" " * width))
    _say(f"\nThe files are in {catalogue_folder()}. Compare one: pyro-vae compare NAME")
    return 0


def _say(text: str) -> None:
    print(text)  # noqa: T201
