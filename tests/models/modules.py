"""The files of the catalogue as modules, for what they offer beside ``build`` and ``load``."""

from __future__ import annotations

import sys
from types import ModuleType

from pyro_vae.catalogue import load_program


def module(name: str) -> ModuleType:
    """The program's file, loaded by path as a person's own is."""
    load_program(name)
    return sys.modules[f"pyro_vae_program_{name}"]
