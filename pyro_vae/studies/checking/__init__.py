"""``check``: what is wrong with a model and guide, found before fitting. A file for each family of findings.

A new finding is a function ``(Look) -> Iterator[Finding]`` in the file of its family, and a row in ``registry``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.studies.checking.entry import check as check
    from pyro_vae.studies.checking.finding import Finding as Finding
    from pyro_vae.studies.checking.result import Check as Check

_HOME = {"Check": "result", "Finding": "finding", "check": "entry"}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
